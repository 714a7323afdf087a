"""Information for everybody in an area: who hears it, when, how it ranks, and what happens when a worker dies."""

import datetime as dt
import json
import multiprocessing
import os
import signal

import pytest
import yaml
from sqlalchemy import text
from sqlmodel import select
from typer.testing import CliRunner

from app.cli import main
from app.delivery.tables import Delivery
from app.households.enrolment import Enrolment, enrol
from app.households.tables import ContactPoint
from app.notices import bulletin_rounds, bulletins, inbox, information
from app.notices.announce import release_due
from app.notices.message_lint import findings
from app.notices.message_samples import plain, said_in
from app.notices.tables import Bulletin, PushLog
from app.platform import clock
from app.platform.database import Context, app_session, dispose_engines, owner_session, worker_session
from app.platform.errors import Conflict, InvalidInput
from app.platform.settings import settings
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.protection import protect
from app.safeguards.withdrawal import withdraw
from tests.fixtures.factories import EVERYTHING, a_child, a_household, a_linked_app, enrolled
from tests.integration.notices.telling import NEWBORN, SIBLINGS, arrived, at, messages, notices, save, tell

AUTHOR, APPROVER = "staff:港区 子ども家庭課", "staff:港区 広報課"
DOCUMENT = {
    "area": "131121",
    "title": "年末年始の窓口のお休み",
    "body": "世田谷区の窓口は、2026年12月29日(火)から2027年1月3日(日)まで休みます。\n届け出は、郵便でもできます。",
    "source": "世田谷区 子ども家庭課",
    "contact": "子ども家庭課 03-0000-0000",
    "valid_from": dt.date(2026, 11, 24),
    "valid_until": dt.date(2026, 12, 28),
}
EMERGENCY = {
    **DOCUMENT,
    "title": "給水所を開いています",
    "body": "区内の広い範囲で水が止まっています。\n小学校の校庭で水を配っています。",
    "body_easy": "水が 出ません。\n小学校で 水を もらうことが できます。",
    "title_easy": "水を 配って います",
    "urgent": True,
}
QUIET = a_household(children=[], facts={"single_parent": False, "public_assistance": False})
WATER = "小学校の校庭で水を配っています"


def sent(document=DOCUMENT, **changes):
    written = bulletins.write({**document, **changes}, AUTHOR)
    bulletins.approve(written.id, APPROVER)
    bulletins.send(written.id, AUTHOR)
    return written.id


def told(household_id):
    return notices(household_id, kind="information")


def row(bulletin_id):
    with worker_session() as session:
        return session.get_one(Bulletin, bulletin_id)


def many(number, municipality="131121"):
    with owner_session() as session:
        ids = enrol(
            session,
            [
                Enrolment(a_household(municipality), purposes=EVERYTHING, contacts=(("email", f"f{n}@home.example"),))
                for n in range(number)
            ],
        )
        session.execute(text("DELETE FROM changes"))
        session.commit()
    return ids


def test_two_people_and_only_once(world):
    written = bulletins.write(DOCUMENT, AUTHOR)
    with pytest.raises(Conflict, match="expected approved"):
        bulletins.send(written.id, AUTHOR)
    for same in (AUTHOR, "STAFF:港区　子ども家庭課", f" {AUTHOR} "):
        with pytest.raises(InvalidInput, match="second person"):
            bulletins.approve(written.id, same)
    with worker_session() as session, pytest.raises(Exception, match="bulletins_two_people"):
        session.execute(
            text("UPDATE bulletins SET state = 'approved', approved_by = written_by WHERE id = :id"), {"id": written.id}
        )
    bulletins.approve(written.id, APPROVER)
    bulletins.send(written.id, AUTHOR)
    with pytest.raises(Conflict, match="is sending"):
        bulletins.send(written.id, AUTHOR)


def test_what_is_wrong_is_said_all_at_once_and_nothing_is_written(world):
    bad = {
        **DOCUMENT, "title": "【重要】ひとり親の方は必ずもらえます!!①", "link": "http://town.example.com/",
        "body": "令和8年12月4日までに10000円", "area": "131130", "programme": "131121/nothing", "contact": "",
        "valid_until": dt.date(2026, 11, 1),
    }  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        bulletins.write(bad, AUTHOR)
    for field in ("title", "body", "contact", "link", "programme", "valid_until"):
        assert f"{field}: " in refused.value.message, field
    for word in ("ひとり親", "必ずもらえ", "!!", "①", "令和8年", "10000円"):
        assert word in refused.value.message, word
    with pytest.raises(InvalidInput, match="whose check digit is wrong"):
        bulletins.write({**DOCUMENT, "area": "131122"}, AUTHOR)
    with pytest.raises(InvalidInput, match="sauce"):
        bulletins.write({**DOCUMENT, "sauce": "x"}, AUTHOR)
    assert bulletins.listed() == []


