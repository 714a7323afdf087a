"""The demo: the whole of Todoke on one machine, with stand-ins for the outside world.

Belongs here: starting the processes, storing the cast, waiting, printing what arrived, comparing with the ledger.
Not here: anything that production also needs.
"""
