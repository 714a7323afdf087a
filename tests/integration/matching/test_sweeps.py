"""Sweeps: a publication is evaluated for everybody, whatever dies or changes on the way, and tells nobody before its end."""

import datetime as dt
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from threading import Thread

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.households import profiles
from app.households.enrolment import Enrolment, enrol
from app.households.synthetic import synthetic_households
from app.matching import recording, sweep, sweeps
from app.matching.sweep import drain
from app.matching.tables import Entitlement, EvaluationRun, Sweep, SweepShard
from app.notices.announce import announce, release_due
from app.notices.tables import Notice
from app.platform import clock
from app.platform.change_queue import NOTICES, programme_changed
from app.platform.database import Context, app_session, owner_session, worker_session
from app.platform.settings import PROJECT_DIRECTORY
from app.registry.versions import publish
from app.safeguards import moving
from tests.conftest import DEMO_DAY
from tests.fixtures.factories import EVERYTHING, a_child, a_household, enrolled

GRANT = "131121/birth-cost-grant"
ALLOWANCE = "000000/child-allowance"
TOWNS = {"131121": 9, "131172": 5, "132012": 4}


@pytest.fixture
def towns(published_registry):
    """Three towns with families whose rights are stored; ids by town in their order."""
    ids = {}
    with owner_session() as session:
        for code, count in TOWNS.items():
            documents = synthetic_households(count, on=DEMO_DAY, municipality=code, seed=int(code))
            ids[code] = sorted(enrol(session, [Enrolment(document, purposes=EVERYTHING) for document in documents]))
        session.commit()
    drain()
    return ids


def contents():
    with owner_session() as session:
        rows = session.exec(select(Entitlement)).all()
    return sorted(
        (str(row.household_id), row.municipality_code, row.programme_key, row.subject, row.verdict, row.valid_from,
         str(row.valid_until), str(row.deadline_on), str(row.answer))
        for row in rows
    )  # fmt: skip


def rows_of(table):
    with owner_session() as session:
        return list(session.exec(select(table)))


def publish_again(keys=None):
    """Queue programmes as a publication does; every one unless some are named."""
    with owner_session() as session:
        programmes = session.execute(text("SELECT key FROM programmes ORDER BY 1")).scalars()
        for key in keys or list(programmes):
            programme_changed(session, key, "published")
        session.commit()


def forget_rights():
    with owner_session() as session:
        session.execute(text("DELETE FROM entitlements"))
        session.commit()


def last_sweep():
    return max(rows_of(Sweep), key=lambda one: one.id)


def shards():
    return {shard.municipality_code: shard for shard in rows_of(SweepShard) if shard.sweep_id == last_sweep().id}


def sweeping_process(environment, *arguments):
    command = [sys.executable, "-m", "tests.integration.matching.sweeping", *map(str, arguments)]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, cwd=PROJECT_DIRECTORY, stdout=subprocess.PIPE, text=True
    )


def save(household_id, change):
    with app_session(Context(household=household_id)) as session:
        row = profiles.read_document(session, household_id)
        document = change({**row.document})
        profiles.save_document(
            session, household_id, document, expected_version=row.version, source="parent", by="guardian:g1"
        )
        session.commit()


def with_a_newborn(document):
    return {**document, "children": [*document.get("children", []), {"id": "new", "birth_date": "2026-11-20"}]}


def moved_to(code):
    return lambda document: {
        **document, "municipality": code, "residence": [{"municipality": code, "from": "2026-11-01"}]
    }  # fmt: skip


def moved_by_saving(household_id, code):
    save(household_id, moved_to(code))


def moved_by_telling(household_id, code):
    moving.move(household_id, code, dt.date(2026, 11, 20), by="guardian:g1")


