"""Draft → in review → published → retired, and back: two people, one way in, nothing lost."""

import datetime as dt

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import select

from app.accounts.tables import StaffAccount
from app.platform.change_queue import Change
from app.platform.database import Context, app_session, owner_session
from app.platform.errors import Conflict, InvalidInput, NotFound, NotPermitted
from app.platform.identifiers import new_id
from app.registry import lifecycle
from app.registry.changes import changes_since
from app.registry.digests import storable
from app.registry.drafts import StaleRevision, save_draft
from app.registry.lifecycle import Editor
from app.registry.readiness import NotReady
from app.registry.tables import ProgrammeDraft, ProgrammeVersionRow
from app.registry.versions import publish, published
from tests.integration.registry.conftest import NOW, SETAGAYA, a_programme, context_of

KEY = "131121/picture-book-money"
LATER = NOW + dt.timedelta(days=1)


def save(office, document, revision=None, now=NOW):
    with app_session(office.context) as session:
        draft = save_draft(session, document, office.author.account_id, now, revision=revision)
        session.commit()
    return draft


def submit(office, draft, now=NOW):
    with app_session(office.context) as session:
        lifecycle.submit(session, draft.id, draft.revision, office.author, now)
        session.commit()


def approve(office, draft, now=NOW, by=None):
    by = by or office.approver
    with app_session(context_of(by)) as session:
        done = lifecycle.approve_and_publish(session, draft.id, draft.revision, by, now)
        session.commit()
    return done


def publish_document(office, document, now=NOW):
    draft = save(office, document, now=now)
    submit(office, draft, now)
    return approve(office, draft, now)


def versions(known_at=None):
    with app_session() as session:
        found = published(session, known_at=known_at).registry.programmes.get(KEY, ())
    return [(one.version, str(one.valid.until) if one.valid.until else None, int(one.amount[0].yen)) for one in found]


def test_a_draft_is_published_by_a_second_person_and_evaluated(office):
    draft = save(office, a_programme())
    submit(office, draft)
    submit(office, draft)
    with pytest.raises(NotPermitted, match="expected somebody else"):
        approve(office, draft, by=office.author)
    first, again = approve(office, draft), approve(office, draft, now=LATER)
    assert (first.written, again.written) == (("2026-04-01",), ("2026-04-01",))
    assert versions() == [("2026-04-01", None, 3000)]
    with owner_session() as session:
        row = session.exec(select(ProgrammeVersionRow).where(ProgrammeVersionRow.programme_key == KEY)).one()
        assert (row.draft_id, row.approver_id, row.kind) == (draft.id, office.approver.account_id, "published")
        queued = session.exec(select(Change).where(Change.programme_key == KEY)).all()
        assert [change.municipality_code for change in queued] == [SETAGAYA]
        assert [one.kind for one in changes_since(session).changes if one.programme_key == KEY] == ["published"]


def test_several_future_versions_end_each_other_and_the_past_stays_known(office):
    publish_document(office, a_programme("2026-04-01", 3000))
    publish_document(office, a_programme("2028-04-01", 5000), LATER)
    between = publish_document(office, a_programme("2027-04-01", 4000), LATER + dt.timedelta(days=1))
    assert between.shortened == ("2026-04-01",)
    assert versions() == [
        ("2026-04-01", "2027-03-31", 3000),
        ("2027-04-01", "2028-03-31", 4000),
        ("2028-04-01", None, 5000),
    ]
    assert versions(known_at=NOW) == [("2026-04-01", None, 3000)]
    assert versions(known_at=LATER) == [("2026-04-01", "2028-03-31", 3000), ("2028-04-01", None, 5000)]
    assert versions(known_at=NOW - dt.timedelta(seconds=1)) == []


def test_a_stale_revision_is_refused_with_what_changed_and_by_whom(office):
    save(office, a_programme())
    second = save(office, a_programme(yen=3500), revision=1)
    assert second.revision == 2
    assert save(office, a_programme(yen=3500), revision=1).revision == 2  # the same again is no second effect
    with pytest.raises(StaleRevision) as refused:
        save(office, a_programme(yen=9000), revision=1)
    assert refused.value.paths == ("amount", "examples")
    assert str(office.author.account_id) in refused.value.message
    with pytest.raises(StaleRevision, match="found revision 2"), app_session(office.context) as session:
        lifecycle.submit(session, second.id, 1, office.author, NOW)


