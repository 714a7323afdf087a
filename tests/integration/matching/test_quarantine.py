"""What is broken is found and set aside; everybody and everything else is evaluated."""

import pytest
from sqlalchemy import text
from sqlmodel import select
from typer.testing import CliRunner

from app.cli import main
from app.matching import evaluation, quarantine
from app.matching.audit import audit
from app.matching.sweep import drain
from app.matching.sweeps import sweeping
from app.matching.tables import Entitlement, QuarantinedProgramme, SetAsideHousehold
from app.platform import clock
from app.platform.change_queue import household_changed, programme_changed
from app.platform.database import owner_session, worker_session
from app.registry.readiness import NotReady, loaded
from app.registry.tables import ParameterRow, ProgrammeVersionRow
from app.registry.versions import publish, published_now
from tests.fixtures.factories import a_child, a_household, enrolled

GRANT = "131121/birth-cost-grant"
ALLOWANCE = "000000/child-allowance"
UNDER_THREE = "child-allowance-under-three"


def rows_of(table):
    with owner_session() as session:
        return list(session.exec(select(table)))


def stored(household_id=None):
    return {
        (row.programme_key, row.subject): row
        for row in rows_of(Entitlement) if household_id is None or row.household_id == household_id
    }  # fmt: skip


def look_again(*household_ids):
    with owner_session() as session:
        for household_id in household_ids:
            household_changed(session, household_id, "131121", "again")
        session.commit()


def published(registry):
    with owner_session() as session:
        publish(session, registry, clock.now())
        session.commit()


@pytest.fixture
def newborns(published_registry):
    """Three families of 世田谷区 with a newborn, their rights stored."""
    residence = [{"municipality": "131121", "from": "2020-04-01"}]
    ids = [enrolled(a_household("131121", [a_child("2026-11-21")], residence=residence)) for _ in range(3)]
    drain()
    return sorted(ids)


@pytest.fixture
def not_compiling(published_registry):
    """A version of the grant whose criteria name a fact that nobody knows: it was stored, and does not compile."""
    place = (GRANT, published_registry.programmes[GRANT][-1].version)
    original = published_registry.written[place]
    published_registry.written[place] = {**original, "criteria": {"all": [{"within": "child.no_such_fact", "from": "0d", "until": "1y"}]}}  # fmt: skip
    yield published_registry
    published_registry.written[place] = original


def test_a_rule_that_does_not_compile_stops_no_other(newborns, not_compiling):
    before = stored(newborns[0])
    published(not_compiling)
    drain()
    look_again(*newborns)
    with owner_session() as session:
        session.execute(text("DELETE FROM entitlements WHERE programme_key = :key"), {"key": ALLOWANCE})
        session.commit()
    drain()
    after = stored(newborns[0])
    assert after.keys() == before.keys(), "the others are evaluated, and its own rights stay as they are"
    assert after[GRANT, "child:c1"] == before[GRANT, "child:c1"]
    (broken,) = rows_of(QuarantinedProgramme)
    assert (broken.programme_key, broken.error_class) == (GRANT, "DocumentError")
    assert "child.no_such_fact" in broken.error_text
    with worker_session() as session:
        assert sweeping(session) == {GRANT}, "nothing new is told of it"


def test_a_new_version_comes_out_of_quarantine_by_itself(newborns, not_compiling):
    published(not_compiling)
    drain()
    place = (GRANT, not_compiling.programmes[GRANT][-1].version)
    not_compiling.written[place] = not_compiling.documents[place]
    published(not_compiling)
    drain()
    assert rows_of(QuarantinedProgramme) == []
    assert (GRANT, "child:c1") in stored(newborns[0])


def test_a_parameter_out_of_all_bounds_stops_only_who_names_it(newborns, published_registry):
    documents = published_registry.parameter_documents
    original = documents[UNDER_THREE]
    periods = [{**original["periods"][0], "value": 10**30}, *original["periods"][1:]]
    documents[UNDER_THREE] = {**original, "periods": periods}
    try:
        published(published_registry)
        drain()
    finally:
        documents[UNDER_THREE] = original
    assert ALLOWANCE in {row.programme_key for row in rows_of(QuarantinedProgramme)}
    assert {(ALLOWANCE, "child:c1"), (GRANT, "child:c1")} <= stored(newborns[0]).keys()
    look_again(newborns[0])
    (run,) = drain()
    assert (run.entitlements_added, run.entitlements_changed, run.entitlements_removed) == (0, 0, 0)