def test_a_worker_killed_in_the_middle_loses_one_chunk_and_another_goes_on(towns, todoke_environment):
    expected = contents()
    forget_rights()
    publish_again()
    dying = sweeping_process(todoke_environment, 3, 4)
    printed, _ = dying.communicate(timeout=60)
    assert (dying.returncode, printed) == (-signal.SIGKILL, "")
    half_way = shards()
    looked_at = sum(shard.households for shard in half_way.values())
    assert looked_at == 9, "three chunks of three were committed, the fourth was lost"
    assert {str(row.household_id) for row in rows_of(Entitlement)} <= {
        str(one) for one in towns["131121"] if one <= half_way["131121"].last_household_id
    }
    assert last_sweep().state == "running"
    assert last_sweep().share_done == 50
    drain()
    assert contents() == expected
    assert {code: shard.households for code, shard in shards().items()} == TOWNS
    assert {shard.state for shard in shards().values()} == {"complete"}
    assert (last_sweep().state, last_sweep().share_done) == ("complete", 100)


def test_two_workers_at_once_look_at_everybody_once(towns, todoke_environment):
    expected = contents()
    forget_rights()
    publish_again()
    with owner_session() as session:
        session.execute(text("DELETE FROM evaluation_runs"))
        session.commit()
    both = [sweeping_process(todoke_environment, 2) for _ in range(2)]
    told = [worker.communicate(timeout=120)[0].split("\n")[:-1] for worker in both]
    assert [worker.returncode for worker in both] == [0, 0]
    looked_at = [int(line.split()[1]) for lines in told for line in lines]
    assert sum(looked_at) == sum(TOWNS.values())
    assert sum(run.households for run in rows_of(EvaluationRun)) == sum(TOWNS.values())
    drain()
    assert contents() == expected
    assert last_sweep().state == "complete"


def test_who_changes_or_moves_during_a_sweep_is_right_afterwards(towns, monkeypatch):
    monkeypatch.setattr(sweep, "CHUNK", 4)
    forget_rights()
    publish_again()
    drain(window_seconds=0)
    place = shards()["131121"].last_household_id
    assert place == towns["131121"][3], "the fullest town comes first, in the order of ids"
    save(towns["131121"][0], with_a_newborn)  # looked at already
    save(towns["131121"][8], with_a_newborn)  # still to come
    save(towns["131121"][1], moved_to("131172"))  # to a town that is still to come
    save(towns["131172"][0], moved_to("131121"))  # its id is behind or before the cursor: as it happens
    drain(window_seconds=0)
    save(towns["132012"][0], moved_to("131121"))
    drain()
    after = contents()
    assert last_sweep().state == "complete"
    forget_rights()
    publish_again()
    drain()
    assert contents() == after
    codes = {row[0]: row[1] for row in after}
    assert codes[str(towns["131121"][1])] == "131172"
    assert codes[str(towns["132012"][0])] == "131121"


def test_a_household_that_changed_waits_for_no_sweep(towns, monkeypatch):
    monkeypatch.setattr(sweep, "CHUNK", 2)
    publish_again()
    save(towns["132012"][3], with_a_newborn)
    before = len(rows_of(EvaluationRun))
    runs = drain(window_seconds=0)
    assert [run.reason for run in runs] == ["changed", "published"]
    assert len(rows_of(EvaluationRun)) == before + 2
    stored = [row for row in rows_of(Entitlement) if row.household_id == towns["132012"][3]]
    assert "child:new" in {row.subject for row in stored}


def test_a_newer_publication_takes_its_programmes_over(towns, monkeypatch):
    expected = contents()
    monkeypatch.setattr(sweep, "CHUNK", 3)
    forget_rights()
    publish_again([ALLOWANCE, GRANT])
    drain(window_seconds=0)
    earlier = last_sweep()
    assert set(earlier.programme_keys) == {ALLOWANCE, GRANT, "131172/child-allowance"}
    publish_again([GRANT])
    drain(window_seconds=0)
    by_id = {one.id: one for one in rows_of(Sweep)}
    assert set(by_id[earlier.id].programme_keys) == {ALLOWANCE, "131172/child-allowance"}
    assert last_sweep().programme_keys == [GRANT]
    publish_again([ALLOWANCE])
    drain(window_seconds=0)
    by_id = {one.id: one for one in rows_of(Sweep)}
    assert (by_id[earlier.id].state, by_id[earlier.id].programme_keys) == ("superseded", [])
    drain()
    assert {one.state for one in rows_of(Sweep)} == {"complete", "superseded"}
    swept = {ALLOWANCE, GRANT, "131172/child-allowance"}
    assert contents() == [row for row in expected if row[2] in swept]