@pytest.mark.parametrize(
    ("area", "reached"), [("131121", {"131121"}), ("130001", {"131121", "131032"}), ("000000", {"131121", "131032", "011002"})]
)  # fmt: skip
def test_everybody_in_the_area_and_nobody_else(world, area, reached):
    families = {code: enrolled(a_household(code, children=[])) for code in ("131121", "131032", "011002")}
    without = enrolled(a_household("131121", children=[]), purposes=("channel:email",))
    gone = enrolled(a_household("131121", children=[]))
    withdraw(gone, ["matching:basic"], by="guardian:g1")
    bulletin_id = sent(area=area)
    assert bulletin_rounds.work_off() > 0
    assert {code for code, family in families.items() if told(family)} == reached
    assert told(without) == told(gone) == []
    done = row(bulletin_id)
    assert (done.state, done.work_left) == ("sent", False)
    assert bulletin_rounds.work_off() == 0


def test_what_a_family_reads(world):
    family = enrolled(QUIET, contacts=(("email", "f@home.example"), ("line", "U" + "3" * 32)))
    a_linked_app(family, "http://127.0.0.1:9/hook")
    sent(EMERGENCY, link="https://www.city.setagaya.tokyo.jp/water")
    bulletin_rounds.work_off()
    by_channel = {delivery.channel: content for delivery, content in messages(family)}
    mail, line = by_channel["email"], by_channel["line"]
    assert mail["subject"] == "【Todoke】給水所を開いています"
    for part in (mail["text"], mail["html"], json.dumps(line["messages"], ensure_ascii=False)):
        assert WATER in part
        assert "小学校で 水を もらうことが できます" in part
        assert "世田谷区にお住まいのみなさんに、同じ内容で" in part
        assert "これは決定ではありません" not in part
        assert "setagaya" not in part
    assert line["fallback_text"] == "給水所を開いています"
    own = settings().public_url
    assert findings("subject", mail["subject"], own_url=own) == []
    assert findings("information_mail", mail["text"], own_url=own) == []
    assert findings("information_mail", plain(mail["html"]), own_url=own) == []
    assert findings("information_push", said_in(line["messages"][0]), own_url=own) == []
    event = json.loads(by_channel["webhook"]["body"])
    assert (event["type"], event["data"]["kind"]) == ("notice.created", "information")
    assert (event["data"]["programme_id"], event["data"]["category"]) == (None, "information")
    with app_session(Context(household=family)) as session:
        (card,) = inbox.all_notices(session, family, clock.today())
        page = inbox.read_notice(session, family, card.notice_id, clock.now())
    assert (card.kind, card.finished, card.outcome) == ("information", False, None)
    assert (page.body[1], page.source_url) == (WATER + "。", "https://www.city.setagaya.tokyo.jp/water")
    assert (page.outcome_choices, page.closing) == ((), "")


def test_an_emergency_goes_at_night_past_caps_to_every_address(world):
    family = enrolled(NEWBORN, contacts=(("email", "f@home.example"), ("line", "U" + "3" * 32)))
    tell()
    before = len(messages(family))
    with owner_session() as session:
        for day in ("2026-11-22", "2026-11-23"):
            session.execute(
                text(
                    "INSERT INTO push_log (id, household_id, municipality_code, day, dedupe_key, exempt)"
                    " SELECT gen_random_uuid(), household_id, municipality_code, :day, dedupe_key, false FROM push_log"
                    " WHERE household_id = :id LIMIT 1"
                ),
                {"day": day, "id": family},
            )
        session.commit()
        logged = len(session.exec(select(PushLog).where(PushLog.household_id == family)).all())
    at("2026-11-24", 23)
    sent(EMERGENCY)
    ordinary = sent()
    bulletin_rounds.work_off()
    fresh = [delivery for delivery, _ in messages(family)][before:]
    assert {delivery.channel for delivery in fresh} == {"email", "line"}
    assert {delivery.queue for delivery in fresh} == {"email:urgent", "line:urgent"}
    assert all(delivery.next_attempt_at <= clock.now() for delivery in fresh)
    with owner_session() as session:
        assert len(session.exec(select(PushLog).where(PushLog.household_id == family)).all()) == logged
    (waits,) = [notice for notice in told(family) if notice.occasion == str(ordinary)]
    assert waits.state == "planned"