NEVER = {"all": [{"within": "child.birth_date", "until": "6y"}, {"not": {"within": "child.birth_date", "until": "6y"}}]}
WRONG = [
    ({"criteria": {"fact": "child.no_such", "is": True}}, "criteria.fact"),
    ({"amount": [{"yen": 10, "per": "month"}]}, "examples[0].expect.child:c1.amount: found 10; expected 3000"),
    ({"amount": [{"per": "month"}]}, "amount[0].yen"),
    ({"based_on": "000000/no-such"}, "based_on"),
    ({"criteria": NEVER, "examples": []}, "never_true"),
    ({"name": {"ja": "ここに書く"}}, "unfilled"),
]


def test_what_is_wrong_is_not_submitted(office):
    revision = None
    for change, complaint in WRONG:
        draft = save(office, {**a_programme(), **change}, revision=revision)
        with pytest.raises(NotReady) as refused:
            submit(office, draft)
        assert complaint in refused.value.message
        revision = draft.revision


def test_returned_changed_and_withdrawn(office):
    draft = save(office, a_programme())
    submit(office, draft)
    with app_session(office.approving) as session:
        back = lifecycle.return_to_author(session, draft.id, 1, "金額の根拠を書いてください", office.approver, NOW)
        session.commit()
    assert (back.state, back.revision) == ("draft", 1)
    with pytest.raises(Conflict, match="found the draft draft; expected in_review"):
        approve(office, draft)
    with app_session(office.context) as session:
        lifecycle.withdraw(session, draft.id, 1, office.author, NOW)
        lifecycle.withdraw(session, draft.id, 1, office.author, NOW)
        session.commit()
    assert save(office, a_programme()).revision == 1


def test_an_end_is_approved_too_and_drops_later_versions(office):
    publish_document(office, a_programme("2026-04-01", 3000))
    publish_document(office, a_programme("2027-04-01", 4000), LATER)
    with app_session(office.context) as session:
        ask = (session, KEY, dt.date(2026, 12, 31), "財源がなくなったため", office.author, LATER)
        end = lifecycle.retire(*ask)
        assert lifecycle.retire(*ask).id == end.id
        session.commit()
    assert versions()[0][1] == "2027-03-31"
    done = approve(office, end, LATER + dt.timedelta(hours=1))
    assert done.dropped == ("2027-04-01",)
    assert versions() == [("2026-04-01", "2026-12-31", 3000)]
    with app_session() as session:
        kinds = [(str(one.valid_from), one.kind) for one in changes_since(session).changes if one.programme_key == KEY]
    assert kinds[-2:] == [("2026-04-01", "retired"), ("2027-04-01", "retired")]


def test_rolling_back_is_a_new_version_with_the_older_contents(office):
    publish_document(office, a_programme(yen=3000))
    publish_document(office, a_programme(yen=9000), LATER)
    with app_session(office.context) as session:
        older = lifecycle.history(session, KEY)[0]
        with pytest.raises(InvalidInput, match="empty reason"):
            lifecycle.roll_back(session, older.id, " ", office.author, LATER)
        back = lifecycle.roll_back(session, older.id, "金額の誤り", office.author, LATER)
        session.commit()
    approve(office, back, LATER + dt.timedelta(hours=1))
    assert versions() == [("2026-04-01", None, 3000)]
    assert versions(known_at=LATER) == [("2026-04-01", None, 9000)]
    with app_session() as session:
        rows = [(row.kind, row.reason, row.known_until is None) for row in lifecycle.history(session, KEY)]
    assert rows == [("published", None, False), ("changed", None, False), ("rolled_back", "金額の誤り", True)]


def test_rolling_back_brings_back_the_older_last_day_too(office):
    publish_document(office, a_programme(valid={"from": "2026-04-01", "until": "2027-03-31"}))
    publish_document(office, a_programme(valid={"from": "2026-04-01", "until": "2028-03-31"}, yen=9000), LATER)
    with app_session(office.context) as session:
        older = lifecycle.history(session, KEY)[0]
        with pytest.raises(InvalidInput, match="found a version that ends on 2027-03-31; expected the last day of one"):
            lifecycle.roll_back(session, older.id, "誤り", office.author, LATER, valid_from=dt.date(2027, 4, 1))
        back = lifecycle.roll_back(session, older.id, "誤り", office.author, LATER)
        session.commit()
    approve(office, back, LATER + dt.timedelta(hours=1))
    assert versions() == [("2026-04-01", "2027-03-31", 3000)]


