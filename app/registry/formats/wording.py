"""A programme's amounts, deadlines and conditions as the texts that flat formats hold, in Japanese."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from app.platform.rendering import phrases
from app.registry.formats.drafts import words
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.rules.amounts import AmountCase
from app.rules.application import Anchor, Deadline, LatestOf
from app.rules.criteria import AllOf, Judgement, ParameterRef
from app.rules.documents import DocumentError
from app.rules.evaluate import compile_rule
from app.rules.phrases import Phrases
from app.rules.read_back import read_back_text

LANGUAGES = {"ja": "ja", "ja-easy": "ja-simple", "en": "en"}
"""Our languages as BCP 47 tags; `simple` is the registered variant subtag for a simplified form (やさしい日本語)."""


def judgements(programme: Programme) -> tuple[str, ...]:
    """Return the texts a person decides by, where they stand at the top of the criteria."""
    tree = programme.criteria
    parts = tree.all if isinstance(tree, AllOf) else (tree,)
    return tuple(part.judgement.ja for part in parts if isinstance(part, Judgement))


def persons_text(programme: Programme, registry: Registry, language: str = "ja") -> str:
    """Return who it is for, read back from the tree that runs."""
    spoken = Phrases(language, phrases(f"phrases/{language}"), registry.facts, registry.parameters, registry.names)
    try:
        return read_back_text(compile_rule(programme, registry.facts, registry.parameters), spoken)
    except (DocumentError, KeyError):
        # A draft may name facts or parameters that this registry does not have (yet).
        return "\n".join(judgements(programme))


def amount_text(programme: Programme, registry: Registry) -> str:
    """Return every amount a programme may pay, in the order of its cases; "" where it pays none."""
    return "、".join(dict.fromkeys(_case_text(case, registry) for case in programme.amount or ()))


def _case_text(case: AmountCase, registry: Registry) -> str:
    say = words()["export"]
    return str(say["per"][case.per]).format(yen=_yen_text(case, registry, say))


def _yen_text(case: AmountCase, registry: Registry, say: dict[str, str]) -> str:
    figure = latest_value(case.yen, registry)
    if figure is not None:
        return f"{int(figure):,}"
    ends = [latest_value(term, registry) for term in (case.least, case.most) if term is not None]
    if len(ends) == 2 and all(end is not None for end in ends):
        return say["least_most"].format(
            **dict(zip(("least", "most"), (f"{int(end or 0):,}" for end in ends), strict=True))
        )
    if isinstance(case.yen, ParameterRef) and (parameter := registry.parameters.get(case.yen.parameter)):
        return say["by_table"].format(label=parameter.label.ja)
    return say["by_formula"]


def latest_value(term: object, registry: Registry) -> Fraction | None:
    """Return the figure of an amount that is one figure: a literal, or the last known value of a parameter."""
    if isinstance(term, int | Fraction):
        return Fraction(term)
    parameter = registry.parameters.get(term.parameter) if isinstance(term, ParameterRef) else None
    return parameter.periods[-1].value if parameter is not None else None


def ways_text(programme: Programme, *names: str) -> str:
    """Return the ways to apply, one line each."""
    how = programme.application.how if programme.application else None
    if how is None:
        return ""
    texts = {
        "online": " ".join(filter(None, (words()["export"]["online"], how.online.url))) if how.online else "",
        "counter": how.counter.ja if how.counter else "",
        "post": how.post.ja if how.post else "",
    }
    return "\n".join(texts[name] for name in names or tuple(texts) if texts[name])


def deadlines_text(programme: Programme, registry: Registry) -> str:
    """Return every deadline that is counted from an event or comes each year, one line each."""
    deadlines = programme.application.deadlines if programme.application else ()
    return "\n".join(dict.fromkeys(text for text in (_deadline_text(one, registry) for one in deadlines) if text))


def _deadline_text(deadline: Deadline, registry: Registry) -> str:
    say = words()["export"]
    if deadline.note is not None:
        return deadline.note.ja
    if deadline.each_year is not None:
        month, day = deadline.each_year
        return str(say["deadline_each_year"]).format(month=month, day=day)
    if deadline.anchor is None:
        return ""
    anchor = _anchor_text(deadline.anchor, registry)
    if deadline.within is not None:
        return str(say["deadline_within"]).format(anchor=anchor, span=_span_text(deadline))
    return str(say["deadline_end_of"][deadline.end_of or "month"]).format(anchor=anchor)


def _anchor_text(anchor: Anchor, registry: Registry) -> str:
    say = words()["export"]
    if isinstance(anchor, LatestOf):
        return str(say["latest_of"]).format(anchors="と".join(_anchor_text(one, registry) for one in anchor.latest))
    if anchor in say["anchors"]:
        return str(say["anchors"][anchor])
    spoken = Phrases("ja", phrases("phrases/ja"), registry.facts, registry.parameters, registry.names)
    return spoken.label(anchor)


def _span_text(deadline: Deadline) -> str:
    span = deadline.within
    say = words()["export"]["span"]
    parts: Iterator[tuple[str, int]] = iter(())
    if span is not None and span.in_days:
        weeks = span.days // 7 if span.days % 7 == 0 else 0
        parts = iter((("weeks", weeks), ("days", 0 if weeks else span.days)))
    elif span is not None:
        parts = iter((("years", span.months // 12), ("months", span.months % 12)))
    return "".join(str(say[unit]).format(n=number) for unit, number in parts if number)