def test_an_ordinary_one_waits_until_morning_and_stands_in_the_inbox(world):
    family = enrolled(QUIET)
    at("2026-11-24", 23)
    sent()
    bulletin_rounds.work_off()
    assert messages(family) == []
    with app_session(Context(household=family)) as session:
        assert [card.title for card in inbox.all_notices(session, family)] == [DOCUMENT["title"]]
    at("2026-11-25", 9)
    release_due()
    ((delivery, content),) = messages(family)
    assert (delivery.channel, content["subject"]) == ("email", "【Todoke】年末年始の窓口のお休み")


def test_it_never_takes_a_push_from_a_familys_own_news(world):
    family = enrolled(QUIET)
    tell()
    sent()
    bulletin_rounds.work_off()
    assert len(messages(family)) == 1
    arrived(family)
    with owner_session() as session:  # the family's own two of the week are untouched
        (logged,) = session.exec(select(PushLog).where(PushLog.household_id == family)).all()
    assert logged.exempt
    at("2026-11-26")
    sent(title="図書館のお休み")
    bulletin_rounds.work_off()
    assert len(messages(family)) == 1
    (second,) = [notice for notice in told(family) if notice.content["title"] == "図書館のお休み"]
    assert second.release_at.astimezone(clock.JAPAN).date() == dt.date(2026, 12, 1)
    at("2026-12-01", 10)
    release_due()
    assert len(messages(family)) == 2


def test_a_familys_first_match_stays_one_overview(world):
    family = enrolled(NEWBORN)
    sent()
    bulletin_rounds.work_off()
    tell()
    assert len(notices(family, programme_key="overview")) == 1
    at("2026-11-25")
    release_due()
    (_, own) = (content["subject"] for _, content in messages(family))
    assert "ご家庭に関わりそうな支援や手続きが" in own


def test_it_goes_along_with_the_next_own_news(world):
    family = enrolled(SIBLINGS)
    tell()
    arrived(family)
    sent()
    bulletin_rounds.work_off()  # the day's one message is used up
    before = messages(family)
    assert [notice.state for notice in told(family)] == ["planned"]
    at("2026-11-27", 10)
    with owner_session() as session:
        session.execute(
            text("UPDATE notices SET release_at = '2026-12-05' WHERE kind = 'information' AND household_id = :id"),
            {"id": family},
        )
        session.commit()
    save(family, children=[{"id": "c1", "birth_date": "2018-05-05"}, {"id": "c9", "birth_date": "2026-11-21"}])
    tell()
    (fresh,) = messages(family)[len(before) :]
    assert DOCUMENT["title"] in fresh[1]["text"]
    assert "これは決定ではありません" in fresh[1]["text"]


def test_chunks_a_killed_worker_and_two_workers(world, monkeypatch):
    monkeypatch.setattr(bulletin_rounds, "HOUSEHOLDS_AT_ONCE", 4)
    ids = [*many(10), *many(3, "131032")]
    bulletin_id = sent(area="130001")
    dispose_engines()

    def die_after(chunks):
        for _ in range(chunks):
            bulletin_rounds._work_chunk()
        original = bulletin_rounds.enqueue_all

        def killed(session, found):
            original(session, found)
            os.kill(os.getpid(), signal.SIGKILL)

        bulletin_rounds.enqueue_all = killed
        bulletin_rounds._work_chunk()

    forked = multiprocessing.get_context("fork")
    dying = forked.Process(target=die_after, args=(1,))
    dying.start()
    dying.join(30)
    assert dying.exitcode == -signal.SIGKILL
    assert sum(bool(told(family)) for family in ids) in (3, 4)
    with worker_session() as session:  # while one works on it, the other finds nothing to do
        session.exec(select(Bulletin).where(Bulletin.id == bulletin_id).with_for_update()).one()
        assert bulletin_rounds._work_chunk() is None
    dispose_engines()
    both = [forked.Process(target=_work_until_done, args=(bulletin_id,)) for _ in range(2)]
    for worker in both:
        worker.start()
    for worker in both:
        worker.join(60)
    assert [worker.exitcode for worker in both] == [0, 0]
    assert [len(told(family)) for family in ids] == [1] * 13
    assert [len(messages(family)) for family in ids] == [1] * 13
    assert row(bulletin_id).state == "sent"


def _work_until_done(bulletin_id):
    while row(bulletin_id).work_left:
        bulletin_rounds._work_chunk()