def test_a_stale_step_changes_nothing_not_even_the_comment(office):
    first = save(office, a_programme())
    submit(office, first)
    with app_session(office.context) as session:
        author = office.author.account_id
        with pytest.raises(StaleRevision):
            save_draft(session, a_programme(), author, NOW, comment="あとから")
        second = save_draft(session, a_programme(), author, NOW, revision=1, comment="あとから")
        assert (second.revision, second.state, second.comment) == (2, "draft", "あとから")  # to be reviewed again
        session.commit()
    submit(office, second)
    with app_session(office.approving) as session:
        for step in (
            lambda: lifecycle.return_to_author(session, first.id, 1, "直す", office.approver, NOW),
            lambda: lifecycle.withdraw(session, first.id, 1, office.approver, NOW),
        ):
            with pytest.raises(StaleRevision):
                step()


def test_the_web_role_publishes_in_no_other_way(office):
    draft = save(office, a_programme())
    for statement in (
        "UPDATE programme_versions SET document = '{}'",
        "INSERT INTO programme_versions SELECT * FROM programme_versions",
        "DELETE FROM registry_changes",
        "INSERT INTO registry_changes (kind, sha256, at) VALUES ('published', '', now())",
        "UPDATE programme_drafts SET author_ids = '{}'",
        "UPDATE programme_drafts SET programme_key = '131121/other'",
        "UPDATE programme_drafts SET ends_on = '2020-01-01'",
    ):
        with app_session(office.context) as session, pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text(statement))

    def straight(context):
        with app_session(context) as session:
            session.execute(text("SELECT publish_programme_draft(:draft, 1, :at)"), {"draft": draft.id, "at": NOW})

    with pytest.raises(DBAPIError, match="expected revision 1 of a draft in review"):
        straight(office.approving)
    submit(office, draft)
    with pytest.raises(DBAPIError, match="expected revision 1 of a draft in review"):
        straight(Context(municipality="131172", staff=office.approver.account_id))
    for stranger in (office.author.account_id, new_id(), None):
        with pytest.raises(DBAPIError, match="expected an approver of this municipality who did not write"):
            straight(Context(municipality=SETAGAYA, staff=stranger))
    with app_session(office.approving) as session:
        session.execute(
            text("UPDATE staff_accounts SET role = 'editor' WHERE id = :id"), {"id": office.approver.account_id}
        )
        with pytest.raises(DBAPIError, match="expected an approver"):
            session.execute(text("SELECT publish_programme_draft(:draft, 1, :at)"), {"draft": draft.id, "at": NOW})


def test_who_wrote_a_draft_and_what_was_reviewed_cannot_be_forged(office):
    draft = save(office, a_programme())
    submit(office, draft)
    forged = "UPDATE programme_drafts SET document = jsonb_set(document, '{criteria}', '{}'), sha256 = repeat('0', 64)"
    for statement, refusal in (
        (forged, "expected new contents as revision 2, to be reviewed"),
        (f"{forged}, revision = 2", "to be reviewed"),
        ("UPDATE programme_drafts SET state = 'published'", "published by publish_programme_draft alone"),
    ):
        with app_session(office.approving) as session, pytest.raises(DBAPIError, match=refusal):
            session.execute(text(statement))
    nobody = Context(municipality=SETAGAYA)
    with app_session(nobody) as session, pytest.raises(DBAPIError, match="expected the staff account that writes"):
        session.execute(text(f"{forged}, revision = 2, state = 'draft'"))
    with app_session(office.approving) as session:  # whoever changes it is an author from then on
        session.execute(text(f"{forged}, revision = 2, state = 'draft'"))
        authors = session.execute(text("SELECT author_ids FROM programme_drafts")).scalar_one()
        assert authors == [office.author.account_id, office.approver.account_id]
        session.rollback()
    approve(office, draft)
    with owner_session() as session:
        wrong = text("SELECT count(*) FROM programme_versions WHERE sha256 <> todoke_digest(document)")
        assert (
            session.execute(wrong).scalar_one() == 0
        )  # the digest made there is the one made here, for every document
        row = session.exec(select(ProgrammeVersionRow).where(ProgrammeVersionRow.programme_key == KEY)).one()
    assert (row.document, row.sha256) == storable(a_programme())


