"""Safeguards: use cases that cross rooms in one transaction, and answer only when nothing is on its way any more.

Belongs here: withdrawal, protection, bereavement, linking, confirming a contact. Not here: the rule of each step (it
stands in its own room) and pages. To add one: a module named after what happens to the family.
"""
