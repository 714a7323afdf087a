"""The first lines of a new programme: a commented file that loads as a draft, to be filled in by whoever knows it."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from string import Template

from app.registry.loading import Registry, load_registry
from app.rules.municipality_code import NATIONAL, covers

IDENTIFIER = re.compile(r"^[a-z0-9][a-z0-9-]*$")
SKELETONS = Path(__file__).parents[2] / "templates" / "registry"


class SkeletonError(ValueError):
    """A new programme that cannot be begun: what was found, and what is expected."""


def new_programme(
    registry: Registry, municipality: str, identifier: str, today: dt.date, based_on: str | None = None
) -> Path:
    """Write the file of a new programme and return its path; nothing is written where it would not load.

    Args:
        registry: the registry it is added to.
        municipality: the code of whoever offers it, `000000` for the nation.
        identifier: the id, lower-case words joined by hyphens.
        today: the first day of the draft.
        based_on: the key of the programme whose fields it inherits.

    Raises:
        SkeletonError: an unknown municipality or parent, an id that cannot be one, or a file that is already there.
    """
    town = registry.municipalities.get(municipality)
    if town is None:
        raise SkeletonError(
            f"--municipality: found {municipality!r}; expected a code of vocabulary/municipalities.yaml"
        )
    if not IDENTIFIER.match(identifier):
        raise SkeletonError(f"--id: found {identifier!r}; expected lower-case words joined by hyphens: birth-gift")
    if based_on is not None and based_on not in registry.programmes:
        raise SkeletonError(f"--based-on: found {based_on!r}; expected CODE/id of a programme of the registry")
    if based_on is not None and registry.programmes[based_on][-1].based_on is not None:
        raise SkeletonError(f"--based-on: found {based_on!r}, which is based on another itself; name the original")
    path = registry.directory / "programmes" / town.folder / f"{identifier}.yaml"
    if path.exists():
        raise SkeletonError(f"found {path.name} in {town.folder}; expected a new id (edit that file instead)")
    text = _filled(registry, municipality, identifier, today, based_on)
    made_folder = not path.parent.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        load_registry(registry.directory)
    except Exception:
        path.unlink()
        if made_folder:
            path.parent.rmdir()
        raise
    return path


def _filled(registry: Registry, municipality: str, identifier: str, today: dt.date, based_on: str | None) -> str:
    """The skeleton with its places filled; a variant begins when its original does, if that is later."""
    name = "new_programme" if based_on is None else "new_variant"
    first = today if based_on is None else max(today, registry.programmes[based_on][-1].valid.from_)
    inhabited = [town.code for town in registry.municipalities if town.kind not in ("country", "prefecture")]
    town = next((code for code in inhabited if municipality == NATIONAL or covers(municipality, code)), municipality)
    template = Template((SKELETONS / f"{name}.yaml").read_text(encoding="utf-8"))
    return template.substitute(
        id=identifier,
        municipality=municipality,
        based_on=based_on,
        town=town,
        today=first.isoformat(),
        next_check=_next_fiscal_year(first).isoformat(),
    )


def _next_fiscal_year(day: dt.date) -> dt.date:
    """The next 1 April after a day."""
    return dt.date(day.year + (1 if (day.month, day.day) >= (4, 1) else 0), 4, 1)