def breaking(monkeypatch, key, families):
    """Let one programme's evaluation fail wherever one of these families is looked at."""
    rights = evaluation._rights_of_programme

    def rights_or_error(engine, snapshot, population, periods, today):
        if periods.programme == key and (families is None or not families.isdisjoint(snapshot.ids)):
            raise OverflowError(f"secret of {snapshot.ids}")
        return rights(engine, snapshot, population, periods, today)

    monkeypatch.setattr(evaluation, "_rights_of_programme", rights_or_error)


def test_a_rule_that_breaks_at_work_is_found_recorded_skipped_and_lifted(newborns, monkeypatch):
    before = stored(newborns[0])
    with monkeypatch.context() as patch:
        breaking(patch, GRANT, None)
        look_again(*newborns)
        (run,) = drain()
    assert run.households == 3
    (broken,) = rows_of(QuarantinedProgramme)
    assert (broken.programme_key, broken.error_class) == (GRANT, "OverflowError")
    assert "secret" not in broken.error_text
    assert "rights_or_error" in broken.error_text
    look_again(*newborns)
    drain()
    assert stored(newborns[0]) == before
    printed = CliRunner().invoke(main, ["quarantine", "list"]).output
    assert GRANT in printed
    assert CliRunner().invoke(main, ["quarantine", "lift", GRANT]).exit_code == 0
    assert rows_of(QuarantinedProgramme) == []
    (run,) = drain()
    assert (run.programme_key, run.households) == (GRANT, 3)
    assert CliRunner().invoke(main, ["quarantine", "lift", GRANT]).exit_code == 2


def test_a_family_that_one_rule_cannot_judge_is_set_aside_for_that_rule(newborns, monkeypatch):
    before = stored(newborns[1])
    with monkeypatch.context() as patch:
        breaking(patch, GRANT, {newborns[1]})
        look_again(*newborns)
        drain()
    (aside,) = rows_of(SetAsideHousehold)
    assert (aside.household_id, aside.programme_key, aside.error_class) == (newborns[1], GRANT, "OverflowError")
    assert rows_of(QuarantinedProgramme) == []
    assert stored(newborns[1]) == before
    look_again(newborns[1])
    drain()
    assert rows_of(SetAsideHousehold) == []


def test_a_rule_that_fails_for_one_family_after_the_other_is_broken(published_registry, monkeypatch):
    monkeypatch.setattr(quarantine, "MOST_SET_ASIDE", 2)
    ids = [enrolled(contacts=()) for _ in range(3)]
    breaking(monkeypatch, ALLOWANCE, set(ids))
    for household_id in ids:
        assert rows_of(QuarantinedProgramme) == []
        look_again(household_id)
        with owner_session() as session:
            session.execute(
                text("DELETE FROM changes WHERE household_id IS NULL OR household_id <> :id"), {"id": household_id}
            )
            session.commit()
        drain()
    assert [row.programme_key for row in rows_of(QuarantinedProgramme)] == [ALLOWANCE]


def test_a_document_that_cannot_be_read_stops_nobody_else(newborns):
    broken, *others = newborns
    before = stored(broken)
    with owner_session() as session:
        session.execute(
            text("UPDATE household_documents SET document = jsonb_set(document, '{children,0,birth_date}', '\"花子\"')"
                 " WHERE household_id = :id"),
            {"id": broken},
        )  # fmt: skip
        session.execute(text("DELETE FROM entitlements WHERE household_id = ANY(:ids)"), {"ids": others})
        programme_changed(session, ALLOWANCE, "published")
        session.commit()
    look_again(*newborns)
    runs = drain()
    assert [run.households for run in runs] == [3, 3]
    (aside,) = rows_of(SetAsideHousehold)
    assert (aside.household_id, aside.programme_key) == (broken, "*")
    assert "花子" not in aside.error_text
    assert stored(broken) == before, "its rights stay as they are"
    assert all((ALLOWANCE, "child:c1") in stored(one) for one in others)
    assert str(broken) in CliRunner().invoke(main, ["quarantine", "list"]).output


