"""Delivery: the outbox (rows are the queue) and the channels that carry messages out.

Belongs here: claim, send, record, retry, breaker. Knows messages and endpoints, not programmes. Nothing is sent inside
a transaction; the claim re-checks consent, protection and stops. To add a channel: one module in `channels` that
passes the contract suite.
"""
