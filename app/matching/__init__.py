"""Matching: population snapshot → evaluate → entitlements (受給資格期間), stored as periods.

Belongs here: which household has a right to what, from when until when, and how we know. Not here: what is told about
it (`notices` reads the stored rows). Something changed? `sweep.drain` evaluates what the change queue names and nobody
else; the nightly job only reads an index and belongs to `notices`.

What watches over it stands beside it: `reach` (whom a draft would reach), `campaigns` (what a publication may send,
held until its size is what somebody looked at), `audit` (stored rows = a full evaluation), `watch` (work that left no
sign).
"""