def test_an_end_cannot_be_put_off_by_ending_once_more(office):
    publish_document(office, a_programme(valid={"from": "2026-04-01", "until": "2027-03-31"}))
    with app_session(office.context) as session:
        with pytest.raises(InvalidInput, match="expected 2027-03-31 or earlier"):
            lifecycle.retire(session, KEY, dt.date(2028, 3, 31), "続ける", office.author, LATER)
        draft = lifecycle.retire(session, KEY, dt.date(2027, 3, 31), "統合", office.author, LATER)
        session.commit()
    with owner_session() as session:  # a forged last day is refused where it is published too
        session.execute(text("ALTER TABLE programme_drafts DISABLE TRIGGER keep_authors"))
        session.execute(text("UPDATE programme_drafts SET ends_on = '2028-03-31' WHERE kind = 'retirement'"))
        session.execute(text("ALTER TABLE programme_drafts ENABLE TRIGGER keep_authors"))
        session.commit()
    with app_session(office.approving) as session, pytest.raises(DBAPIError, match="expected a last day no later"):
        session.execute(text("SELECT publish_programme_draft(:draft, 1, :at)"), {"draft": draft.id, "at": LATER})


def test_before_its_first_day_a_whole_programme_is_dropped_unless_others_lean_on_it(office):
    publish_document(office, a_programme())
    leaning = {
        "criteria": {"receives": "picture-book-money"},
        "examples": [],
        "certainty": "draft",
        "draft_reason": "架空",
    }
    publish_document(office, {**a_programme(), "id": "other", **leaning})
    with app_session(office.context) as session:
        with pytest.raises(InvalidInput, match="found 131121/other leaning on 131121/picture-book-money"):
            lifecycle.retire(session, KEY, dt.date(2026, 3, 31), "取りやめ", office.author, LATER)
        end = lifecycle.retire(session, "131121/other", dt.date(2026, 3, 31), "取りやめ", office.author, LATER)
        session.commit()
    assert approve(office, end, LATER).dropped == ("2026-04-01",)
    with app_session(office.context) as session:
        end = lifecycle.retire(session, KEY, dt.date(2026, 3, 31), "取りやめ", office.author, LATER)
        session.commit()
    done = approve(office, end, LATER + dt.timedelta(hours=1))
    assert (done.written, done.dropped, versions()) == ((), ("2026-04-01",), [])


def test_nobody_rewrites_what_was_known(office):
    publish_document(office, a_programme())
    for statement in (
        "UPDATE programme_versions SET document = '{}'",
        "UPDATE programme_versions SET known_until = NULL",
        "DELETE FROM programme_versions",
        "DELETE FROM parameters",
    ):
        with owner_session() as session, pytest.raises(DBAPIError, match="append-only"):
            session.execute(text(statement))


def test_another_municipality_neither_sees_nor_ends_it(office):
    draft = save(office, a_programme())
    stranger = Editor(new_id(), "131172")
    with app_session(Context(municipality="131172")) as session:
        assert session.exec(select(ProgrammeDraft)).all() == []
        with pytest.raises(NotFound):
            lifecycle.withdraw(session, draft.id, 1, stranger, NOW)
        with pytest.raises(NotFound):
            lifecycle.retire(session, KEY, dt.date(2027, 3, 31), "x", stranger, NOW)


def test_publishing_the_files_again_keeps_what_staff_approved(office, published_registry):
    key, first = "131172/child-allowance", dt.date(2024, 10, 1)
    author, approver = (Editor(new_id(), "131172") for _ in range(2))
    with app_session(context_of(author)) as session:
        session.add(StaffAccount(id=approver.account_id, municipality_code="131172", post="架空", role="approver"))
        end = lifecycle.retire(session, key, dt.date(2027, 3, 31), "統合", author, NOW)
        session.commit()
    with app_session(context_of(approver)) as session:
        lifecycle.approve_and_publish(session, end.id, 1, approver, NOW)
        session.commit()
    with owner_session() as session:
        report = publish(session, published_registry, LATER)
        session.commit()
    assert report.kept == [f"{key}@{first}"]
    assert (report.added, report.changed) == ([], [])
