"""Commands of operators against the real database."""

import re
import uuid
from typing import get_args

import pytest
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

import app.delivery.tables
import app.notices.tables  # noqa: F401
from app.accounts.permissions import ROLE_RIGHTS
from app.accounts.roles import Role
from app.accounts.sign_in import find_link
from app.accounts.tables import StaffAccount
from app.cli import main
from app.households.tables import Household
from app.platform.database import Context, app_session, owner_session
from tests.fixtures.factories import enrolled


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


def gate(household_id):
    with owner_session() as session:
        return session.get_one(Household, household_id)


def test_protection_is_raised_by_one_and_lowered_by_two(todoke_environment):
    household_id = enrolled()
    assert run("household", "protect", str(household_id), "--by", "staff:1").exit_code == 0
    assert gate(household_id).protected_at is not None
    alone = run(
        "household", "clear-protection", str(household_id), "--by", "staff:1", "--second-person", "staff:1",
        "--reason", "mistake",
    )  # fmt: skip
    assert alone.exit_code == 2 and gate(household_id).protected_at is not None
    two = run(
        "household", "clear-protection", str(household_id), "--by", "staff:1", "--second-person", "staff:2",
        "--reason", "mistake",
    )  # fmt: skip
    assert two.exit_code == 0 and gate(household_id).protected_at is None


def test_a_loss_and_a_new_way_in(todoke_environment):
    household_id = enrolled()
    done = run("household", "stop", str(household_id), "child:c1", "--by", "staff:1", "--reason", "death")
    assert done.exit_code == 0 and gate(household_id).stopped_subjects == ["child:c1"]
    link = run("household", "sign-in", str(household_id))
    token = re.search(r"/sign-in/(\S+)", link.output)[1]
    with app_session() as session:
        assert find_link(session, token).household_id == household_id


@pytest.mark.parametrize("command", [("protect", "--by", "x"), ("sign-in",)])
def test_an_unknown_household_is_refused(todoke_environment, command):
    assert run("household", command[0], str(uuid.uuid4()), *command[1:]).exit_code == 2


def test_publishing_and_access_links(todoke_environment):
    first = run("registry", "publish")
    assert first.exit_code == 0 and "new" in first.output
    assert "0 new, 0 changed" in run("registry", "publish").output
    assert "/staff/sign-in/" in run("access", "staff", "131121", "--post", "子育て支援課").output
    assert run("access", "staff", "131122", "--post", "子育て支援課").exit_code == 2
    assert "/staff/sign-in/" in run("access", "staff", "131121", "--post", "課(架空)", "--role", "approver").output
    assert "/partner/sign-in/" in run("access", "partner", "会社", "--app-name", "アプリ").output


def test_an_account_has_one_of_the_known_roles(todoke_environment):
    refused = run("access", "staff", "131121", "--post", "課(架空)", "--role", "nonsense")
    assert refused.exit_code == 2
    assert all(role in refused.output for role in get_args(Role))
    assert set(ROLE_RIGHTS) == set(get_args(Role)), "every role may do something"
    with app_session(Context(municipality="131121")) as session:
        session.add(StaffAccount(municipality_code="131121", post="課(架空)", role="nonsense"))
        with pytest.raises(IntegrityError, match="known_role"):
            session.flush()
    for role in get_args(Role):
        with app_session(Context(municipality="131121")) as session:
            session.add(StaffAccount(municipality_code="131121", post="課(架空)", role=role))
            session.flush()
