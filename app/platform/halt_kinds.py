"""What an operator can hold back, apart from the rows, so that the command line starts without a database."""

from enum import StrEnum


class HaltKind(StrEnum):
    """What can be held back."""

    PROGRAMME = "programme"
    CHANNEL = "channel"
    PARTNER = "partner"
    MUNICIPALITY = "municipality"
