"""Notices (お知らせ): what to tell whom, when, in which words; the inbox.

Belongs here: planning from entitlements, release with caps and quiet hours, wording per channel, what one message says
of many notices (`digest`), reminders, inbox state.
Not here: how a message travels (`delivery`), who is entitled (`matching`).
"""
