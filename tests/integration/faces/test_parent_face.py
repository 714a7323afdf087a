"""The parent face end to end: real database, real evaluator, real planning; only the browser is a test client."""

import datetime as dt
import re
import uuid
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from app.accounts.sign_in import create_link
from app.faces.parent import questions
from app.households.contacts import unsubscribe_token
from app.households.tables import HouseholdDocument
from app.partners.links import pairwise_notice_id
from app.partners.registration import register_partner
from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from app.platform.identifiers import new_id
from app.platform.settings import settings
from app.registry.versions import published_now
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.linking import link
from app.safeguards.protection import protect

SETAGAYA = "131121"


def rows(query: str, **values):
    with owner_session() as session:
        return session.execute(text(query), values).all()


def entering(browser) -> str:
    browser.open("/start")
    return browser.form_id()


def first_notice(browser) -> str:
    return re.search(r'href="(/notices/[0-9a-f-]{36})"', browser.open("/home").text)[1]


# ---- entering -----------------------------------------------------------------------------------------------------


def test_a_family_enters_and_is_told_what_to_do(browser, published, work):
    assert browser.enter_family().headers["location"] == "/home"
    waiting = browser.open("/home")
    assert "確認しています" in waiting.text
    assert 'hx-get="/home/cards?looks=0"' in waiting.text
    assert 'href="/home"' in waiting.text, "without JavaScript there is a link that looks again"
    work()
    part = browser.open("/home/cards?looks=0", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert "確認しています" not in part.text
    home = browser.open("/home").text
    assert 1 <= home.count('<article class="card"') <= 3
    assert "児童手当" in home
    assert "2026年11月生まれのお子さん" in home
    assert "あと" in home
    page = browser.open(first_notice(browser)).text
    assert "これは決定ではありません。審査のうえ市区町村が決定します" in page
    for part in ("あなたに届いた理由", "ご自身で確かめること", "もとにした案内", "問い合わせ", "どうなりましたか"):
        assert part in page


def test_nothing_is_stored_before_consent_nor_when_it_is_refused(browser, published):
    page = browser.send(
        "/start",
        {
            "form_id": entering(browser),
            "municipality": SETAGAYA,
            "birth-year": "2026",
            "birth-month": "11",
            "birth-day": "5",
        },
    )
    assert "何に使ってよいか" in page.text
    assert rows("SELECT id FROM households") == []
    refused = browser.enter_family(refuse=("matching:basic",))
    assert "何も保存していません" in refused.text
    assert rows("SELECT id FROM households") == []


def test_the_needed_consent_must_be_answered_and_nothing_typed_is_lost(browser, published):
    facts = {"municipality": SETAGAYA, "birth-year": "2026", "birth-month": "11", "birth-day": "5"}
    page = browser.send("/start", {**facts, "form_id": entering(browser)})
    page = browser.send("/start/consent", {**facts, "form_id": browser.form_id(), "matching:income": "refused"})
    assert page.status_code == 422
    assert re.search(r'name="matching:income" value="refused" checked', page.text)
    assert 'name="birth-year" value="2026"' in page.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"municipality": ""}, "お住まいの自治体を選んでください。"),
        ({"municipality": "999999"}, "どれか1つを選んでください。"),
        ({"birth-month": "13"}, "年・月・日を正しく入力してください。"),
        ({"birth-year": "1950"}, "この日付では確認できません。"),
        ({"birth-year": "", "birth-month": "", "birth-day": ""}, "お子さんの生年月日か、出産予定日のどちらか"),
    ],
)
def test_wrong_input_is_named_beside_its_field_and_kept(browser, published, changed, message):
    facts = {"municipality": SETAGAYA, "birth-year": "2026", "birth-month": "11", "birth-day": "5", **changed}
    page = browser.send("/start", {**facts, "form_id": entering(browser)})
    assert page.status_code == 422
    assert message in page.text
    assert 'role="alert"' in page.text
    assert f'name="birth-day" value="{facts["birth-day"]}"' in page.text


