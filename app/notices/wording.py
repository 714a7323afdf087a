"""From an answer to words: the content of a notice, kept as told. Every word comes from `templates/` or the registry.

A content is a plain mapping (it is stored as JSON and rendered by the templates of each channel):
`kind name title verdict_text subject_text reason amount_text yen most_yen steps step_yen cost_of_delay_text
received_text pays_from_text deadline_label deadline_text deadline_short counted_on deadline_on valid_from valid_until
period_text how documents contact desk minutes check_yourself source_url source_title source_checked_on version
programme_kind perhaps items changes ended`. What a correction changed stands in `changes`, each as `label old new`.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.matching.tables import Entitlement
from app.platform.rendering import japanese_date, phrases, short_date
from app.registry.programme import Contact, Programme

Content = dict[str, Any]
LANGUAGE = "ja"
BLANK: Content = {
    "subject_text": "",
    "reason": "",
    "amount_text": "",
    "yen": 0,
    "most_yen": 0,
    "steps": [],
    "step_yen": [],
    "cost_of_delay_text": "",
    "received_text": "",
    "pays_from_text": "",
    "period_text": "",
    "deadline_label": "",
    "deadline_text": "",
    "deadline_short": "",
    "deadline_on": None,
    "counted_on": None,
    "form_text": "",
    "documents": [],
    "contact": "",
    "desk": "",
    "checked": [],
    "check_yourself": [],
    "source_title": "",
    "perhaps": False,
    "items": [],
    "changes": [],
    "ended": False,
}
"""What a content says nothing about; the templates may ask for every key."""
_USABLE_WINDOW = ("vaccination", "checkup")
_WORTH_SAYING_STEPS = 3
_HALF = ("Na", "H", "N", "A")
"""East Asian widths that take half a place on a telephone."""
_SEEN_AT_ONCE = 36
"""How much of a title a list of mails shows, beside the name of the sender."""
_BRACKETS_IN_NAME = re.compile(r"\([^()]*\)(?=[^「」]*」)")
_LATELY = dt.timedelta(days=90)
"""How long a missed deadline is worth a word; later it would only be a reproach."""
_ESTABLISHED = dt.timedelta(days=60)
"""How long after its beginning most families receive a right already: the cost of waiting is not theirs."""


def support_content(
    programme: Programme, entitlement: Entitlement, subject_text: str, today: dt.date, *, not_received: bool = False
) -> Content:
    """Return the content of a `new_support` notice for one entitlement.

    Where the right began long ago and the family did not say that it goes without (`not_received`), nobody is told
    what waiting costs: most receive it already.
    """
    answer = entitlement.answer
    name = programme.name.in_language(LANGUAGE)
    perhaps = entitlement.verdict != "eligible"
    established = not not_received and today - entitlement.valid_from > _ESTABLISHED
    return {
        **BLANK,
        "kind": "new_support",
        "name": name,
        "title": _title(programme, perhaps=perhaps, upcoming=entitlement.valid_from > today).format(name=name),
        "verdict_text": _verdict_text(programme, perhaps=perhaps),
        "subject_text": subject_text,
        "reason": str(answer.get("reason", {}).get(LANGUAGE, "")),
        "amount_text": amount_text(answer.get("amount")),
        "yen": _yen(answer.get("amount")),
        "most_yen": _most_yen(answer.get("amount")),
        "steps": _steps(answer),
        "step_yen": [_most_yen(step) for step in answer.get("steps") or ()],
        "cost_of_delay_text": "" if established else _cost_of_delay(answer),
        "received_text": _received(answer) if established else "",
        "pays_from_text": _pays_from(answer, entitlement.deadline_on),
        "period_text": "" if programme.kind == "procedure" else _period(entitlement),
        "valid_from": entitlement.valid_from.isoformat(),
        "valid_until": entitlement.valid_until.isoformat() if entitlement.valid_until else None,
        "form_text": answer.get("form") or "",
        "checked": list(answer.get("checked", ())),
        "perhaps": perhaps,
        **_deadline(programme, entitlement, today),
        **_registry_part(programme),
    }


def reminder_content(support: Content) -> Content:
    """Return the content of a `deadline_reminder` for a support already told."""
    words = phrases("notices/phrases.ja")["title"]
    title = words["deadline_reminder"].format(
        name=support["name"], deadline_label=support["deadline_label"], deadline=support["deadline_short"]
    )
    return {**support, "kind": "deadline_reminder", "title": title}


def ending_content(support: Content, until: dt.date, last_useful_on: dt.date) -> Content:
    """Return the content of an `ending_soon`: the right ends on `until`; after `last_useful_on` it is too late."""
    words = phrases("notices/phrases.ja")
    earlier = last_useful_on < until
    return {
        **support,
        "kind": "ending_soon",
        "title": words["title"]["ending_soon"].format(name=support["name"], last=short_date(until)),
        "deadline_label": words["ending"]["apply_by" if earlier else "last_day"],
        "deadline_on": last_useful_on.isoformat(),
        "deadline_short": short_date(last_useful_on),
        "deadline_text": words["deadline"]["office"].format(office=japanese_date(last_useful_on)),
        "counted_on": until.isoformat(),
    }


def correction_content(support: Content, changes: Sequence[Content]) -> Content:
    """Return the content of a `correction`: what holds now, and what it was."""
    title = phrases("notices/phrases.ja")["title"]["correction"].format(name=support["name"])
    return {**support, "kind": "correction", "title": title, "changes": list(changes)}


def loss_content(told: Content, why: str) -> Content:
    """Return the content of the notice that a right which was told is there no more.

    Args:
        told: what the family was told.
        why: programme_ended, programme_changed or facts_changed.
    """
    words = phrases("notices/phrases.ja")
    kept = ("name", "subject_text", "contact", "source_url", "source_title", "source_checked_on", "programme_kind")
    return {
        **BLANK,
        **{name: told[name] for name in (*kept, "version") if name in told},
        "kind": "correction",
        "ended": True,
        "title": words["title"]["loss"].format(name=told["name"]),
        "reason": words["loss"][why],
    }


def changed_day(label: str, old: dt.date, new: dt.date) -> Content:
    """Return a changed deadline as `label old new`."""
    return {"label": label, "old": japanese_date(old), "new": japanese_date(new)}


def changed_amount(old: str, new: str) -> Content:
    """Return a changed amount as `label old new`."""
    return {"label": phrases("notices/phrases.ja")["correction"]["amount"], "old": old, "new": new}


def changed_beginning(old: dt.date, new: dt.date) -> Content:
    """Return a changed first day as `label old new`."""
    return changed_day(phrases("notices/phrases.ja")["correction"]["beginning"], old, new)


def changed_end(old: dt.date, new: dt.date) -> Content:
    """Return a changed last day as `label old new`."""
    return changed_day(phrases("notices/phrases.ja")["correction"]["end"], old, new)


def question_content(programme: Programme, question: str, fact_path: str, decides: Sequence[str]) -> Content:
    """Return the content of a `question`: what to answer, and the names of the programmes it decides."""
    words = phrases("notices/phrases.ja")
    name = programme.name.in_language(LANGUAGE)
    return {
        **BLANK,
        "kind": "question",
        "name": name,
        "title": words["title"]["question"].format(name=name),
        "verdict_text": words["verdict"]["undetermined"].format(count=1),
        "reason": question,
        "question": question,
        "fact": fact_path,
        "decides": list(decides),
        **_registry_part(programme),
    }


def overview_content(supports: Sequence[Content]) -> Content:
    """Return the content of a family's first overview: one message in place of many, counted by programme."""
    count = len({support["programme_key"] for support in supports})
    title = phrases("notices/phrases.ja")["title"]["overview"].format(count=count)
    return {**BLANK, "kind": "new_support", "name": title, "title": title, "items": list(supports)}