def test_two_workers_take_different_families_of_one_bulletin_at_once(world, monkeypatch):
    monkeypatch.setattr(bulletin_rounds, "HOUSEHOLDS_AT_ONCE", 3)
    ids = many(6)
    bulletin_id = sent()
    enqueue_all, found = bulletin_rounds.enqueue_all, []

    def meanwhile(session, messages):
        if not found:
            found.append("the first is in the middle of its chunk")
            assert bulletin_rounds._work_chunk() == 3
            found.append([len(told(family)) for family in ids])
        return enqueue_all(session, messages)

    monkeypatch.setattr(bulletin_rounds, "enqueue_all", meanwhile)
    assert bulletin_rounds._work_chunk() == 3
    assert sorted(found[1]) == [0, 0, 0, 1, 1, 1], "the second did not wait for the first"
    assert [len(told(family)) for family in ids] == [1] * 6
    bulletin_rounds.work_off()
    assert (row(bulletin_id).state, row(bulletin_id).rounds) == ("sent", 2)
    assert [len(messages(family)) for family in ids] == [1] * 6


def test_one_family_that_cannot_be_told_keeps_it_from_nobody(world, monkeypatch, caplog):
    broken, *others = many(3)
    bulletin_id = sent()
    notice_of = information.notice_of

    def failing(situation, *arguments):
        if situation.household.id == broken:
            raise LookupError("a value of somebody's household")
        return notice_of(situation, *arguments)

    monkeypatch.setattr(information, "notice_of", failing)
    bulletin_rounds.work_off()
    assert row(bulletin_id).state == "sent"
    assert [len(told(family)) for family in (broken, *others)] == [0, 1, 1]
    assert "set aside: LookupError" in caplog.text and "somebody" not in caplog.text


def test_who_enrols_while_it_is_in_force_is_told_it(world):
    before = enrolled(QUIET)
    sent()
    sent({**EMERGENCY, "area": "130001"})
    bulletin_rounds.work_off()
    without = enrolled(QUIET, purposes=("channel:email",))
    here, elsewhere = enrolled(QUIET), enrolled(a_household("011002", children=[]))
    assert bulletin_rounds.tell_newcomers() == 2, "one family, two bulletins"
    assert bulletin_rounds.tell_newcomers() == 0
    assert [len(told(one)) for one in (before, here, elsewhere, without)] == [2, 2, 0, 0]
    assert [message["subject"] for _, message in messages(here) if EMERGENCY["title"] in message["subject"]]
    at("2026-12-30")
    late = enrolled(QUIET)
    assert bulletin_rounds.tell_newcomers() == 0
    assert told(late) == []


def test_who_moves_into_a_part_that_was_done_is_found_in_the_second_round(world, monkeypatch):
    monkeypatch.setattr(bulletin_rounds, "HOUSEHOLDS_AT_ONCE", 2)
    many(2, "131032")
    late = enrolled(a_household("131121", children=[]))
    sent(area="130001")
    bulletin_rounds._work_chunk()
    with owner_session() as session:
        session.execute(text("UPDATE households SET municipality_code = '131032' WHERE id = :id"), {"id": late})
        session.commit()
    bulletin_rounds.work_off()
    assert len(told(late)) == 1


def test_protection_hears_in_neutral_words_at_a_new_address(world):
    family = enrolled(QUIET)
    a_linked_app(family, "http://127.0.0.1:9/hook")
    protect(family, by="staff:test", reason=None)
    sent(EMERGENCY)
    bulletin_rounds.work_off()
    assert len(told(family)) == 1
    assert messages(family) == []
    with owner_session() as session:  # somebody confirmed a new address since
        (contact,) = session.exec(select(ContactPoint).where(ContactPoint.household_id == family)).all()
        contact.confirmed_at = contact.created_at = clock.now() + dt.timedelta(seconds=1)
        session.add(contact)
        session.commit()
    clock.shift_to(clock.now() + dt.timedelta(minutes=1))
    sent(EMERGENCY, title="避難所を開いています")
    bulletin_rounds.work_off()
    ((_, content),) = messages(family, "email")
    assert content["subject"] == "【Todoke】急ぎのお知らせが1件あります"
    for word in ("水", "避難", "世田谷"):
        assert word not in content["text"] + content["html"]


def test_a_bereaved_family_is_not_pushed_about_the_programme(world):
    one_child = a_household(children=[a_child("2023-11-02")])
    bereaved, sibling = enrolled(one_child), enrolled(NEWBORN)
    for family in (bereaved, sibling):
        stop_pushes_about(family, "child:c1", reason="death", by="staff:test")
    tell()

    def heard(family, title):
        return sum(title in content["subject"] for _, content in messages(family))

    sent(EMERGENCY, title="手当の支給日が変わります", programme="000000/child-allowance")
    sent(EMERGENCY)
    bulletin_rounds.work_off()
    assert [notice.state for notice in told(bereaved)] == ["released", "released"]
    assert [heard(bereaved, "支給日が変わります"), heard(bereaved, "給水所")] == [0, 1]
    assert [heard(sibling, "支給日が変わります"), heard(sibling, "給水所")] == [1, 1]