def test_full_width_digits_are_understood_and_another_child_can_be_added(browser, published):
    facts = {"municipality": SETAGAYA, "birth-year": "２０２６", "birth-month": "１１", "birth-day": "５"}
    page = browser.send("/start", {**facts, "form_id": entering(browser), "step": "more"})
    assert page.text.count('name="birth-year"') == 2
    assert 'value="2026"' in page.text


def test_pressing_twice_makes_one_household(browser, published):
    facts = {"municipality": SETAGAYA, "birth-year": "2026", "birth-month": "11", "birth-day": "5"}
    page = browser.send("/start", {**facts, "form_id": entering(browser)})
    fields = {**facts, "form_id": browser.form_id(), "matching:basic": "given"}
    token = re.search(r'name="_csrf" value="([0-9a-f]+)"', page.text)[1]
    before = dict(browser.client.cookies)
    for _ in range(2):
        browser.client.cookies.clear()
        browser.client.cookies.update(before)  # the browser dropped the first answer with its cookie
        answer = browser.client.post("/start/consent", data={"_csrf": token, **fields}, follow_redirects=False)
        assert answer.status_code == 303
    assert len(rows("SELECT id FROM households")) == 1


def test_a_family_elsewhere_is_told_honestly_what_is_not_covered(browser, published, work):
    browser.enter_family(municipality="other")
    work()
    assert "お住まいの自治体の制度はまだ登録されていません" in browser.open("/home").text
    assert rows("SELECT municipality_code FROM households") == [("000000",)]


# ---- isolation ----------------------------------------------------------------------------------------------------


def test_pages_of_a_family_open_for_nobody_else(family, browser_of, staff_link):
    notice = first_notice(family)
    stranger, other, clerk = browser_of(), browser_of(), browser_of()
    assert stranger.client.get(notice, follow_redirects=False).headers["location"] == "/sign-in"
    other.enter_family()
    assert other.open(notice).status_code == 404
    clerk.send(f"/staff/sign-in/{staff_link}", page=f"/staff/sign-in/{staff_link}", follow_redirects=False)
    assert clerk.client.get(notice, follow_redirects=False).headers["location"] == "/sign-in"


# ---- what became of it ----------------------------------------------------------------------------------------------


def test_an_outcome_is_kept_stops_reminders_and_can_be_undone(family, work):
    path = first_notice(family)
    count = "SELECT count(*) FROM outcomes WHERE undone_at IS NULL"
    for _ in range(2):
        assert family.send(f"{path}/outcome", {"outcome": "applied"}, page=path).status_code == 200
    assert rows(count) == [(1,)]
    assert "申請した" in family.open("/notices?view=done").text or "届け出た" in family.last.text
    part = family.send(f"{path}/outcome", {"outcome": "undo"}, page=path, headers={"HX-Request": "true"})
    assert "取り消しました" in part.text
    assert "<html" not in part.text
    assert rows(count) == [(0,)]
    assert family.send(f"{path}/outcome", {"outcome": "nonsense"}, page=path).status_code == 422


def test_the_reason_of_a_refusal_is_kept(family):
    path = first_notice(family)
    family.send(f"{path}/outcome", {"outcome": "told_not_eligible", "reason": "income"}, page=path)
    assert rows("SELECT outcome, reason FROM outcomes") == [("told_not_eligible", "income")]
    other = family.send(f"{path}/outcome", {"outcome": "told_not_eligible", "reason": "花子は離婚したので"}, page=path)
    assert other.status_code == 422, "a reason is one of those offered, never text"
    assert rows("SELECT outcome, reason FROM outcomes") == [("told_not_eligible", "income")]


