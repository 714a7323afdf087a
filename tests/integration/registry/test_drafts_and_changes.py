"""Drafts in bulk, and the feed of published changes that never skips a late commit."""

import datetime as dt

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from app.platform.errors import InvalidInput
from app.platform.identifiers import new_id
from app.registry.changes import BEGINNING, changes_since
from app.registry.drafts import put_drafts
from app.registry.tables import ProgrammeDraft

NOW = dt.datetime(2026, 11, 24, 1, tzinfo=dt.UTC)
SETAGAYA = Context(municipality="131121", staff=new_id())


def a_document(number: int = 1, **more):
    return {
        "id": f"support-{number}",
        "municipality": "131121",
        "valid": {"from": "2027-04-01"},
        "name": "支援",
        **more,
    }


def put(documents, context=SETAGAYA):
    with app_session(context) as session:
        report = put_drafts(session, documents, None, NOW)
        session.commit()
    return tuple(report)


def test_ten_thousand_documents_twice_are_the_same_drafts(todoke_environment):
    documents = [a_document(number) for number in range(10_000)]
    assert put(documents) == (10_000, 0, 0)
    started = clock.real_now()
    assert put(documents) == (0, 0, 10_000)
    assert clock.real_now() - started < dt.timedelta(seconds=10)
    assert put([a_document(3, name="別の名前"), a_document(4)]) == (0, 1, 1)
    with app_session(SETAGAYA) as session:
        changed = session.exec(select(ProgrammeDraft).where(ProgrammeDraft.programme_key == "131121/support-3")).one()
        assert (changed.revision, changed.state, changed.document["name"]) == (2, "draft", "別の名前")


def test_a_withdrawn_draft_does_not_come_back_with_the_same_file(todoke_environment):
    put([a_document()])
    with app_session(SETAGAYA) as session:
        draft = session.exec(select(ProgrammeDraft)).one()
        draft.state, draft.decided_at = "withdrawn", NOW
        session.commit()
    assert put([a_document()]) == (0, 0, 1)
    assert put([a_document(name="書き直した")]) == (1, 0, 0)


def test_drafts_stay_in_their_municipality(todoke_environment):
    put([a_document()])
    with app_session(Context(municipality="131172")) as session:
        assert session.exec(select(ProgrammeDraft)).all() == []
    with pytest.raises(Exception, match="row-level security"):
        put([a_document(2)], Context(municipality="131172", staff=new_id()))


def test_documents_that_name_no_version_write_nothing(todoke_environment):
    wrong = [a_document(1), a_document(1), {"id": "x"}, a_document(2, valid={"from": "soon"})]
    with pytest.raises(InvalidInput) as refused:
        put(wrong)
    assert "[1]: found 131121/support-1 from 2027-04-01 twice" in refused.value.message
    assert "[2]: found None; expected a municipality code" in refused.value.message
    assert "[3]: found 'soon' for valid.from" in refused.value.message
    with app_session(SETAGAYA) as session:
        assert session.exec(select(ProgrammeDraft)).all() == []


def publish_parameter(session, name):
    session.execute(
        text(
            "INSERT INTO parameters (id, name, document, sha256, kind, known_from)"
            " VALUES (gen_random_uuid(), :name, '{}', repeat('0', 64), 'published', now())"
        ),
        {"name": name},
    )


def names_since(cursor):
    with app_session() as session:
        page = changes_since(session, cursor)
    return [change.parameter_name for change in page.changes], page.cursor


def test_a_transaction_that_commits_late_is_not_skipped(todoke_environment):
    with owner_session() as slow, owner_session() as quick:
        publish_parameter(slow, "slow")  # takes the lower number …
        publish_parameter(quick, "quick")
        quick.commit()  # … and is still open when the higher one is committed
        held_back, cursor = names_since(BEGINNING)
        assert (held_back, cursor) == ([], BEGINNING)
        slow.commit()
    assert names_since(cursor)[0] == ["slow", "quick"]
    with owner_session() as late, owner_session() as between:
        publish_parameter(late, "late")
        publish_parameter(between, "between")
        between.commit()
        seen, cursor = names_since(BEGINNING)
        assert seen == ["slow", "quick"]
        late.commit()
    rest, cursor = names_since(cursor)
    assert rest == ["late", "between"]
    assert names_since(cursor) == ([], cursor)


@pytest.mark.parametrize("cursor", ["", "1", "x-1", "1-2-3", "ffffffffffffffff-0"])
def test_a_cursor_of_somebody_else_is_refused(todoke_environment, cursor):
    with app_session() as session, pytest.raises(InvalidInput, match="expected one that an earlier answer gave"):
        changes_since(session, cursor)


def test_publishing_the_files_feeds_each_version_and_parameter_once(published_registry):
    with app_session() as session:
        changes = changes_since(session).changes
    programmes = {(change.programme_key, change.valid_from) for change in changes if change.programme_key}
    assert programmes == {(one.key, one.valid.from_) for one in published_registry.versions}
    assert {one.parameter_name for one in changes if one.parameter_name} == set(published_registry.parameter_documents)
    assert len(changes) == len(programmes) + len(published_registry.parameter_documents)
