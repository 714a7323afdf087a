"""Notices (お知らせ): what to tell whom, when, in which words; the inbox.

Belongs here: planning from entitlements, release with caps and quiet hours, wording per channel, reminders, inbox
state. Not here: how a message travels (`delivery`), who is entitled (`matching`).
"""
