"""Lint of the words of a document: languages, names that are said at the counter, lengths, what could be a test."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.registry.programme import Programme
from app.rules.documents import Text
from app.rules.facts import Fact, FactCatalogue
from app.rules.remarks import Remark, error, warning

READING = re.compile(r"\([ぁ-んァ-ヶー・]+\)")
"""A reading after a run of kanji: 手当(てあて)."""
ASIDE = re.compile(r"[(（][^)）]*[)）]")
LONGEST = {
    "name": 45, "summary": 200, "unmodelled": 130, "documents": 90, "desk": 60, "ways": 160, "note": 130, "hours": 60,
}  # fmt: skip
"""Characters of Japanese that fit where each text is shown."""
UNFILLED = "ここに書く"
"""What `todoke registry new` writes where a person has to."""
FIGURE = re.compile(r"(?:月|年)?[0-9,.]+万?(?:[0-9,]+)?円")


def lint_wording(version: Programme, facts: FactCatalogue) -> Iterator[Remark]:
    """Everything remarkable about the texts of one version."""
    yield from _unfilled(version)
    yield from _languages(version)
    yield from _counter_name(version)
    yield from _lengths(version)
    yield from _testable(version, facts)
    yield from _judgements(version)
    figure = FIGURE.search(version.summary.ja)
    if figure is not None and version.amount is None and version.kind in ("cash", "in_kind", "reduction"):
        yield warning("amount_only_in_words", "amount", figure=figure.group())


def _unfilled(version: Programme) -> Iterator[Remark]:
    """Places of the skeleton that nobody has written yet, and its invented source."""
    for path, _, text in _texts(version):
        if UNFILLED in text.ja:
            yield error("unfilled", path)
    for position, source in enumerate(version.sources):
        if UNFILLED in source.title or "www.example." in source.url:
            yield error("unfilled", f"sources[{position}]")


def _languages(version: Programme) -> Iterator[Remark]:
    for field, text, wanted in (("name", version.name, ("ja_easy", "en")), ("summary", version.summary, ("ja_easy",))):
        for language in wanted:
            if not getattr(text, language):
                yield warning(f"no_{language}", field, field=field)
    for position, condition in enumerate(version.unmodelled):
        if not condition.ja_easy:
            yield warning("no_ja_easy", f"unmodelled[{position}]", field="unmodelled")
    if version.certainty == "verified":
        for path, field, text in _application_texts(version):
            for language in ("ja_easy", "en"):
                if not getattr(text, language):
                    yield error(f"no_{language}", path, field=field)


def plain(easy: str) -> str:
    """Easy Japanese without its readings and the spaces between words."""
    return READING.sub("", easy).replace(" ", "").replace("　", "")


def _counter_name(version: Programme) -> Iterator[Remark]:
    """The last word of the name (after the town's) is what the desk calls it; the easy name must keep it."""
    if version.name.ja_easy is None:
        return
    name = ASIDE.sub("", version.name.ja).split()
    if name and name[-1] not in plain(version.name.ja_easy):
        yield warning("easy_name_drops_name", "name.ja-easy", name=name[-1])


def _lengths(version: Programme) -> Iterator[Remark]:
    for path, field, text in _texts(version):
        if len(text.ja) > LONGEST[field]:
            yield warning("text_too_long", path, field=field, length=len(text.ja), most=LONGEST[field])


def _texts(version: Programme) -> Iterator[tuple[str, str, Text]]:
    """Every text of a document that has its place on a page: path, field, text."""
    yield "name", "name", version.name
    yield "summary", "summary", version.summary
    for position, condition in enumerate(version.unmodelled):
        yield f"unmodelled[{position}]", "unmodelled", condition
    yield from _application_texts(version)


def _application_texts(version: Programme) -> Iterator[tuple[str, str, Text]]:
    """What a family reads about applying."""
    application = version.application
    if application is None:
        return
    for position, paper in enumerate(application.documents):
        yield f"application.documents[{position}]", "documents", paper
    for position, deadline in enumerate(application.deadlines):
        if deadline.note is not None:
            yield f"application.deadlines[{position}].note", "note", deadline.note
    if application.contact is not None:
        yield "application.contact.desk", "desk", application.contact.desk
        if application.contact.hours is not None:
            yield "application.contact.hours", "hours", application.contact.hours
    for way in ("counter", "post"):
        text = getattr(application.how, way, None)
        if text is not None:
            yield f"application.how.{way}", "ways", text


def _judgements(version: Programme) -> Iterator[Remark]:
    """What people decide is quoted inside other sentences, so that it must be a phrase and no sentence."""
    for path, text in _judgement_texts(version.criteria.model_dump(by_alias=True), "criteria"):
        if text.rstrip().endswith("。"):
            yield warning("judgement_is_sentence", path)


def _judgement_texts(part: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict):
        judgement = part.get("judgement")
        if isinstance(judgement, dict):
            yield path, str(judgement.get("ja", ""))
        for key, value in part.items():
            yield from _judgement_texts(value, f"{path}.{key}")
    elif isinstance(part, list | tuple):
        for position, value in enumerate(part):
            yield from _judgement_texts(value, f"{path}[{position}]")


def _testable(version: Programme, facts: FactCatalogue) -> Iterator[Remark]:
    """A condition left to families in the very words of a fact that they could be asked for."""
    tested = {path for path in _fact_paths(version.model_dump(by_alias=True))}
    for position, condition in enumerate(version.unmodelled):
        if condition.contradicted_by is not None:
            continue
        for fact in facts:
            words = _core(fact)
            if fact.path not in tested and words is not None and words in condition.ja:
                yield warning("unmodelled_testable", f"unmodelled[{position}]", words=words, fact=fact.path)


def _core(fact: Fact) -> str | None:
    """The words of a label that name the thing: 生活保護 of 生活保護を受けている; None where they say too little."""
    if fact.type != "bool":
        return None
    words = re.split(r"[をがにでのはと(（・、]", ASIDE.sub("", fact.label.ja))[0]
    return words if len(words) >= 4 and re.search(r"[一-龠]{3}", words) else None


def _fact_paths(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("fact", "within", "fiscal_year_end", "by") and isinstance(value, str):
                yield value
            yield from _fact_paths(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _fact_paths(value)
