"""Households (世帯): who lives where, facts with provenance, consent by purpose, protection and stops, contact points.

Belongs here: what a family told us and what it allows. Not here: what it is entitled to (`matching`) and what it was
told (`notices`). A change to a household ends with `changed(...)`, which queues its re-evaluation in the same
transaction.
"""