def test_a_cancelled_one_is_called_back_and_stands_as_withdrawn(world):
    told_already, waiting = enrolled(QUIET), enrolled(QUIET, contacts=(("email", "g@home.example"),))
    a_linked_app(told_already, "http://127.0.0.1:9/hook")
    bulletin_id = sent(EMERGENCY)
    bulletin_rounds.work_off()
    arrived(told_already)
    bulletins.cancel(bulletin_id, APPROVER, "wrong school")
    with owner_session() as session:
        states = {
            delivery.household_id: delivery.state
            for delivery in session.exec(select(Delivery).where(Delivery.channel == "email"))
        }
        events = [
            delivery.event_type for delivery in session.exec(select(Delivery).where(Delivery.channel == "webhook"))
        ]
    assert (states[told_already], states[waiting]) == ("delivered", "cancelled")
    assert "notice.cancelled" in events
    for family in (told_already, waiting):
        with app_session(Context(household=family)) as session:
            (card,) = inbox.all_notices(session, family)
        assert (card.state, card.finished) == ("cancelled", True)
    with pytest.raises(Conflict, match="is cancelled"):
        bulletins.cancel(bulletin_id, APPROVER, "again")


def test_a_correction_takes_its_place(world):
    family, newcomer = enrolled(QUIET), None
    a_linked_app(family, "http://127.0.0.1:9/hook")
    first = sent(EMERGENCY)
    bulletin_rounds.work_off()
    arrived(family)
    newcomer = enrolled(QUIET)
    sent(EMERGENCY, title="給水所は中学校です", corrects=first)
    bulletin_rounds.work_off()
    earlier, later = sorted(told(family), key=lambda notice: notice.id)
    assert (earlier.state, earlier.superseded_by) == ("superseded", later.id)
    assert later.content["title"] == "訂正: 給水所は中学校です"
    assert [delivery.event_type for delivery, _ in messages(family, "webhook")] == ["notice.created", "notice.updated"]
    assert [notice.state for notice in told(newcomer)] == ["released"]
    assert row(first).state == "corrected"


def test_it_expires(world):
    family = enrolled(QUIET)
    bulletin_id = sent(valid_until=dt.date(2026, 11, 25))
    late = sent(valid_from=dt.date(2026, 11, 26), valid_until=dt.date(2026, 11, 26), title="あしたのこと")
    bulletin_rounds.work_off()
    assert (row(bulletin_id).state, row(late).state) == ("sent", "sending")
    at("2026-11-27")
    release_due()
    bulletin_rounds.work_off()
    assert [notice.state for notice in told(family)] == ["expired"]
    assert row(late).state == "sent"


def test_the_commands(world, tmp_path):
    def run(*words):
        return CliRunner().invoke(main, ["bulletin", *words])

    family = enrolled(QUIET)
    file = tmp_path / "bulletin.yaml"
    file.write_text(yaml.safe_dump(DOCUMENT | {"title": "急いで!!"}, allow_unicode=True), encoding="utf-8")
    refused = run("write", str(file), "--by", AUTHOR)
    assert refused.exit_code == 2
    assert "title: 地域のお知らせの題「!!」" in refused.stderr
    file.write_text("- 1", encoding="utf-8")
    assert "expected a mapping" in run("write", str(file), "--by", AUTHOR).stderr
    file.write_text(yaml.safe_dump(DOCUMENT, allow_unicode=True), encoding="utf-8")
    written = run("write", str(file), "--by", AUTHOR)
    bulletin_id = written.stdout.split()[1].rstrip(";")
    assert "expected a second person" in run("approve", bulletin_id, "--by", AUTHOR).stderr
    assert run("approve", bulletin_id, "--by", APPROVER).exit_code == 0
    assert "between 8:00 and 21:00" in run("send", bulletin_id, "--by", AUTHOR).stdout
    bulletin_rounds.work_off()
    assert len(messages(family)) == 1
    assert f"{bulletin_id}\tsent\t131121" in run("list", "--municipality", "131121").stdout
    assert run("cancel", bulletin_id, "--by", APPROVER, "--reason", "wrong").exit_code == 0
    assert "cancelled" in run("list").stdout
    assert "is cancelled" in run("send", bulletin_id, "--by", AUTHOR).stderr
