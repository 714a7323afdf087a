"""Partner apps (アプリ事業者): who they are, where they are called, their secrets, and which families linked them.

Belongs here: registration, changes of the contact, endpoints, credentials, links, signing, idempotency keys, the
schemas of events. Not here: sending (`delivery`), when an event is due (`notices`, `safeguards`) and the API
(`faces.partner`). To add an event: one model in `events.py` and its place in `EVENT_TYPES`, with an example; catalogue,
JSON Schema, OpenAPI and the pages follow, and the tests ask for a decision about every new member.
"""
