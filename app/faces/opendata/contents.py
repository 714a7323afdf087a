"""What is published, as values that go out: one function per shape, pure."""

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from app.platform.rendering import phrases
from app.platform.settings import settings
from app.registry.formats import cpsv_ap, schema_org, support_csv, tokyo_json
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.rules.municipality_code import covers
from app.rules.phrases import Phrases
from app.rules.read_back import amounts_and_dates_read_back, full_read_back, read_back

LICENCE = "CC-BY-4.0"
LANGUAGES = ("ja", "ja-easy", "en")


@dataclass(frozen=True)
class Selection:
    """Which programmes are asked for, on which day."""

    on: dt.date
    municipality: str | None = None
    kind: str | None = None
    certainty: str = "verified"

    def versions(self, registry: Registry) -> list[Programme]:
        """Return the version in force on the day of each programme that is asked for, by key."""
        in_force = (registry.version_on(key, self.on) for key in sorted(registry.programmes))
        return [version for version in in_force if version is not None and self._wanted(registry, version)]

    def _wanted(self, registry: Registry, version: Programme) -> bool:
        kind = self.kind is None or version.kind == self.kind
        return kind and self.certainty in (version.certainty, "all") and self._here(registry, version)

    def _here(self, registry: Registry, version: Programme) -> bool:
        town, home = self.municipality, registry.municipalities.get(version.municipality)
        if home is not None and home.fictional and version.municipality != town:
            return False
        return town is None or (
            covers(version.municipality, town) and registry.replaced_in(version.key, town, self.on) is None
        )


def page_address(key: str) -> str:
    """Return the address of a programme's readable page."""
    return f"{settings().public_url.rstrip('/')}/open/programmes/{quote(key)}"


def api_address(path: str) -> str:
    """Return an address below the API."""
    return f"{settings().public_url.rstrip('/')}/open/v1/{path}"


def heading() -> dict[str, str]:
    """Return what stands above every answer: the licence, whom to name, and where to be sure."""
    words = phrases("phrases/open")
    return {"licence": LICENCE, "credit": words["credit"], "note": words["note"]}


def programme_entry(registry: Registry, version: Programme, on: dt.date) -> dict[str, Any]:
    """Return one version, and what it says in words, which anybody can check against the tree beside them."""
    return {
        "key": version.key,
        "version": version.version,
        "page": page_address(version.key),
        "in_words": {language: in_words(registry, version, language, on) for language in LANGUAGES},
        "programme": version.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def in_words(registry: Registry, version: Programme, language: str, on: dt.date) -> list[dict[str, Any]]:
    """Return everything that a version says as sentences with their depth, with the dates and figures of a day."""
    return _sentences(full_read_back, registry, version, language, on)


def amounts_and_dates_in_words(
    registry: Registry, version: Programme, language: str, on: dt.date
) -> list[dict[str, Any]]:
    """Return how much and until when as sentences with their depth, with the dates and figures of a day."""
    return _sentences(amounts_and_dates_read_back, registry, version, language, on)


def conditions_in_words(registry: Registry, version: Programme, language: str, on: dt.date) -> list[dict[str, Any]]:
    """Return who can have it as sentences with their depth, with the dates and figures of a day."""
    return _sentences(read_back, registry, version, language, on)


def _sentences(
    read: Callable[..., list[tuple[int, str]]], registry: Registry, version: Programme, language: str, on: dt.date
) -> list[dict[str, Any]]:
    compiled = registry.rulebook.on(version.key, version.valid.from_)
    words = Phrases(language, phrases(f"phrases/{language}"), registry.facts, registry.parameters)
    lines = [] if compiled is None else read(compiled, words, on)
    return [{"depth": depth, "sentence": sentence} for depth, sentence in lines]


def as_json(registry: Registry, versions: Sequence[Programme], on: dt.date) -> bytes:
    """Return versions in our own shape."""
    entries = [programme_entry(registry, version, on) for version in versions]
    return orjson.dumps({**heading(), "on": on.isoformat(), "programmes": entries})


def as_csv(registry: Registry, versions: Sequence[Programme], _on: dt.date) -> bytes:
    """Return versions as 支援制度（給付金）情報, UTF-8 with a byte order mark as spreadsheets expect it."""
    written = io.StringIO(newline="")
    table = csv.DictWriter(written, support_csv.HEADER)
    table.writeheader()
    table.writerows(support_csv.rows(versions, registry))
    return written.getvalue().encode("utf-8-sig")


def as_cpsv_ap(registry: Registry, versions: Sequence[Programme], _on: dt.date) -> bytes:
    """Return versions as a CPSV-AP graph."""
    return orjson.dumps(cpsv_ap.graph(versions, registry, _linked_from()))


def as_schema_org(registry: Registry, versions: Sequence[Programme], _on: dt.date) -> bytes:
    """Return versions as schema.org GovernmentService."""
    return orjson.dumps(schema_org.graph(versions, registry, _linked_from()))


def _linked_from() -> str:
    """Return what the addresses inside linked data begin with; each of them leads to a page or to the API."""
    return f"{settings().public_url.rstrip('/')}/open"


def as_official(registry: Registry, versions: Sequence[Programme], _on: dt.date) -> bytes:
    """Return versions in the shape of the official registry: a list of records."""
    return orjson.dumps([tokyo_json.official_record(version, registry) for version in versions])


@dataclass(frozen=True)
class Shape:
    """One way to write programmes: its media type and the function that writes it."""

    media_type: str
    write: Callable[[Registry, Sequence[Programme], dt.date], bytes]


SHAPES: dict[str, Shape] = {
    "json": Shape("application/json", as_json),
    "csv": Shape("text/csv; charset=utf-8", as_csv),
    "json-ld": Shape("application/ld+json", as_cpsv_ap),
    "schema-org": Shape("application/ld+json", as_schema_org),
    "official": Shape("application/json", as_official),
}


def dump_lines(registry: Registry, known_at: dt.datetime) -> Iterator[bytes]:
    """Yield a day's dump line by line: a heading, then every version of every programme, then every parameter."""
    first = {"record": "heading", **heading(), "known_at": known_at.isoformat()}
    yield orjson.dumps(first, option=orjson.OPT_APPEND_NEWLINE)
    for version in registry.versions:
        entry = {"record": "programme", **programme_entry(registry, version, known_at.date())}
        yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
    for name in sorted(registry.parameter_documents):
        entry = {"record": "parameter", "parameter": registry.parameter_documents[name]}
        yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
