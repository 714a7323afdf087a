"""A 個人番号 in any field of any form of any face: the page says so, and nothing at all is stored."""

import uuid
from collections import defaultdict
from html.parser import HTMLParser

import pytest
from sqlalchemy import text

from app.accounts.permissions import Actor
from app.accounts.sign_in import create_link
from app.faces.parent import questions
from app.households import consent
from app.partners.endpoints import endpoints_of, register_endpoint
from app.partners.registration import register_partner
from app.platform.database import Context, app_session, owner_session
from app.platform.identifiers import new_id
from app.platform.settings import settings
from app.rules.my_number import check_digit
from app.web.csrf import FIELD
from app.web.forms import TYPED_INTO
from app.web.pages import phrase

ELEVEN = "12345678901"
NUMBER = ELEVEN + str(check_digit(ELEVEN))
HOOK = "http://127.0.0.1:9000/hook"
BIRTH = {"birth-year", "birth-month", "birth-day"}
DUE = {"due-year", "due-month", "due-day"}
ENTERING = {"form_id", "municipality", "step"} | BIRTH | DUE
MOVE = {"municipality", "who", "received", "date-year", "date-month", "date-day"}
PACE = {"url", "event_types", "signing", "requests_a_second", "most_in_flight"}
MATCHING = {
    "matching:basic",
    "matching:income",
    "matching:disability_health",
    "matching:single_parent",
    "matching:school",
}


