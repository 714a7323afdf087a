"""Lint of message texts: what must not stand in anything that is sent, and what has to.

A pure function of a kind of text and the text. Limits, words and sentences are a catalogue with reasons
(`templates/notices/message_limits.yaml`). The same function looks at every text that the templates make of every
programme (a test, and `todoke registry lint`), and at a bulletin when it is written.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from app.notices import wording
from app.platform.rendering import phrases

_CATALOGUE: Final = "notices/message_limits"
_WEEKDAYS: Final = "月火水木金土日"
_FULL_DATE: Final = re.compile(r"([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日(?:\((.)\))?")
_SLASH_DATE: Final = re.compile(r"(?<![0-9/])[0-9]{1,4}/[0-9]{1,2}(?:/[0-9]{1,2})?(?![0-9/])(?!\([月火水木金土日]\))")
_ERA: Final = re.compile(r"(令和|平成|昭和|[RHS])[0-9元]{1,2}(年[0-9]{1,2}月[0-9]{1,2}日|[./][0-9]{1,2}[./][0-9]{1,2})")
_FISCAL: Final = re.compile(r"年度(の?末)?(まで|中|から)")
_DEADLINE: Final = re.compile(r"^[^。]{0,30}(期限|最後の日): (?P<said>.+)$", re.MULTILINE)
_MONEY: Final = re.compile(r"[0-9０-９]{4,}円|[０-９]+[,，]?[０-９]*円")
_LINK: Final = re.compile(r"(?:https?://|www\.)[^\s、。」)]+")
_QUOTED: Final = re.compile(r"「[^「」]*」|\([^()]*\)|（[^（）]*）")
_LABEL: Final = re.compile(r"^.*: ")
_NAME: Final = re.compile(r"「[^「」]*」")
_SPAN: Final = re.compile(r"[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日から(?:[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日まで)?")
_CONTACT: Final = re.compile(r"問い合わせ(先)?: ?\S")
_INVISIBLE: Final = ("Cc", "Cf", "Co", "Cn", "Cs")
_EXCERPT: Final = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a text: a stable code, the words that were found, what was expected and what to do."""

    code: str
    text_kind: str
    found: str
    expected: str
    todo: str

    def sentence(self) -> str:
        """Return the finding in one line, for whoever wrote the text."""
        catalogue = phrases(_CATALOGUE)
        name = catalogue["kinds"][self.text_kind]["name"]
        return str(
            catalogue["sentence_of_finding"].format(
                name=name, found=self.found, expected=self.expected.rstrip("。"), todo=self.todo
            )
        )


def text_kinds() -> tuple[str, ...]:
    """Return the names of the kinds of texts that have limits, such as subject and mail."""
    return tuple(phrases(_CATALOGUE)["kinds"])


def findings(text_kind: str, text: str, *, own_url: str = "https://todoke.invalid") -> list[Finding]:
    """Return everything wrong with a text that is sent, in the order of the rules; empty where it is good.

    Args:
        text_kind: one of `text_kinds`.
        text: as it is sent, HTML and markup apart.
        own_url: how addresses of our own pages begin; every other link is a finding.

    Raises:
        KeyError: there is no such kind of text.
    """
    limits = phrases(_CATALOGUE)["kinds"][text_kind]
    if not text.strip():
        return [_finding("empty", text_kind, "")]
    words = phrases(_CATALOGUE)["words"]
    found = [
        *_lengths(text, limits),
        *_sentences(text, words),
        *_dates(text, limits),
        *_money(text),
        *_tone(text, words),
        *_private(text, limits, words),
        *_characters(text, limits),
        *_links(text, limits, own_url),
        *_needs(text, limits),
    ]
    return [_finding(code, text_kind, words_found, **values) for code, words_found, values in found]


_Found = tuple[str, str, Mapping[str, Any]]
"""(code, the words, values for its sentence)."""


def _finding(code: str, text_kind: str, found: str, **values: Any) -> Finding:
    said = phrases(_CATALOGUE)["findings"][code]
    shown = found if len(found) <= _EXCERPT else found[:_EXCERPT] + "…"
    return Finding(code, text_kind, shown, str(said["expected"]).format(**values), str(said["todo"]))


def _lengths(text: str, limits: Mapping[str, Any]) -> Iterator[_Found]:
    if wording.width(text) > limits["longest"]:
        yield "too_long", text, {"limit": limits["longest"], "why": limits["why"]}


