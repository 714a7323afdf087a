"""The dead-man alarm: work that leaves no sign is found from rows and a clock, also by the web process."""

import datetime as dt

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli import main
from app.matching import watch
from app.matching.watch import EXPECTED, beat, overdue, overdue_among
from app.platform.clock import real_now
from app.platform.database import app_session, owner_session, worker_session
from app.platform.settings import settings
from app.safeguards.alarm import raise_alarms
from tests.fixtures.factories import enrolled
from workers import tasks

DAY = dt.timedelta(days=1)


def names(now: dt.datetime) -> list[str]:
    with app_session() as session:
        return [one.name for one in overdue(session, now)]


def aged(name: str, by: dt.timedelta) -> None:
    with worker_session() as session:
        session.execute(
            text("UPDATE heartbeats SET done_at = done_at - :by WHERE name = :name"), {"by": by, "name": name}
        )
        session.commit()


def test_a_new_installation_is_not_overdue_and_one_whose_beat_never_ran_will_be(todoke_environment):
    assert names(real_now()) == []
    assert names(real_now() + DAY) == ["announce", "match", "oversee", "release", "review", "sweep"]


def test_work_that_was_done_leaves_a_sign(published_registry):
    for name in ("match", "announce", "release", "review", "sweep"):
        aged(name, DAY)
    assert names(real_now()) == ["announce", "match", "release", "review", "sweep"]
    for task in (tasks.match, tasks.announce, tasks.release, tasks.review, tasks.sweep):
        task()
    assert names(real_now()) == []


def test_one_municipalitys_announcement_is_no_nightly_run(published_registry):
    aged("announce", DAY)
    tasks.announce("131121")
    assert names(real_now()) == ["announce"]


def test_work_that_failed_leaves_none(todoke_environment, monkeypatch):
    aged("match", DAY)
    monkeypatch.setattr(tasks.matching, "drain", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tasks.match()
    assert names(real_now()) == ["match"]


def test_a_sweep_that_nobody_goes_on_with(todoke_environment):
    aged("shard", DAY)
    assert names(real_now()) == []  # nothing is to be swept
    with owner_session() as session:
        session.execute(
            text(
                "INSERT INTO sweeps (id, programme_keys, reason, state, share_done, started_at)"
                " VALUES (gen_random_uuid(), '{000000/x}', 'published', 'running', 3, now() - interval '20 minutes')"
            )
        )
        session.commit()
    assert names(real_now()) == ["shard"]
    beat("shard")
    assert names(real_now()) == []


def test_families_that_were_never_audited(published_registry):
    enrolled(contacts=())
    assert "audit" not in names(real_now())
    assert "audit" in names(real_now() + dt.timedelta(days=9))


def test_only_what_is_expected_and_too_old():
    now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    exactly = {name: now - age for name, age in EXPECTED.items()}
    assert overdue_among(exactly, now) == []
    found = overdue_among({**exactly, "match": now - DAY, "something else": now - 99 * DAY}, now)
    assert [(one.name, one.since, one.expected) for one in found] == [("match", now - DAY, EXPECTED["match"])]


def test_the_operator_is_mailed_once_a_day_for_each_cause(todoke_environment, monkeypatch, caplog):
    monkeypatch.setenv("TODOKE_OPERATOR__ADDRESS", "toban@operator.example")
    settings.cache_clear()
    aged("match", DAY)
    for _ in range(2):
        assert [one.name for one in raise_alarms()] == ["match"]
    aged("sweep", DAY)
    raise_alarms()
    assert "overdue: match" in caplog.text
    with worker_session() as session:
        keys = session.execute(text("SELECT dedupe_key, lane, household_id FROM deliveries ORDER BY 1")).all()
    assert [(key.split(":")[1], lane, home) for key, lane, home in keys] == [
        ("match", "transactional", None), ("sweep", "transactional", None)
    ]  # fmt: skip


def test_without_an_address_the_alarm_is_logged_alone(todoke_environment, caplog):
    aged("match", DAY)
    assert raise_alarms()
    assert "overdue: match" in caplog.text
    with worker_session() as session:
        assert session.execute(text("SELECT count(*) FROM deliveries")).scalar_one() == 0


def test_the_command(todoke_environment):
    assert CliRunner().invoke(main, ["watch"]).exit_code == 0
    aged("match", DAY)
    found = CliRunner().invoke(main, ["watch"])
    assert found.exit_code == 1
    assert found.output.startswith("match: last sign of work ")
    assert watch.EXPECTED["match"] == dt.timedelta(minutes=15)