def test_what_was_laid_aside_after_a_loss_is_found_quietly(browser, published, work):
    browser.enter_family(**{"birth-year": ["2020", "2026"], "birth-month": ["6", "11"], "birth-day": ["1", "5"]})
    work()
    assert "そっと置いてある" not in browser.open("/notices?view=all").text
    assert "いま、置いてあるものはありません" in browser.open("/notices/quiet").text
    ((household_id,),) = rows("SELECT id FROM households")
    stop_pushes_about(household_id, "child:c2", reason="death", by="guardian:g1")
    work()
    overview = browser.open("/notices?view=all").text
    assert 'href="/notices/quiet"' in overview
    assert "2026年11月生まれ" not in overview
    quiet = browser.open("/notices/quiet").text
    main = quiet.partition("<main")[2].partition("</main>")[0]
    assert "催促をすることはありません" in main
    assert re.search(r'<a [^>]*href="/notices">いまは見ない</a>', main)
    for urging in ("期限", "あと", "未読", "円", "まで", "対象", "必要です"):
        assert urging not in main
    links = re.findall(r'href="(/notices/[0-9a-f-]{36})"', main)
    assert links
    for link_to_one in links:
        page = browser.open(link_to_one)
        assert page.status_code == 200
        for urging in ('class="days', 'class="chip', "おくれると", "どうなりましたか"):
            assert urging not in page.text
        assert "催促することはありません" in page.text


# ---- questions ------------------------------------------------------------------------------------------------------


def answered(browser, **fields):
    """Send the form of the question, or of its consent, to where it says."""
    return browser.send(re.search(r'action="(/questions/[^"]+)"', browser.last.text)[1], fields)


def go_on(browser) -> bool:
    """Go on after a rest; False where nothing is left to ask."""
    link = re.search(r'href="(/questions\?seen=[0-9a-f.]+)&amp;on=1"', browser.last.text)
    return link is not None and browser.open(f"{link[1]}&on=1").url.path != "/questions"


def test_a_question_needs_consent_first_and_accepts_not_knowing(family, work):
    family.open("/questions")
    seen = set()
    asked_consent = False
    for _ in range(60):
        path = family.last.url.path
        if path == "/questions":
            if not go_on(family):
                break
            continue
        if "次の質問に答える前に" in family.last.text:
            asked_consent = True
            answered(family, consent="given")
            continue
        assert path not in seen, "わからない goes on to the next question and does not come back at once"
        seen.add(path)
        answered(family, answer="dont-know")
    assert "質問はここまでです" in family.last.text
    assert asked_consent, "single-parent status was not agreed to when entering"
    assert seen
    assert rows("SELECT count(*) FROM household_facts WHERE path LIKE '%single_parent'") == [(0,)]


def test_declining_is_an_answer_that_is_not_asked_again(family, work):
    family.open("/questions")
    while "次の質問に答える前に" in family.last.text:
        family.send(f"{family.last.url.path}/consent", {"consent": "given"})
    path = family.last.url.path
    answered(family, answer="declined")
    work()
    assert rows("SELECT value FROM household_facts WHERE value = '\"declined\"'") != []
    assert path not in family.open("/questions").url.path


def test_after_five_questions_a_family_may_rest(family):
    family.open("/questions")
    asked = []
    while family.last.url.path != "/questions":
        if "次の質問に答える前に" in family.last.text:
            answered(family, consent="given")
            continue
        asked.append(family.last.url.path)
        answered(family, answer="dont-know")
    assert len(set(asked)) == len(asked) == 5
    assert "急がなくてかまいません" in family.last.text
    assert "分からなかった質問が5件" in family.last.text
    assert go_on(family)
    assert family.last.url.path not in asked


def test_what_was_just_answered_is_not_asked_again_before_it_is_matched(family):
    family.open("/questions")
    while "次の質問に答える前に" in family.last.text:
        answered(family, consent="given")
    path = family.last.url.path
    answered(family, answer="no")
    assert path not in (family.last.url.path, family.open("/questions").url.path)


def asked_of(household_id: uuid.UUID) -> dict[tuple[str, str], int]:
    with owner_session() as session:
        registry = published_now(session).registry
        document = session.get_one(HouseholdDocument, household_id).document
        actor = SimpleNamespace(household_id=household_id)
        return {
            (one.subject.partition(":")[0], one.fact.path): len(one.decides)
            for one in questions.open_questions(session, actor, registry, document)
        }