def _sentences(text: str, words: Mapping[str, Any]) -> Iterator[_Found]:
    """One idea per sentence: its label, names in quotation marks and what stands in brackets do not count."""
    longest = phrases(_CATALOGUE)["sentence"]["longest"]
    for line in text.splitlines():
        for sentence in line.split("。")[:-1]:
            if wording.width(_LABEL.sub("", _QUOTED.sub("", sentence))) > longest:
                yield "sentence_too_long", sentence, {"limit": longest}
            if re.search(words["double_negation"], sentence):
                yield "double_negation", sentence, {}


def _dates(text: str, limits: Mapping[str, Any]) -> Iterator[_Found]:
    """Days to act by have a weekday; names in quotation marks stay as their owners wrote them.

    A span from one day to another, as criteria name it, needs none, except where a person writes to a whole town.
    """
    unnamed = _NAME.sub("", text)
    checked = unnamed if limits.get("every_weekday") else _SPAN.sub("", unnamed)
    for single in _FULL_DATE.finditer(checked):
        if single.group(4) is None:
            yield "date_without_weekday", single.group(), {}
    for found in _FULL_DATE.finditer(text):
        year, month, day = map(int, found.groups()[:3])
        try:
            right = _WEEKDAYS[dt.date(year, month, day).weekday()]
        except ValueError:
            yield "no_such_date", found.group(), {}
            continue
        if found.group(4) not in (None, right):
            yield "wrong_weekday", found.group(), {"weekday": right}
    for code, pattern in (("era_year", _ERA), ("slash_date", _SLASH_DATE), ("fiscal_year_only", _FISCAL)):
        for other in pattern.finditer(_LINK.sub("", unnamed)):
            yield code, other.group(), {}
    for line in _DEADLINE.finditer(text):
        said = line.group("said")
        if _FULL_DATE.search(said) and "まで" not in said and "過ぎて" not in said and "→" not in said:
            yield "deadline_without_until", line.group(), {}


def _money(text: str) -> Iterator[_Found]:
    for found in _MONEY.finditer(text):
        yield "money_without_comma", found.group(), {}
    if "¥" in text or "￥" in text:
        yield "money_sign", "¥", {}


def _tone(text: str, words: Mapping[str, Any]) -> Iterator[_Found]:
    for sentence in re.split(r"[。\n]", text):
        promise = re.search(words["promise"], sentence)
        if promise and not re.search(words["hedge"], sentence):
            yield "promise", promise.group(), {}
    for found in re.finditer(words["shouting"], text):
        yield "shouting", found.group(), {}
    if len(re.findall(words["labels"], text)) > 1:
        yield "labels_twice", "".join(re.findall(r"【[^】]*】", text)), {}
    for word, plain in words["jargon"].items():
        if word in text and not re.search(plain, text.replace(word, "")):
            yield "jargon", word, {"plain": plain.split("|")[0]}


def _private(text: str, limits: Mapping[str, Any], words: Mapping[str, Any]) -> Iterator[_Found]:
    if limits.get("is_seen_by_others"):
        for pattern in words["private"].values():
            for found in re.finditer(pattern, text):
                yield "private_word", found.group(), {}


def _characters(text: str, limits: Mapping[str, Any]) -> Iterator[_Found]:
    for character in dict.fromkeys(text):
        if character != "\n" and unicodedata.category(character) in _INVISIBLE:
            yield "control_character", f"U+{ord(character):04X}", {}
        elif not _is_of(character, "iso2022_jp" if limits.get("jis_only") else "euc_jis_2004"):
            yield "not_jis", character, {}


@lru_cache(maxsize=10_000)
def _is_of(character: str, encoding: str) -> bool:
    """Whether an encoding has a character: iso2022_jp is JIS X 0208, euc_jis_2004 is JIS X 0213."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _links(text: str, limits: Mapping[str, Any], own_url: str) -> Iterator[_Found]:
    links = _LINK.findall(text)
    ours = [link for link in links if link == own_url or link.startswith(f"{own_url}/")]
    for link in links:
        if link not in ours:
            yield "foreign_link", link, {}
    if "own_link" in limits.get("needs", ()) and not ours:
        yield "own_link_missing", text[:_EXCERPT], {}


def _needs(text: str, limits: Mapping[str, Any]) -> Iterator[_Found]:
    needs = limits.get("needs", ())
    if "closing" in needs and wording.closing() not in text:
        yield "closing_missing", text[-_EXCERPT:], {"closing": wording.closing()}
    if "contact" in needs and not _CONTACT.search(text):
        yield "contact_missing", text[:_EXCERPT], {}