@contextmanager
def published_with(registry, key, **changes):
    """Publish one programme with a changed document, as staff would, and put the registry's own back afterwards."""
    place = (key, registry.programmes[key][-1].version)
    original = registry.written[place]
    registry.written[place] = {**original, **changes}
    try:
        with owner_session() as session:
            publish(session, registry, clock.now())
            session.commit()
        yield
    finally:
        registry.written[place] = original


def told_of(key):
    return [notice for notice in rows_of(Notice) if notice.programme_key == key]


def test_a_publication_sends_nothing_before_its_sweep_is_complete(published_registry, monkeypatch):
    with owner_session() as session:
        session.execute(text("DELETE FROM changes"))
        session.commit()
    documents = [a_household("131121", [a_child("2026-11-21", )], residence=[
        {"municipality": "131121", "from": "2020-04-01"}]) for _ in range(6)]  # fmt: skip
    for document in documents:
        enrolled(document)
    with owner_session() as session:
        ids = sorted(session.execute(text("DELETE FROM changes RETURNING household_id")).scalars())
        session.commit()
    monkeypatch.setattr(sweep, "CHUNK", 2)
    with published_with(published_registry, GRANT, sensitive=True):
        with worker_session() as session:
            assert sweeps.sweeping(session) == {GRANT}, "held from the moment of the publication"
        drain(window_seconds=0)
        save(ids[-1], with_a_newborn)
        drain(window_seconds=0)
        assert {row.household_id for row in rows_of(Entitlement) if row.programme_key == GRANT} > set(ids[:4])
        announce()
        release_due()
        assert told_of(GRANT) == []
        assert {notice.household_id for notice in told_of(ALLOWANCE)} == {ids[-1]}, "other programmes go on"
        drain()
        with worker_session() as session:
            assert sweeps.sweeping(session) == frozenset()
        announce()
        assert {notice.household_id for notice in told_of(GRANT)} == set(ids)


def test_what_a_sweep_took_away_is_looked_at_when_it_is_complete_and_not_before(towns, monkeypatch):
    monkeypatch.setattr(sweep, "CHUNK", 3)
    with owner_session() as session:
        session.execute(text("DELETE FROM changes"))
        # Rights that nobody has: the sweep will remove them from everybody in 世田谷区.
        session.execute(
            text(
                "INSERT INTO entitlements (id, household_id, municipality_code, programme_key, programme_version,"
                " subject, verdict, valid_from, announce_on, answer) SELECT gen_random_uuid(), id, municipality_code,"
                " :key, '2024-04-01', 'child:nobody', 'eligible', '2024-04-01', '2024-04-01', '{}'"
                " FROM households WHERE municipality_code = '131121'"
            ),
            {"key": GRANT},
        )
        session.commit()
    publish_again([GRANT])
    drain(window_seconds=0)
    # One that the sweep has not reached changes by itself; the sweep will find its row gone already.
    save(towns["131121"][8], with_a_newborn)
    drain(window_seconds=0)

    def waiting():
        with owner_session() as session:
            rows = session.execute(
                text(
                    "SELECT reader, household_id FROM changes WHERE reader = :notices OR starts_with(reader, 'sweep:')"
                ),
                {"notices": NOTICES},
            ).all()
        return {reader: {one for found, one in rows if found == reader} for reader, _ in rows}

    reader = sweeps.reader_of(last_sweep().id)
    assert waiting() == {reader: {*towns["131121"][:6], towns["131121"][8]}, NOTICES: {towns["131121"][8]}}
    drain()
    assert waiting() == {NOTICES: set(towns["131121"])}