def test_questions_are_about_this_family_and_the_year_to_come(family, published):
    ((household_id,),) = rows("SELECT id FROM households")
    asked = asked_of(household_id)
    assert ("household", "household.single_parent") in asked
    assert not [fact for _, fact in asked if fact.startswith(("pregnancy.", "child.school"))], "a baby is at no school"
    intimate = [published_fact(fact).consent == "disability_health" for _, fact in asked]
    assert intimate == sorted(intimate), "disability and illness are asked about last"
    counts = [count for count, last in zip(asked.values(), intimate, strict=True) if not last]
    assert counts == sorted(counts, reverse=True)
    with owner_session() as session:
        session.execute(text("UPDATE entitlements SET valid_from = :day"), {"day": clock.today() + dt.timedelta(366)})
        session.commit()
    assert asked_of(household_id) == {}


def published_fact(path: str):
    with owner_session() as session:
        return published_now(session).registry.facts[path]


def test_a_family_is_offered_what_its_programmes_read_and_what_it_has_told(family, published):
    ((household_id,),) = rows("SELECT id FROM households")
    with owner_session() as session:
        registry = published_now(session).registry
        document = session.get_one(HouseholdDocument, household_id).document
        actor = SimpleNamespace(household_id=household_id)
        offered = {one.fact.path for one in questions.all_questions(session, actor, registry, document)}
        told = {**document, "facts": {**document.get("facts", {}), "income_tax": 20_000}}
        elsewhere = {**document, "municipality": "011002"}
        moved = {one.fact.path for one in questions.all_questions(session, actor, registry, elsewhere)}
        kept = {
            one.fact.path
            for one in questions.all_questions(session, actor, registry, {**told, "municipality": "011002"})
        }
    read = {path for key in registry.told_in(SETAGAYA) for one in registry.rulebook.versions[key] for path in one.reads}
    assert offered <= read
    assert len(offered) < len([fact for fact in registry.facts if fact.question is not None])
    assert "household.income_tax" in offered, "Tokyo's programme reads it"
    assert "household.income_tax" not in moved
    assert "household.income_tax" in kept, "what was told can still be seen and changed"


def test_refusing_a_category_ends_its_questions(family, work):
    family.open("/questions")
    while "次の質問に答える前に" not in family.last.text and family.last.url.path != "/questions":
        answered(family, answer="dont-know")
    path = family.last.url.path
    family.send(f"{path}/consent", {"consent": "refused"})
    assert family.last.url.path != path
    states = dict(rows("SELECT purpose, state FROM consents"))
    assert "refused" in states.values()


# ---- facts ----------------------------------------------------------------------------------------------------------


EDIT = {"municipality": SETAGAYA, "birth-year": "2026", "birth-month": "11", "birth-day": "6", "child_id": "c1"}


def test_a_form_filled_in_beside_another_loses_nothing(family):
    page = family.open("/family/edit")
    version = re.search(r'name="version" value="(\d+)"', page.text)[1]
    family.send("/family/edit", {**EDIT, "version": version})
    assert family.last.url.path == "/family"
    assert "2026年11月6日" in family.last.text
    # the same press again wants what is stored already
    assert family.send("/family/edit", {**EDIT, "version": version}, page="/family/edit").url.path == "/family"
    stale = family.send("/family/edit", {**EDIT, "birth-day": "9", "version": version}, page="/family/edit")
    assert stale.status_code == 409
    assert "ほかの画面で先に変更されていました" in stale.text
    assert 'name="birth-day" value="9"' in stale.text, "what was typed is still there"
    assert "2026年11月6日" in stale.text, "and what is stored is shown beside it"
    newer = re.search(r'name="version" value="(\d+)"', stale.text)[1]
    family.send("/family/edit", {**EDIT, "birth-day": "9", "version": newer})
    assert "2026年11月9日" in family.last.text
    facts = rows("SELECT path FROM household_facts WHERE path = 'child.birth_date'")
    assert len(facts) == 3, "every change is a fact of its own, and nothing was recorded twice"


