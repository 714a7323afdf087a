"""Matching: population snapshot → evaluate → entitlements (受給資格期間), stored as periods.

Belongs here: which household has a right to what, from when until when, and how we know. Not here: what is told about
it (`notices` reads the stored rows). Something changed? `sweep.drain` evaluates what the change queue names and nobody
else; the nightly job only reads an index and belongs to `notices`.
"""