LATER_FIELD = "a_field_of_another_release"


def refuse(table, name, change):
    """Store what is known under a name as an older program may have written it: today's models do not take it."""
    with owner_session() as session:
        for row in session.exec(select(table).where(table.known_until.is_(None))).all():
            if name not in (getattr(row, "programme_key", None), getattr(row, "name", None)):
                continue
            row.known_until = clock.now()
            session.add(row)
            session.flush()
            older = {**row.model_dump(exclude={"id", "known_until"}), "known_from": clock.now(), "sha256": "0" * 64}
            session.add(table(**(older | {"document": change(row.document)})))
        session.commit()


def with_a_later_field(document):
    return {**document, LATER_FIELD: 1}


@pytest.mark.parametrize("queued", [True, False], ids=["somebody waits", "nobody waits"])
def test_a_stored_programme_that_cannot_be_read_stops_no_other(newborns, published_registry, caplog, queued):
    before = stored(newborns[0])
    refuse(ProgrammeVersionRow, GRANT, with_a_later_field)
    if queued:
        with owner_session() as session:
            session.execute(text("DELETE FROM entitlements WHERE programme_key = :key"), {"key": ALLOWANCE})
            session.commit()
        look_again(*newborns)
    with worker_session() as session:
        assert GRANT in sweeping(session), "before matching has met it: nothing is told of it, nothing taken back"
    runs = drain()
    assert [run.households for run in runs] == ([3] if queued else [])
    assert stored(newborns[0]).keys() == before.keys(), "the others are evaluated"
    assert stored(newborns[0])[GRANT, "child:c1"] == before[GRANT, "child:c1"], "its own rights stay as they are"
    (broken,) = rows_of(QuarantinedProgramme)
    assert (broken.programme_key, broken.error_class) == (GRANT, "DocumentError")
    assert LATER_FIELD in broken.error_text
    assert f"{GRANT} cannot be read" in caplog.text
    assert GRANT in CliRunner().invoke(main, ["quarantine", "list"]).output
    assert [one.programme_key for one in audit("131121").differences] == []

    published(published_registry)
    (run,) = drain()
    assert (run.programme_key, run.households) == (GRANT, 3)
    assert rows_of(QuarantinedProgramme) == []
    assert stored(newborns[0])[GRANT, "child:c1"] == before[GRANT, "child:c1"]


def test_a_stored_parameter_that_cannot_be_read_stops_only_who_names_it(newborns, published_registry):
    before = stored(newborns[0])
    with owner_session() as session:
        session.execute(text("DELETE FROM entitlements WHERE programme_key = :key"), {"key": GRANT})
        session.commit()
    refuse(ParameterRow, UNDER_THREE, lambda document: {**document, "periods": []})
    look_again(*newborns)
    drain()
    quarantined = {row.programme_key for row in rows_of(QuarantinedProgramme)}
    assert ALLOWANCE in quarantined
    assert GRANT not in quarantined
    assert stored(newborns[0]).keys() == before.keys()
    published(published_registry)
    drain()
    assert rows_of(QuarantinedProgramme) == []
    assert stored(newborns[0])[ALLOWANCE, "child:c1"] == before[ALLOWANCE, "child:c1"]


def test_a_variant_that_cannot_be_read_does_not_give_its_town_back_to_the_original(published_registry):
    variant, original = next(
        (key, versions[-1].based_on)
        for key, versions in published_registry.programmes.items()
        if versions[-1].based_on is not None and versions[-1].certainty == "verified"
    )
    with owner_session() as session:
        known = published_now(session).registry.replacements[original]
    refuse(ProgrammeVersionRow, variant, with_a_later_field)
    with owner_session() as session:
        registry = published_now(session).registry
    assert variant in registry.unreadable
    assert variant not in registry.programmes
    assert registry.version_on(variant, clock.today()) is None
    town = variant.partition("/")[0]
    assert {one for one in known if one.area == town} <= set(registry.replacements[original])


def test_what_is_published_is_checked_as_strictly_as_ever(published_registry):
    document = next(one for (key, _), one in published_registry.documents.items() if key == GRANT)
    with pytest.raises(NotReady, match=LATER_FIELD):
        loaded(published_registry, {**document, LATER_FIELD: 1})