def test_a_town_that_the_registry_does_not_know_is_kept(browser, published, work):
    browser.enter_family(municipality="other")
    with owner_session() as session:
        session.execute(text("""UPDATE household_documents SET document = document || '{"municipality": "011002"}'"""))
        session.commit()
    page = browser.open("/family/edit")
    version = re.search(r'name="version" value="(\d+)"', page.text)[1]
    browser.send("/family/edit", {**EDIT, "municipality": "other", "birth-day": "7", "version": version})
    assert "2026年11月7日" in browser.last.text
    assert rows("SELECT document ->> 'municipality' FROM household_documents") == [("011002",)]
    again = {**EDIT, "birth-day": "7", "version": str(int(version) + 1), "home": "correction"}
    browser.send("/family/edit", again, page="/family/edit")
    assert rows("SELECT document ->> 'municipality', municipality_code FROM household_documents") == [
        (SETAGAYA, SETAGAYA)
    ]


# ---- consent and contacts -------------------------------------------------------------------------------------------


def test_one_press_withdraws_one_purpose_and_one_withdraws_all(family):
    epoch = "SELECT consent_epoch FROM households"
    family.send("/consent/withdraw", {"purpose": "matching:income"}, page="/consent")
    assert "止めました" in family.last.text
    assert rows("SELECT state FROM consents WHERE purpose = 'matching:income'") == [("withdrawn",)]
    assert rows(epoch) == [(1,)]
    family.send("/consent/give", {"purpose": "matching:income"}, page="/consent")
    assert rows("SELECT state FROM consents WHERE purpose = 'matching:income'") == [("given",)]
    family.send("/consent/withdraw", {"purpose": "all"}, page="/consent")
    assert rows("SELECT count(*) FROM consents WHERE state = 'given'") == [(0,)]
    assert rows(epoch) == [(2,)]


def test_a_stop_that_met_an_open_request_says_so(family, code):
    """The answer waits three seconds for what was being sent; what is open still is named, not denied."""
    family.send("/contact", {"email": "hanako@example.jp"}, page="/contact")
    with owner_session() as session:
        session.execute(
            text("UPDATE deliveries SET state = 'sending', lease_until = clock_timestamp() + interval '30 seconds'")
        )
        session.commit()
    stopped = family.send("/consent/withdraw", {"purpose": "all"}, page="/consent").text
    assert "止めました" in stopped
    assert "送り始めたものがまだ終わっていません" in stopped


def confirm_email(browser, code: str, address: str = "hanako@example.jp"):
    browser.send("/contact", {"email": address}, page="/contact")
    return browser.send(browser.last.url.path, {"code": code})


def test_an_address_is_confirmed_by_a_code_in_the_same_browser(family, browser_of, code):
    family.send("/contact", {"email": "hanako@example.jp"}, page="/contact")
    path = family.last.url.path
    assert rows("SELECT lane, household_id IS NOT NULL FROM deliveries") == [("transactional", True)]
    wrong = family.send(path, {"code": "000000"})
    assert wrong.status_code == 422
    assert "コードが違うか、期限が切れています" in wrong.text
    assert rows("SELECT attempts_left FROM contact_confirmations") == [(4,)]
    family.send(path, {"code": "１２３ ４５６"})
    assert "メールアドレスを確認しました" in family.last.text
    assert rows("SELECT state FROM consents WHERE purpose = 'channel:email'") == [("given",)]
    again = family.send(path, {"code": code}, page=path)
    assert again.status_code == 422, "a code works once"


def test_a_code_is_bound_to_the_browser_that_asked(family, code):
    family.send("/contact", {"email": "hanako@example.jp"}, page="/contact")
    path = family.last.url.path
    name = next(name for name in family.client.cookies if "browser" in name)
    family.client.cookies.delete(name)
    refused = family.send(path, {"code": code}, page=path)
    assert refused.status_code == 422


