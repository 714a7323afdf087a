"""What families would read of a programme: its own examples, told through the real templates of every channel. Pure.

For the lint of message texts. A programme whose examples give no right (a draft, a desk) is told from a bare one, so
that its names, contacts and papers are looked at all the same.
"""

import datetime as dt
import html
import re
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.matching.evaluation import Engine, Right, population_of, rights_in
from app.matching.snapshot import Snapshot
from app.notices import moving, wording
from app.notices.message_lint import Finding, findings
from app.notices.messages import line_words, mail_words, values_of
from app.notices.planning import overview_of
from app.notices.rows import HOUSEHOLD, OVERVIEW, day_of
from app.notices.tables import Notice
from app.platform.clock import at_japan_time
from app.platform.rendering import japanese_date, phrases
from app.platform.settings import settings
from app.registry.examples import example_household
from app.registry.loading import Registry
from app.registry.positions import read_documents
from app.registry.programme import Example, Programme

_MOST_RIGHTS = 4
_NOBODY = uuid.UUID(int=0)
_TAG = re.compile(r"<[^>]+>")
_BLOCK = re.compile(r"</(?:p|h1|h2|li|td)>|<br>")
_HREF = re.compile(r'href="([^"]*)"')
_UNSUBSCRIBE = "unsubscribe/token"


@dataclass(frozen=True, slots=True)
class Sample:
    """One text as it would be sent: of which programme, in which kind of notice, and which kind of text it is."""

    programme_key: str
    notice_kind: str
    text_kind: str
    text: str


def remarks(registry: Registry, keys: Collection[str] | None = None) -> list[tuple[Sample, Finding]]:
    """Return what the lint finds in the texts of programmes as families will read them; each finding once a programme.

    Args:
        registry: as loaded from its files.
        keys: programmes looked at (`CODE/id`); None = all.
    """
    found: dict[object, tuple[Sample, Finding]] = {}
    looked_at: dict[tuple[str, str], list[Finding]] = {}
    for sample in samples(registry, keys):
        text = (sample.text_kind, sample.text)
        if text not in looked_at:
            looked_at[text] = findings(*text, own_url=settings().public_url)
        for one in looked_at[text]:
            found.setdefault((sample.programme_key, one.code, one.found), (sample, one))
    return list(found.values())


def samples(registry: Registry, keys: Collection[str] | None = None) -> Iterator[Sample]:
    """Yield every text of every kind of notice and channel, as the examples of programmes make them."""
    told = _told_rights(Engine.of(registry), set(registry.programmes if keys is None else keys))
    for key in sorted(told):
        contents = [one for right, document, on in told[key] for one in _contents(registry, right, document, on)]
        for on, content, programme in contents:
            yield from _texts(key, _notice(key, content, on, sensitive=programme.sensitive), on)
        supports = [
            _notice(key, content, on, sensitive=programme.sensitive)
            for on, content, programme in contents
            if content["kind"] == "new_support"
        ]
        if supports:
            on = contents[0][0]
            yield from _texts(key, _notice(OVERVIEW, overview_of(supports), on, sensitive=False), on)
            yield from _texts(key, _notice(moving.MOVED, _moved(supports, on), on, sensitive=False), on)


_Told = tuple[Right, Mapping[str, Any], dt.date]