def test_nobody_is_left_out_where_the_last_chunk_is_full(towns, monkeypatch):
    monkeypatch.setattr(sweep, "CHUNK", 3)
    before = len(rows_of(EvaluationRun))
    publish_again([GRANT])
    runs = drain()
    assert [run.households for run in runs] == [3, 3, 3]
    assert len(rows_of(EvaluationRun)) == before + 3
    assert shards()["131121"].households == 9


def test_a_publication_before_anybody_enrolled_is_over_at_once(published_registry):
    assert drain() == []
    assert (last_sweep().state, last_sweep().share_done) == ("complete", 100)


def during_the_next_chunk(monkeypatch, happens):
    """Let something happen, once, when a chunk has been evaluated and nothing of it is stored."""
    evaluate, waits = sweep.evaluate, [happens]

    def evaluated(*arguments):
        found = evaluate(*arguments)
        while waits:
            waits.pop()()
        return found

    monkeypatch.setattr(sweep, "evaluate", evaluated)


@pytest.mark.parametrize("moves", [moved_by_saving, moved_by_telling])
def test_who_moves_while_a_chunk_is_evaluated_is_stored_in_the_new_town_alone(towns, monkeypatch, moves):
    one = towns["131121"][4]
    forget_rights()
    publish_again()
    during_the_next_chunk(monkeypatch, lambda: moves(one, "132012"))
    drain()
    assert {row[1] for row in contents() if row[0] == str(one)} == {"132012"}
    assert last_sweep().state == "complete"
    after = contents()
    forget_rights()
    publish_again()
    drain()
    assert contents() == after


def test_a_town_that_cannot_be_stored_leaves_the_other_towns_alone(towns, monkeypatch, caplog):
    expected = contents()
    store = recording.store

    def refused(session, code, *arguments, **more):
        if code == "131172":
            session.execute(text("INSERT INTO sweep_shards (sweep_id) VALUES (NULL)"))
        return store(session, code, *arguments, **more)

    monkeypatch.setattr(recording, "store", refused)
    forget_rights()
    publish_again()
    save(towns["131172"][0], lambda document: document | {"facts": {}})
    save(towns["132012"][0], lambda document: document)
    drain()
    assert {row[1] for row in contents()} == {"131121", "132012"}
    assert last_sweep().state == "running"
    assert "131172 failed, left for later: IntegrityError" in caplog.text
    monkeypatch.setattr(recording, "store", store)
    drain()
    assert {row[1] for row in contents()} == set(TOWNS)
    assert len(contents()) >= len(expected) - 20
    assert last_sweep().state == "complete"


def test_what_a_chunk_changed_while_a_newer_publication_took_over_is_looked_at(towns, monkeypatch):
    with owner_session() as session:
        session.execute(text("DELETE FROM changes"))
        session.execute(
            text("UPDATE entitlements SET deadline_on = '2027-12-31' WHERE programme_key = :key"), {"key": ALLOWANCE}
        )
        whom = set(
            session.execute(
                text("SELECT household_id FROM entitlements WHERE programme_key = :key"), {"key": ALLOWANCE}
            ).scalars()
        )
        session.commit()
    publish_again([ALLOWANCE])
    taking_over = Thread(target=lambda: (publish_again([ALLOWANCE]), sweep._begin_sweep()))
    during_the_next_chunk(monkeypatch, lambda: (taking_over.start(), taking_over.join(0.5)))
    drain()
    taking_over.join(30)
    drain()
    with owner_session() as session:
        left = session.execute(text("SELECT reader, household_id FROM changes")).all()
    assert {reader for reader, _ in left} == {NOTICES}, "nothing is left under a sweep that is over"
    assert {one for _, one in left} == whom