class Forms(HTMLParser):
    """Every POST form of a page: its address, and its fields as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, list[str]]]] = []
        self.fields: dict[str, list[str]] | None = None
        self.select = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.fields = defaultdict(list) if given.get("method") == "post" else None
            if self.fields is not None:
                self.found.append((given["action"], self.fields))
        if self.fields is None:
            return
        if tag == "select":
            self.select = given["name"]
            self.fields[self.select] = [""]
        if tag == "option" and ("selected" in given or not self.fields[self.select][0]):
            self.fields[self.select] = [given["value"]]
        if tag == "button" and "name" in given and given["name"] not in self.fields:
            self.fields[given["name"]] = [given["value"]]  # the first button is the one that Enter presses
        if tag == "input":
            if given.get("type") in ("radio", "checkbox"):
                self.fields[given["name"]] = self.fields.get(given["name"]) or [given["value"]]
            else:
                self.fields[given["name"]].append(given.get("value", ""))

    def handle_endtag(self, tag):
        if tag == "form":
            self.fields = None


def everything_stored() -> dict[str, str]:
    """A digest of each table."""
    with owner_session() as session:
        tables = session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        digest = "SELECT coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') FROM {} t"
        return {table: session.execute(text(digest.format(table))).scalar_one() for table in tables}


def entering(browser):
    browser.open("/start")
    facts = {"municipality": "131121", "birth-year": "2026", "birth-month": "11", "birth-day": "5"}
    return browser, facts | dict.fromkeys(sorted(DUE), "") | {"form_id": browser.form_id(), "step": "next"}


def start(get):
    browser, _ = entering(get("browser"))
    return browser


def start_consent(get):
    browser, facts = entering(get("browser"))
    browser.send("/start", facts)
    return browser


def signed_in(path):
    def opened(get):
        family = get("family")
        family.open(path)
        return family

    return opened


def question_of(fact_type, *, short=False):
    def opened(get):
        family, registry = get("family"), get("published")
        with owner_session() as session:
            household_id, document = session.execute(
                text("SELECT household_id, document FROM household_documents")
            ).one()
        actor = Actor("household", uuid.uuid4(), "131121", household_id, "g1")
        with app_session(actor.context) as session:
            purposes = [purpose.id for purpose in consent.PURPOSES if purpose.category]
            consent.give(session, household_id, purposes, language="ja", by="guardian:g1", source="test")
            session.commit()
            asked = questions.all_questions(session, actor, registry, document)
        key = next(one.key for one in asked if one.fact.type == fact_type and (one.scale is not None) == short)
        family.open(f"/questions/{key}")
        return family

    return opened


def question_consent(get):
    family = get("family")
    family.open("/questions")
    while "次の質問に答える前に" not in family.last.text:
        family.send(f"{family.last.url.path}?{family.last.url.query.decode()}", {"answer": "dont-know"})
    return family


def notice(get):
    family = get("family")
    path = family.open("/home").text.partition('href="/notices/')[2].partition('"')[0]
    family.open(f"/notices/{path}")
    return family


def contact_code(get):
    family = get("family")
    family.send("/contact", {"email": "hanako@example.jp"}, page="/contact")
    return family


def sign_in_code(get):
    browser = get("browser")
    browser.send("/sign-in", {"email": "hanako@example.jp"}, page="/sign-in")
    return browser


def sign_in(get):
    browser = get("browser")
    browser.open("/sign-in")
    return browser


def demo(get):
    get("monkeypatch").setenv("TODOKE_DEMO", "true")
    settings.cache_clear()
    browser = get("browser")
    browser.open("/help")
    return browser


def staff(path):
    def opened(get):
        browser, link = get("browser"), f"/staff/sign-in/{get('staff_link')}"
        browser.send(link, page=link)
        browser.open(path)
        return browser

    return opened


def partner(path):
    def opened(get):
        get("monkeypatch").setenv("TODOKE_OUTBOUND__ALLOWED_PRIVATE", '["127.0.0.0/8:9000"]')
        settings.cache_clear()
        partner_id = new_id()
        with app_session(Context(partner=partner_id)) as session:
            register_partner(session, partner_id, name="架空の会社", app_name="架空のアプリ")
            link = f"/partner/sign-in/{create_link(session, partner_id=partner_id)}"
            register_endpoint(session, partner_id, HOOK)
            session.commit()
            endpoint_id = endpoints_of(session, partner_id)[0].id
        browser = get("browser")
        browser.send(link, page=link)
        browser.open(path.format(endpoint_id))
        return browser

    return opened


PAGES = {
    "start": (start, ENTERING),
    "start: consent": (start_consent, ENTERING | MATCHING),
    "sign-in": (sign_in, {"email"}),
    "sign-in: code": (sign_in_code, {"email", "code"}),
    "contact": (signed_in("/contact"), {"email"}),
    "contact: code": (contact_code, {"code"}),
    "family": (signed_in("/family/edit"), {"version", "municipality", "child_id", "step"} | BIRTH | DUE),
    "move": (signed_in("/move"), MOVE),
    "care": (signed_in("/care"), {"who", "sure"}),
    "staff: work": (staff("/staff/work"), set()),
    "consent": (signed_in("/consent"), {"purpose"}),
    "question: yes or no": (question_of("bool"), {"from", "answer"}),
    "question: choice": (question_of("choice"), {"from", "answer"}),
    "question: scale": (question_of("int", short=True), {"from", "answer"}),
    "question: yen of a year": (question_of("yen"), {"from", "answer", "number", "income_year"}),
    "question: date": (question_of("date"), {"from", "answer", "date-year", "date-month", "date-day"}),
    "question: consent": (question_consent, {"consent"}),
    "notice": (notice, {"outcome", "reason"}),
    "demo": (demo, {"days", "face"}),
    "staff: programmes": (staff("/staff"), set()),
    "staff: programme": (staff("/staff/programmes/000000/child-allowance"), set()),
    "partner: endpoint": (partner("/partner/endpoints/{}"), PACE | {"immediately", "since"}),
    "partner: new endpoint": (partner("/partner/endpoints/new"), PACE),
    "partner: keys": (partner("/partner/keys"), set()),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_my_number_is_refused_in_every_field_and_nothing_is_stored(request, published, name):
    opened, expected = PAGES[name]
    browser = opened(request.getfixturevalue)
    assert browser.last.status_code == 200
    forms = Forms(browser.last.text).found
    assert forms or not expected
    assert {field for _, fields in forms for field in fields} - {FIELD} == expected
    before = everything_stored()
    for action, fields in forms:
        for field in fields.keys() - {FIELD}:
            typed = {**fields, field: [NUMBER, *fields[field][1:]]}
            if field not in TYPED_INTO:
                typed[field] = [f"番号は {NUMBER[:4]}-{NUMBER[4:8]}-{NUMBER[8:]}", *fields[field][1:]]
            answer = browser.client.post(action, data=typed, follow_redirects=False)
            assert answer.status_code == 422, (action, field)
            assert phrase("error.my_number") in answer.text, (action, field)
            assert everything_stored() == before, (action, field)


def test_a_my_number_spread_over_the_fields_of_a_date_is_seen(browser, published):
    browser, facts = entering(browser)
    facts |= {"birth-year": NUMBER[:4], "birth-month": NUMBER[4:8], "birth-day": NUMBER[8:]}
    assert phrase("error.my_number") in browser.send("/start", facts).text
