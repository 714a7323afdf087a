"""The answer to "why did we hear nothing?": the first stage at which the way ends, for each way in which it can."""

import datetime as dt
import uuid

import pytest
from typer.testing import CliRunner

from app.cli import main
from app.households import outcomes
from app.insight.why import why
from app.matching.sweep import drain
from app.notices.announce import announce
from app.platform import clock
from app.platform.database import Context, app_session
from app.platform.errors import NotFound
from app.platform.halt_kinds import HaltKind
from app.safeguards.halts import halt
from app.safeguards.withdrawal import withdraw
from tests.fixtures.factories import a_child, a_household, enrolled

ALLOWANCE = "000000/child-allowance"
FAMILY = a_household(children=[a_child("2026-11-10")], facts={"single_parent": False, "public_assistance": False})


@pytest.fixture
def family(published_registry):
    """A family that is entitled to the child allowance and has been matched."""
    household_id = enrolled(FAMILY)
    drain()
    return household_id


def names(found):
    return [stage.name for stage in found.stages]


def test_what_was_told_and_sent_is_shown_to_the_last_attempt(family):
    announce()
    found = why(family, ALLOWANCE)
    assert names(found) == ["programme", "family", "right", "telling", "message"]
    assert "email" in found.stages[-1].found[0] and "scheduled" in found.conclusion


def test_nothing_is_told_before_planning(family):
    assert why(family, ALLOWANCE).conclusion.startswith("知らせる日")


def test_a_halt_is_named(family):
    halt(HaltKind.PROGRAMME, ALLOWANCE, "amount is wrong")
    announce()
    assert "一時停止" in why(family, ALLOWANCE).conclusion


def test_a_withdrawn_consent_is_named_first(family):
    withdraw(family, None, by="guardian:g1")
    assert "同意" in why(family, ALLOWANCE).conclusion


def test_what_the_family_said_is_named(family):
    with app_session(Context(household=family)) as session:
        outcomes.record_outcome(session, family, ALLOWANCE, "child:c1", "applied", by="guardian:g1")
        session.commit()
    announce()
    assert "家庭が" in why(family, ALLOWANCE).conclusion


def test_quiet_hours_are_named_by_their_end(family):
    clock.shift_to(clock.at_japan_time(clock.today() + dt.timedelta(days=1), 23))
    announce()
    assert "に知らせる予定" in why(family, ALLOWANCE).conclusion


def test_where_nothing_is_stored_the_rule_is_asked(family):
    found = why(family, "000000/child-rearing-allowance")
    right = next(stage for stage in found.stages if stage.name == "right")
    assert "条件に合わない" in " ".join(right.found) and "条件に合わない" in found.conclusion


def test_a_programme_of_another_town_is_named(family):
    shown = CliRunner().invoke(main, ["why", str(family), "139904/no-such"])
    assert shown.exit_code == 2 and "expected a published one" in shown.output


def test_unknown_households_are_refused(family):
    with pytest.raises(NotFound):
        why(uuid.uuid4(), ALLOWANCE)


def test_the_command_prints_the_conclusion_first_and_writes_no_log(family, caplog):
    announce()
    shown = CliRunner().invoke(main, ["why", str(family), ALLOWANCE])
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[0] == why(family, ALLOWANCE).conclusion
    assert str(family) not in caplog.text