def width(text: str) -> float:
    """Return how wide a text is: one for a full-width character, a half for the others."""
    return sum(0.5 if unicodedata.east_asian_width(character) in _HALF else 1 for character in text)


def title_that_fits(title: str) -> str:
    """Return a title for a subject or a lock screen: what a long name says in brackets stands in the message only."""
    return title if width(title) <= _SEEN_AT_ONCE else _BRACKETS_IN_NAME.sub("", title)


def closing() -> str:
    """Return the sentence that every notice ends with."""
    return str(phrases("notices/phrases.ja")["closing"])


def subject_text(subject: str, document: Mapping[str, Any]) -> str:
    """Return whom a right is about, in words that name nobody: 2023年11月生まれのお子さん."""
    words = phrases("notices/phrases.ja")["subject"]
    kind, _, person_id = subject.partition(":")
    if kind != "child":
        return str(words.get(kind, words["household"]))
    birth_dates = {child["id"]: child.get("birth_date") for child in document.get("children") or ()}
    try:
        born = dt.date.fromisoformat(str(birth_dates.get(person_id)))
    except ValueError:
        return str(words["child_unknown"])
    return str(words["child"].format(born=words["born"].format(year=born.year, month=born.month)))


def joined_subjects(texts: Iterable[str]) -> str:
    """Return several subject texts as one: 2018年5月・2015年2月生まれのお子さん; the same words are said once."""
    words = phrases("notices/phrases.ja")["subject"]
    born = words["child"].format(born="")
    each = list(dict.fromkeys(text for text in texts if text))
    children = [text.removesuffix(born) for text in each if text.endswith(born)]
    others = [text for text in each if not text.endswith(born)]
    joined = [words["child"].format(born=words["between"].join(children))] if children else []
    return str(words["between"].join([*joined, *others]))


