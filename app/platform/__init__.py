"""What every room stands on: settings, database, clock, sealing, change queue, bell, outbound HTTP, embedded servers.

Belongs here: machinery that knows no programme, no household and no message. Not here: anything with a word of the
field in it. To add a piece, ask first whether a kept library does it; then one module with one noun for a name.
"""
