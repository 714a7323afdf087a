"""What a chaos run leaves behind: append-only logs in one folder, and how they are read.

| file | written by | says |
| --- | --- | --- |
| `changes.jsonl` | a trigger on `deliveries` | each decision (insert) and each change of state or token |
| `gates.jsonl` | a trigger on `households` | each change of epoch, protection, stopped persons, municipality |
| `links.jsonl` | a trigger on `partner_links` | which subject id is whom, for which partner |
| `requests.jsonl` | the receivers | each request when it arrived, and each yes |
| `answers.jsonl` | families | each withdrawal, protection or stop that was answered, and what the answer was |
| `kills.jsonl` | the victims | each kill -9: where in the code, and the rows that were held |
| `faults.jsonl` | the run | everything else that was done to the installation |
| `stage.json` | the run | endpoints, their manners, the addresses of families, what was left over at the end |

All instants are Unix seconds of this machine's real-time clock: PostgreSQL's `clock_timestamp()` and commit timestamps,
the receivers and the families read the same kernel clock, and nothing in a run sets it (the clock that is moved is
Todoke's own, by its offset file). A transaction's commit timestamp is taken before its locks are let go; where two
transactions contend for a gate row, the order of their commit timestamps is therefore the order of their commits.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One row of `deliveries` as it was inserted. `committed_at` is the commit of the decision."""

    id: str
    committed_at: float
    event: str
    event_type: str
    lane: str
    channel: str
    municipality: str
    household: str | None = None
    partner: str | None = None
    endpoint: str | None = None
    contact: str | None = None
    epoch: int | None = None
    subjects: tuple[str, ...] = ()
    contact_confirmed_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a row of `deliveries`; `number` is the order, `by` the process, `at` the statement's instant."""

    number: int
    id: str
    at: float
    committed_at: float
    by: str
    before: str
    after: str
    lease_before: float | None = None
    lease: float | None = None
    token_before: str | None = None
    token: str | None = None
    reason: str | None = None

    @property
    def is_claim(self) -> bool:
        return self.after == "sending" and self.token is not None and self.token != self.token_before


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChange:
    """A household's gate from this commit on."""

    number: int
    household: str
    committed_at: float
    epoch: int
    municipality: str
    protected_at: float | None = None
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Whom a subject id means, and for whom."""

    subject: str
    partner: str
    household: str
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it arrived. `target` is the endpoint's id, `email` or `line`; `yes_at` when it was taken.

    For a webhook `event` is its webhook-id, for the others the id of the delivery that its own key stands for.
    """

    at: float
    target: str
    event: str
    verified: bool = True
    subject: str | None = None
    digest: str = ""
    address: str = ""
    yes_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A safeguard that was answered. `stopped` is False where it said that a request is still under way."""

    household: str
    kind: str
    began_at: float
    answered_at: float
    stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A kill -9. `held` are the rows that the victim had claimed and not recorded."""

    at: float
    point: str
    whole: bool = False
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Anything else that was done, such as `broker wiped`; `until` is when it was over."""

    at: float
    kind: str
    until: float | None = None


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All of a run.

    Attributes:
        endpoints: by id: `partner`, `manner` (healthy, slow, hang …).
        addresses: by household: every e-mail address and LINE user id that is its own.
        patient: manners of endpoints for which something may still wait when the run ends: a short one ends before
            their breaker closes.
        unevaluated: changed households that nobody had looked at when the run ended.
        overdue_notices: notices whose moment had come and which were not released when the run ended.
    """

    decisions: list[Decision] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    gates: list[GateChange] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    endpoints: dict[str, dict[str, str]] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    patient: tuple[str, ...] = ("gone",)
    unevaluated: int = 0
    overdue_notices: int = 0


def append(path: Path, **line: Any) -> None:
    """Append one line; short ones of several processes never mix (O_APPEND, one write)."""
    with path.open("ab", buffering=0) as log:
        log.write(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n")


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; one that was never written is empty, and a last line cut off by a kill is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def read(directory: Path) -> Evidence:
    """Read a run's folder."""
    stage = json.loads((directory / "stage.json").read_text())
    written = lines(directory / "changes.jsonl")
    return Evidence(
        decisions=_all(Decision, (line for line in written if line["before"] is None)),
        changes=_all(Change, (line for line in written if line["before"] is not None)),
        gates=_all(GateChange, lines(directory / "gates.jsonl")),
        links=list(
            {line["subject"]: link for line in lines(directory / "links.jsonl") for link in _all(Link, [line])}.values()
        ),
        requests=_with_yes(lines(directory / "requests.jsonl")),
        answers=_all(Answer, lines(directory / "answers.jsonl")),
        kills=_all(Kill, lines(directory / "kills.jsonl")),
        faults=_all(Fault, lines(directory / "faults.jsonl")),
        endpoints=stage["endpoints"],
        addresses=stage["addresses"],
        patient=tuple(stage["patient"]),
        unevaluated=stage["unevaluated"],
        overdue_notices=stage["overdue_notices"],
    )


def _with_yes(written: Iterable[Mapping[str, Any]]) -> list[Request]:
    """Join each request with its yes by the number that the receiver gave it."""
    requests: dict[str, dict[str, Any]] = {}
    for line in written:
        requests.setdefault(str(line["number"]), {}).update(line)
    return _all(Request, (line for line in requests.values() if "at" in line))


def _all(kind: type[_T], written: Iterable[Mapping[str, Any]]) -> list[_T]:
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    return [
        kind(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in line.items()
                if name in names
            }
        )
        for line in written
    ]
