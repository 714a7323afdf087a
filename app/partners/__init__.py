"""Partner apps (アプリ事業者): who they are, where they are called, their secrets, and which families linked them.

Belongs here: endpoints, credentials, links, signing, the schemas of events. Not here: sending (`delivery`) and what
an event says about a notice (`notices`).
"""