def told_reason(content: Mapping[str, Any]) -> str:
    """Return why a family is told; empty where the reason only says that the conditions are met."""
    said = phrases("phrases/ja")
    reason = str(content.get("reason") or "")
    return "" if reason in (said["reason_all_met"], said["reason_all_met_procedure"]) else reason


def amount_text(amount: Mapping[str, Any] | None) -> str:
    """Return an amount in words (月15,000円, 月15,000円〜月30,000円), empty where there is none."""
    if not amount:
        return ""
    words = phrases("notices/phrases.ja")["amount"]
    form = words.get(str(amount.get("per") or "once"), words["once"])
    if amount.get("yen") is not None:
        return str(form.format(yen=f"{amount['yen']:,}"))
    least, most = amount.get("least"), amount.get("most")
    if least is None or most is None:
        return ""
    return str(words["between"].format(least=form.format(yen=f"{least:,}"), most=form.format(yen=f"{most:,}")))


def _title(programme: Programme, *, perhaps: bool, upcoming: bool) -> str:
    words = phrases("notices/phrases.ja")["title"]
    if perhaps or upcoming:
        return str(words["perhaps" if perhaps else "upcoming"])
    return str(words["new_support_of_kind"].get(programme.kind, words["new_support"]))


def _verdict_text(programme: Programme, *, perhaps: bool) -> str:
    words = phrases("notices/phrases.ja")["verdict"]
    if perhaps:
        return str(words["perhaps"])
    return str(words["eligible_with_conditions" if programme.unmodelled else "eligible"])


def _steps(answer: Mapping[str, Any]) -> list[str]:
    words = phrases("notices/phrases.ja")["amount"]
    steps = answer.get("steps") or []
    return [
        words["step"].format(on=japanese_date(step["from"]), amount=amount_text(step))
        for step in steps[:_WORTH_SAYING_STEPS]
    ]


def _cost_of_delay(answer: Mapping[str, Any]) -> str:
    yen = answer.get("cost_of_delay")
    return phrases("notices/phrases.ja")["cost_of_delay"].format(yen=f"{yen:,}") if yen else ""


