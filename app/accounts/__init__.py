"""Who people are and may do: server-side sessions, single-use sign-in links, staff accounts and their roles.

Belongs here: identity and permission. Not here: what a person may see of a household (its own room and row-level
security decide that).
"""
