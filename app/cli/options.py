"""What several commands share: the registry folder, dates, and how errors leave the process."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from app.registry.loading import Registry

BAD_INPUT = 2
READER_GONE = 128 + signal.SIGPIPE
"""The status of a process whose reader went away (`todoke check … | head -3`), as of one that the signal ends: 141."""


def read_municipality(parameter: typer.CallbackParam, text: str | None) -> str | None:
    """Read a municipality's code, or leave saying which one was probably meant; None where it is left out."""
    from app.rules.municipality_code import read_municipality_code

    try:
        return None if text is None else read_municipality_code(text)
    except ValueError as error:
        refuse(f"{parameter.opts[0]}: {error}")


Municipality = Annotated[
    str,
    typer.Option("--municipality", metavar="CODE", callback=read_municipality, help="Six-digit code, such as 131121."),
]
OnlyMunicipality = Annotated[
    str | None,
    typer.Option(
        "--municipality", metavar="CODE", callback=read_municipality, help="Only this municipality, such as 131121."
    ),
]

RegistryFolder = Annotated[
    Path | None,
    typer.Option("--registry", help="Folder with programmes/ and parameters/.", show_default="registry_data"),
]
Programmes = Annotated[
    list[str] | None, typer.Option("--programme", help="CODE/ID such as 000000/child-allowance; may be repeated.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


def refuse(*messages: object) -> NoReturn:
    """Say on standard error what is wrong and leave with the status for bad input."""
    complain(messages)
    raise typer.Exit(BAD_INPUT)


def complain(messages: Iterable[object]) -> None:
    """Say what is wrong on standard error, one line each."""
    for message in messages:
        print(message, file=sys.stderr)


def end_without_reader() -> NoReturn:
    """End quietly: whoever read standard output is gone, and what is still buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(READER_GONE)


def read_day(text: str | None, option: str) -> dt.date:
    """Read `--on` and its like; today in Japan where it is left out."""
    if text is None:
        from app.platform.clock import today

        return today()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        refuse(f"{option}: found {text!r}; expected a date such as 2026-11-21")


def open_registry(folder: Path | None) -> Registry:
    """Read the registry, or leave with everything that is wrong in it."""
    from app.registry.loading import RegistryError, load_registry

    try:
        return load_registry(folder or default_folder())
    except RegistryError as error:
        refuse(*error.complaints)


def default_folder() -> Path:
    """`registry_data` here, else the one beside the code."""
    here = Path("registry_data")
    return here if here.is_dir() else Path(__file__).parents[2] / "registry_data"


def known_programmes(registry: Registry, wanted: list[str] | None) -> tuple[str, ...] | None:
    """Check the keys given with `--programme`; None where none was given."""
    if not wanted:
        return None
    unknown = [key for key in wanted if key not in registry.programmes]
    if unknown:
        from difflib import get_close_matches

        keys = list(registry.programmes)
        hints = {key: get_close_matches(key, keys, n=1) or [keys[0]] for key in unknown}
        refuse(*(f"--programme: found {key!r}; expected CODE/ID such as {hints[key][0]}" for key in unknown))
    return tuple(dict.fromkeys(wanted))


def load_tables() -> None:
    """Load every room's tables: they refer to each other by name, so a process that writes one has to know them all."""
    import app.accounts.tables
    import app.delivery.tables
    import app.households.tables
    import app.insight.tables
    import app.matching.tables
    import app.notices.tables
    import app.partners.tables
    import app.registry.tables  # noqa: F401
