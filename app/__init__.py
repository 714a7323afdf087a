"""Todoke (届け): facts about programmes + facts about consenting households → entitlements → notices → deliveries."""