def test_signing_in_again_answers_everybody_the_same(family, browser_of, code):
    confirm_email(family, code)
    known, unknown = browser_of(), browser_of()
    known.send("/sign-in", {"email": "hanako@example.jp"}, page="/sign-in")
    unknown.send("/sign-in", {"email": "nobody@example.jp"}, page="/sign-in")

    def shown(browser):
        return re.sub(r'value="[^"]*"|nonce="[^"]*"', "", browser.last.text)

    assert shown(known) == shown(unknown)
    refused = unknown.send("/sign-in/code", {"email": "nobody@example.jp", "code": code})
    wrong = browser_of()
    wrong.send("/sign-in", {"email": "hanako@example.jp"}, page="/sign-in")
    assert wrong.send("/sign-in/code", {"email": "hanako@example.jp", "code": "999999"}).status_code == 422
    assert refused.status_code == 422
    # the browser that asked before the latest code is not the one it is bound to
    assert known.send("/sign-in/code", {"email": "hanako@example.jp", "code": code}).status_code == 422
    known.send("/sign-in", {"email": "Hanako@EXAMPLE.jp".replace("H", "h")}, page="/sign-in")
    known.send("/sign-in/code", {"email": "hanako@example.jp", "code": code})
    assert known.last.url.path == "/home"
    assert "児童手当" in known.last.text


def test_guessing_codes_is_slowed_down(family, code, monkeypatch):
    family.send("/contact", {"email": "hanako@example.jp"}, page="/contact")
    path = family.last.url.path
    statuses = [family.send(path, {"code": "000000"}, page=path).status_code for _ in range(6)]
    assert statuses == [422] * 6
    assert family.send(path, {"code": code}, page=path).status_code == 422, "five wrong ones use the code up"
    for _ in range(20):
        if family.send(path, {"code": "000000"}, page=path).status_code == 429:
            break
    else:
        pytest.fail("no limit")
    assert int(family.last.headers["retry-after"]) > 0


def test_unsubscribing_needs_a_press_and_no_cookie(family, browser_of, code):
    confirm_email(family, code)
    ((contact_id, household_id),) = rows("SELECT id, household_id FROM contact_points")
    path = f"/unsubscribe/{unsubscribe_token(household_id, contact_id)}"
    stopped = "SELECT count(*) FROM contact_points WHERE suspended_at IS NOT NULL"
    mail_program = browser_of()
    assert "このページを開いただけでは、まだ止まっていません" in mail_program.open(path).text
    assert rows(stopped) == [(0,)]
    answer = browser_of().client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert rows(stopped) == [(1,)]
    assert browser_of().client.post(path).status_code == 200, "twice is no error"
    assert browser_of().client.post("/unsubscribe/" + "A" * 64).status_code == 404


def sign_in(browser, address: str, code: str):
    browser.send("/sign-in", {"email": address}, page="/sign-in")
    return browser.send("/sign-in/code", {"email": address, "code": code})


def test_signing_in_starts_no_mail_that_was_stopped(family, browser_of, code):
    confirm_email(family, code)
    stop = "UPDATE contact_points SET suspended_at = now(), suspended_reason = 'smtp_5.1.1'"
    with owner_session() as session:
        session.execute(text(stop))
        session.commit()
    suspended = "SELECT suspended_reason FROM contact_points WHERE suspended_at IS NOT NULL"
    assert sign_in(browser_of(), "hanako@example.jp", code).url.path == "/home"
    assert rows(suspended) == [("smtp_5.1.1",)]
    assert "止まっています" in family.open("/contact").text
    confirm_email(family, code)
    assert rows(suspended) == []


# ---- protection (支援措置) -------------------------------------------------------------------------------------------

OLD, NEW = "hanako@example.jp", "hanako.new@example.jp"


@pytest.fixture
def protected(family, browser_of, code):
    """A family whose old address asked for a code and then came under protection; and the browser with that code."""
    confirm_email(family, code, OLD)
    asking = browser_of()
    asking.send("/sign-in", {"email": OLD}, page="/sign-in")
    ((household_id,),) = rows("SELECT id FROM households")
    protect(household_id, by="staff:1")
    return household_id, asking


def test_under_protection_the_old_address_opens_nothing_and_looks_like_any_other(protected, browser_of, code):
    household_id, asking = protected
    old_code = asking.send("/sign-in/code", {"email": OLD, "code": code})
    assert old_code.status_code == 422, "a code asked for before the flag"
    mails = rows("SELECT count(*) FROM deliveries WHERE lane = 'transactional'")
    old, unknown = browser_of(), browser_of()
    old.send("/sign-in", {"email": OLD}, page="/sign-in")
    unknown.send("/sign-in", {"email": "nobody@example.jp"}, page="/sign-in")

    def shown(browser):
        return re.sub(r'value="[^"]*"|nonce="[^"]*"', "", browser.last.text)

    assert shown(old) == shown(unknown)
    assert rows("SELECT count(*) FROM deliveries WHERE lane = 'transactional'") == mails
    assert old.send("/sign-in/code", {"email": OLD, "code": code}).status_code == 422
    assert rows("SELECT count(*) FROM web_sessions WHERE ended_at IS NULL") == [(0,)]


