"""年度更新: what ends or is due, what was decided, and that nothing carries over silently."""

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from app.cli import main
from app.platform.database import app_session
from app.platform.errors import InvalidInput, NotFound
from app.registry.upkeep import Choice, decide, unread_sources, upkeep
from app.registry.versions import published_now
from tests.integration.registry.conftest import NOW, SETAGAYA, a_programme
from tests.integration.registry.test_lifecycle import KEY, publish_document

FEBRUARY = dt.date(2027, 2, 1)
END = dt.date(2027, 3, 31)


@pytest.fixture
def ending(office):
    publish_document(office, a_programme(valid={"from": "2026-04-01", "until": "2027-03-31"}))
    return office


def listed(office, on=FEBRUARY):
    with app_session(office.context) as session:
        return {row.subject: row for row in upkeep(session, published_now(session).registry, on, SETAGAYA)}


def decided(office, decision, note=None, due_on=END):
    with app_session(office.context) as session:
        registry = published_now(session).registry
        choice = Choice(SETAGAYA, KEY, due_on, decision, note)
        decide(session, registry, choice, on=FEBRUARY, by=office.author.account_id, now=NOW)
        session.commit()


def test_what_ends_on_31_march_is_undecided_until_somebody_decides(ending):
    row = listed(ending)[KEY]
    assert (row.reason, row.due_on, row.followed_by, row.decision) == ("ends", END, None, "undecided")
    decided(ending, "waiting", "国の単価を待つ")
    decided(ending, "waiting", "国の単価を待つ")
    assert (listed(ending)[KEY].decision, listed(ending)[KEY].note) == ("waiting", "国の単価を待つ")
    decided(ending, "change")
    publish_document(ending, a_programme("2027-04-01", 3500), NOW + dt.timedelta(days=1))
    row = listed(ending)[KEY]
    assert (row.decision, row.followed_by) == ("change", dt.date(2027, 4, 1))
    assert KEY not in listed(ending, dt.date(2027, 4, 1))


def test_only_rows_of_the_list_can_be_decided(ending):
    with pytest.raises(NotFound, match="expected a row of the list"):
        decided(ending, "end", due_on=dt.date(2027, 3, 30))
    with pytest.raises(InvalidInput, match="expected one of continue, change, end, waiting"):
        decided(ending, "later")


def test_checks_that_are_due_and_sources_unread_for_a_year(office, published_registry):
    publish_document(office, a_programme(next_check_on="2027-01-15"))
    row = listed(office)[KEY]
    assert (row.reason, row.due_on) == ("check", dt.date(2027, 1, 15))
    with app_session(office.context) as session:
        registry = published_now(session).registry
    assert unread_sources(registry, dt.date(2027, 10, 31), SETAGAYA) == []
    (unread,) = [one for one in unread_sources(registry, dt.date(2027, 11, 1), SETAGAYA) if one.subject == KEY]
    assert (unread.url, unread.checked_on) == ("https://town.example/ehon", dt.date(2026, 11, 1))


def test_the_list_and_the_history_on_the_command_line(ending):
    runner = CliRunner()
    shown = runner.invoke(main, ["registry", "upkeep", "--on", "2027-02-01", "--municipality", SETAGAYA])
    assert shown.exit_code == 0, shown.output
    assert f"2027-03-31 [未定] 終わります えほん手当(架空) ({KEY}) → 続く版がありません" in shown.output
    as_json = runner.invoke(main, ["registry", "upkeep", "--on", "2027-02-01", "--json"])
    rows = [json.loads(line) for line in as_json.output.splitlines()]
    assert KEY in {one["row"]["subject"] for one in rows if "row" in one}
    history = runner.invoke(main, ["registry", "history", KEY])
    assert "2026-04-01 … 2027-03-31  known 2026-11-24" in history.output
    assert runner.invoke(main, ["registry", "history", "131121/no-such"]).exit_code == 2
