"""Notices (お知らせ): what to tell whom, when, in which words; the inbox.

Belongs here: planning from entitlements (`planning`: reminders, questions, corrections, losses, moves), release with
caps and quiet hours, the pace of desks, expiry, calling back, information for an area (`bulletins`), wording, what one
message says of many notices (`digest`, `messages`), the lint of message texts, events for apps, inbox state.
Not here: how a message travels (`delivery`), who is entitled (`matching`).
"""