def _received(answer: Mapping[str, Any]) -> str:
    """Return that who receives a support need do nothing; only in place of a cost of waiting.

    Elsewhere it might be untrue: school expense assistance is applied for anew each year.
    """
    return str(phrases("notices/phrases.ja")["received"]) if answer.get("cost_of_delay") else ""


def _pays_from(answer: Mapping[str, Any], deadline_on: dt.date | None) -> str:
    """Return from which month it pays if one applies by the deadline; nothing where there is no day to name."""
    month = answer.get("pays_from")
    if not month or deadline_on is None:
        return ""
    year, number = str(month).split("-")[:2]
    words = phrases("notices/phrases.ja")["pays_from"]
    return str(words.format(by=short_date(deadline_on), year=year, month=int(number)))


def _yen(amount: Mapping[str, Any] | None) -> int:
    """Return the amount, or the least of it, to order by."""
    return int((amount or {}).get("yen") or (amount or {}).get("least") or 0)


def _most_yen(amount: Mapping[str, Any] | None) -> int:
    """Return the amount, or the most of it."""
    return int((amount or {}).get("yen") or (amount or {}).get("most") or 0)


def _period(entitlement: Entitlement) -> str:
    words = phrases("notices/phrases.ja")
    first = japanese_date(entitlement.valid_from)
    if entitlement.valid_until is None:
        return str(words["period_open"].format(first=first))
    return str(words["period"].format(first=first, last=japanese_date(entitlement.valid_until)))


def _deadline(programme: Programme, entitlement: Entitlement, today: dt.date) -> Content:
    words = phrases("notices/phrases.ja")
    office = entitlement.deadline_on
    legal = _date(entitlement.answer.get("counted_on")) or office
    if office is None and programme.kind in _USABLE_WINDOW:
        office = legal = entitlement.valid_until
    lapsed = _date(entitlement.answer.get("lapsed_on"))
    if office is None and lapsed is not None and today - lapsed <= _LATELY:
        text = words["deadline"]["lapsed"].format(office=japanese_date(lapsed))
        return {"deadline_label": words["deadline_label"][programme.kind], "deadline_text": text}
    form = "office" if legal == office else "moved" if legal and office and legal < office else "moved_back"
    return {
        "deadline_label": words["deadline_label"][programme.kind],
        "deadline_on": office.isoformat() if office else None,
        "counted_on": legal.isoformat() if legal else None,
        "deadline_short": short_date(office) if office else "",
        "deadline_text": words["deadline"][form].format(office=japanese_date(office), legal=japanese_date(legal))
        if office and legal
        else "",
    }


def _registry_part(programme: Programme) -> Content:
    application = programme.application
    ways = application.how if application else None
    contact = application.contact if application else None
    source = programme.sources[0]
    online = ways.online.url if ways and ways.online else None
    texts = [way.in_language(LANGUAGE) for way in (ways.counter, ways.post) if way] if ways else []
    return {
        "programme_kind": programme.kind,
        "how": texts,
        "online_url": online,
        "documents": [text.in_language(LANGUAGE) for text in application.documents] if application else [],
        "contact": _contact_text(contact) if contact else "",
        "desk": _desk(programme, contact) if contact else "",
        "minutes": application.minutes if application else None,
        "check_yourself": [text.in_language(LANGUAGE) for text in programme.unmodelled],
        "source_url": source.url,
        "source_title": source.title,
        "source_checked_on": source.checked_on.isoformat(),
        "version": programme.version,
    }


def _contact_text(contact: Contact) -> str:
    parts = [contact.desk.in_language(LANGUAGE), contact.phone, contact.hours and contact.hours.in_language(LANGUAGE)]
    return " ".join(part for part in parts if part)


def _desk(programme: Programme, contact: Contact) -> str:
    """Return what names a desk whose calls are counted together: its number, or its name in its area."""
    return contact.phone or f"{programme.municipality}/{contact.desk.in_language(LANGUAGE)}"


def _date(value: object) -> dt.date | None:
    return dt.date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
