"""Notices (お知らせ): what to tell whom, when, in which words; the inbox.

Belongs here: planning from entitlements (`planning`: reminders, questions, corrections, losses, moves), release with
caps and quiet hours, the pace of desks, expiry, calling back, wording per channel (`messages`), what one message says of
many notices (`digest`), information for an area (`bulletins`), the lint of message texts, events for apps (`app_events`), inbox state.
Not here: how a message travels (`delivery`), who is entitled (`matching`).
"""
