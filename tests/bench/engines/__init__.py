"""Other people's rule engines, each run by its own interpreter in a virtual environment of its own (`.cache/engines`).

Belongs here: scripts that those interpreters run. They import nothing of this project, and no other file imports them.
"""
