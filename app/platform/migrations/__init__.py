"""Migrations: numbered, one subject each, run as the owner role."""
