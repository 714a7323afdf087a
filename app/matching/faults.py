"""What went wrong while rules were compiled or evaluated, told without a value of anybody's household."""

import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from app.rules.documents import FAULTS, DocumentError

OF_ONE: Final = (*FAULTS, DataError, IntegrityError, ProgrammingError)
"""What the work on one town or one family raises of itself, rows that the database refuses included: others go on."""
_MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """The class of an error and where it came from."""

    error_class: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> "Fault":
        """Describe an error by its place in the program; its own words may carry a value of the household."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else "unknown"
        return cls(type(error).__name__, place)

    @classmethod
    def of_rule(cls, error: BaseException) -> "Fault":
        """Describe an error of compiling, where no household is near: in its own words, if it is about a document."""
        if isinstance(error, DocumentError):
            return cls(type(error).__name__, str(error)[:_MOST_CHARACTERS])
        return cls.of(error)