def _told_rights(engine: Engine, keys: Collection[str]) -> dict[str, list[_Told]]:
    """Return a few rights of each programme that read differently, with the household and the day they are told on."""
    registry = engine.registry
    by_day: dict[dt.date, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for key in keys:
        for version in registry.programmes[key]:
            for example in version.examples:
                document = _document(registry, example)
                if document is not None:
                    by_day[example.on].append((key, document))
    chosen: dict[str, dict[object, _Told]] = {key: {} for key in keys}
    for on, households in sorted(by_day.items()):
        ids = [uuid.UUID(int=number) for number in range(1, len(households) + 1)]
        documents = [{**document, "id": str(one)} for one, (_, document) in zip(ids, households, strict=True)]
        snapshot = Snapshot(ids, documents, frozenset(ids))
        for right in rights_in(engine, snapshot, population_of(engine, snapshot), on, {key for key, _ in households}):
            key, document = households[right.household_id.int - 1]
            if key == right.programme_key and len(chosen[key]) < _MOST_RIGHTS:
                chosen[key].setdefault(_how_it_reads(right, on), (right, document, on))
    return {key: list(told.values()) or [_bare(registry.programmes[key][-1])] for key, told in chosen.items()}


def _document(registry: Registry, example: Example) -> dict[str, Any] | None:
    """Return the household of an example as stored; None where it is none (`todoke registry check` says so)."""
    try:
        example_household(registry, example)
    except ValueError:  # a DocumentError is one
        return None
    if isinstance(example.household, dict):
        return example.household
    document: dict[str, Any] = read_documents(registry.household_file(example.household))[0].value
    return document


def _how_it_reads(right: Right, on: dt.date) -> object:
    answer = right.answer
    said = (bool(answer.get(name)) for name in ("amount", "steps", "cost_of_delay", "lapsed_on", "form"))
    moved = answer.get("counted_on") != (right.deadline_on.isoformat() if right.deadline_on else None)
    return right.verdict, right.deadline_on is None, right.valid_until is None, right.valid_from > on, moved, *said


def _bare(programme: Programme) -> _Told:
    first = programme.valid.from_
    right = Right(
        _NOBODY, programme.key, first, HOUSEHOLD, "eligible", first, programme.valid.until, first, None, None, {}
    )
    return right, {}, first


def _contents(
    registry: Registry, right: Right, document: Mapping[str, Any], on: dt.date
) -> Iterator[tuple[dt.date, wording.Content, Programme]]:
    """Yield what is told of a right from its beginning to its loss, each with the day and the programme."""
    programme = registry.version_on(right.programme_key, max(on, right.valid_from))
    programme = programme or registry.programmes[right.programme_key][-1]
    about = wording.subject_text(right.subject, document)
    support = wording.support_content(programme, right, about, on)  # type: ignore[arg-type]  # reads like the row of it
    told = [support, wording.loss_content(support, "programme_changed")]
    if right.deadline_on is not None:
        earlier = right.deadline_on - dt.timedelta(days=7)
        change = wording.changed_day(support["deadline_label"], right.deadline_on, earlier)
        told += [wording.reminder_content(support), wording.correction_content(support, [change])]
    if right.valid_until is not None:
        told.append(wording.ending_content(support, right.valid_until, right.valid_until))
    for missing in right.answer.get("missing", ()):
        fact = registry.facts.get(missing["fact"])
        if fact is not None and fact.question is not None:
            question = fact.question.in_language(wording.LANGUAGE)
            told.append(wording.question_content(programme, question, fact.path, [support["name"]]))
    for content in told:
        yield on, content, programme


def _moved(supports: Sequence[Notice], on: dt.date) -> wording.Content:
    """Return the notice of a move that ends, begins and leaves open each of some supports."""
    words = phrases("notices/moved/phrases.ja")
    items = [_moved_item(support, part, on) for support in supports for part in words["part"]]
    return {
        **wording.BLANK,
        "kind": moving.MOVED,
        "name": words["name"],
        "title": words["title"]["household"],
        "reason": words["reason"]["ahead"].format(day=japanese_date(on)),
        "unknown_town": words["unknown_town"],
        "deadline_label": words["deadline_label"],
        **moving.told_parts(items),
    }


def _moved_item(support: Notice, part: str, on: dt.date) -> wording.Content:
    content = support.content
    said = ("subject_text", "name", "deadline_on", "deadline_text", "amount_text", "contact", "documents", "perhaps")
    return {
        **{name: content[name] for name in said},
        "part": part,
        "programme_key": support.programme_key,
        "subject": support.subject,
        "last_on": on.isoformat(),
        "last_text": phrases("notices/moved/phrases.ja")["last_day"].format(day=japanese_date(on)),
        "sensitive": support.sensitive,
        "new_here": True,
        "programme_version": content["version"],
    }


def _notice(key: str, content: wording.Content, on: dt.date, *, sensitive: bool) -> Notice:
    return Notice(
        household_id=_NOBODY,
        municipality_code="000000",
        programme_key=key,
        subject=HOUSEHOLD,
        kind=content["kind"],
        occasion="sample",
        sensitive=sensitive,
        programme_version=on,
        content=content,
        deadline_on=day_of(content.get("deadline_on")),
        release_at=at_japan_time(on, 9),
    )


def _texts(key: str, told: Notice, on: dt.date) -> Iterator[Sample]:
    """Yield the texts of a message about one notice: as it goes out, and in neutral words."""
    for protected in (False, True):
        values = values_of([told], on, f"{settings().public_url}/{_UNSUBSCRIBE}", protected=protected)
        subject, text, markup = mail_words(values)
        lock_screen, bubble = line_words(values, ())
        neutral = "neutral_" if all(map(_says_nothing, values["sections"])) else ""
        mail = "moved_mail" if told.kind == moving.MOVED and not neutral else f"{neutral}mail"
        parts = (mail, text), (mail, plain(markup)), (f"{neutral}push", said_in(bubble))
        for text_kind, said in (("subject", subject), ("lock_screen", lock_screen), *parts):
            yield Sample(key, told.kind, text_kind, said)


def _says_nothing(section: wording.Content) -> bool:
    """Whether a section is an overview of nothing but what is read after signing in."""
    return bool(section["hidden_items"]) and not section["in_full"] and not section.get("message_parts")


def plain(markup: str) -> str:
    """Return what a reader of HTML sees, with the addresses behind its links."""
    links = "\n".join(_HREF.findall(markup))
    body = _BLOCK.sub("\n", f"<body{markup.partition('<body')[2]}")
    lines = (line.strip() for line in _TAG.sub("", body).splitlines())
    return html.unescape("\n".join([*filter(None, lines), links]))


def said_in(bubble: Any) -> str:
    """Return the texts of a LINE-style bubble, a line each; its buttons apart."""
    if isinstance(bubble, Mapping):
        own = [str(bubble["text"])] if bubble.get("type") == "text" else []
        return "\n".join([*own, *(said for said in map(said_in, bubble.values()) if said)])
    if isinstance(bubble, list):
        return "\n".join(said for said in map(said_in, bubble) if said)
    return ""
