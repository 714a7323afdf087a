"""Channels: one module for each way out of the house.

Belongs here: how one message is put on the wire and what an answer means. Not here: which message goes to whom, when
it is tried again, or any wording. A channel knows no database and no other channel.

E-mail is several modules: `mail_headers`, `mail_message` and `mail_signing` write a mail, `mail_return_path` and
`mail_wire` send it with a way back of its own, `mail_reports` reads what comes back.

To add one: a frozen dataclass for what it is given in `contract.py`, a module with one class that has `send` and
`close`, a stand-in for the outside in `app/sandbox`, and a case in `tests/contract/test_channels.py`, whose whole
suite it must pass.
"""