def test_a_protected_guardian_let_in_by_a_link_binds_a_new_address_but_no_old_one(protected, browser_of, code):
    household_id, _ = protected
    with app_session(Context(household=household_id)) as session:
        token = create_link(session, municipality_code=SETAGAYA, household_id=household_id, guardian="g1")
        session.commit()
    guardian = browser_of()
    assert guardian.send(f"/sign-in/{token}", page=f"/sign-in/{token}").url.path == "/home"
    ((old_id,),) = rows("SELECT id FROM contact_points")
    page = guardian.open("/contact").text
    assert OLD not in page and "確認済み" not in page, "what was known before is neither used nor shown any more"
    refused = guardian.send("/contact", {"email": OLD.upper().replace("EXAMPLE", "example")})
    assert refused.status_code == 422
    assert "別のメールアドレスを入力してください" in refused.text
    assert "保護" not in refused.text and "支援措置" not in refused.text
    assert guardian.send(f"/contact/{old_id}", {"code": code}, page="/contact").status_code == 422
    confirm_email(guardian, code, NEW)
    assert guardian.last.url.path == "/home"
    assert sign_in(browser_of(), NEW, code).url.path == "/home"
    assert sign_in(browser_of(), OLD, code).status_code == 422


# ---- open to everybody ----------------------------------------------------------------------------------------------


def test_help_is_there_without_signing_in(browser, published):
    page = browser.open("/help").text
    assert 'href="tel:189"' in page
    assert 'href="tel:0120078310"' in page
    assert "0120-0-78310" in page
    assert 'href="tel:0333664152"' not in page, "a desk of Tokyo is for those who live there or ask for it"


def test_help_lists_the_desks_of_the_town_that_is_asked_or_lived_in(browser, published):
    asked = browser.open("/help?town=131121").text
    assert 'href="tel:0333664152"' in asked
    assert 'href="tel:%238000"' in asked
    assert "みはらし" not in asked
    assert "みはらし市(架空)こども家庭センター" in browser.open("/help?town=139904").text
    assert browser.open("/help?town=other").status_code == 200
    assert browser.open("/help?town=%3Cscript%3E").status_code == 200
    browser.enter_family()
    assert 'href="tel:0353391133"' in browser.open("/help").text


def test_the_demo_date_moves_only_in_the_demo(browser, published, monkeypatch):
    browser.enter_family()
    before = clock.today()
    assert "デモの日付" not in browser.open("/start").text
    assert browser.send("/demo/clock", {"days": "7"}).status_code == 404
    monkeypatch.setenv("TODOKE_DEMO", "true")
    settings.cache_clear()
    assert "デモの日付" in browser.open("/start").text
    browser.send("/demo/clock", {"days": "7", "face": "parent"})
    assert (clock.today() - before).days == 7
    assert browser.last.url.path == "/home", "moving the date signs nobody out"


def test_a_link_from_an_app_leads_to_its_notice_and_to_nobody_elses(family):
    ((household_id,),) = rows("SELECT id FROM households")
    partner_id = new_id()
    with app_session(Context(partner=partner_id)) as session:
        register_partner(session, partner_id, name="テスト社", app_name="テストアプリ")
        session.commit()
    subject_id = link(household_id, partner_id, by="guardian:g1", via="test")
    card_path = re.search(r"/notices/([0-9a-f-]{36})", family.open("/home").text)
    name = pairwise_notice_id(subject_id, uuid.UUID(card_path[1]))
    assert family.open(f"/open/{name}", follow_redirects=False).headers["location"] == f"/notices/{card_path[1]}"
    assert family.open(f"/open/{name[:-1]}x").status_code == 404
