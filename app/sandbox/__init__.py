"""Stand-ins for the outside world: real servers on this machine for the demonstration, for tests and for developers.

Belongs here: a sample partner app, a mail sink, a LINE-style server, each truthful to the published protocol, able to
misbehave on request, and with a page on which a person can look at what arrived. Not here: anything production runs;
nothing below `app.sandbox` imports it.

To add one: a class with `start` and `stop` (see `hosting.Service`), addresses chosen by the system on 127.0.0.1, and
a line in `servers.Sandbox`.
"""
