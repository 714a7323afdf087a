"""A draft's way on the command line, by two accounts; a past decision as JSON."""

import json

import yaml
from typer.testing import CliRunner

from app.cli import main
from app.platform import clock
from tests.fixtures.factories import enrolled
from tests.integration.registry.conftest import SETAGAYA, a_programme
from tests.integration.registry.test_lifecycle import KEY


def run(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def test_two_accounts_take_a_file_to_publication_and_end_it(office, tmp_path):
    file = tmp_path / "draft.yaml"
    file.write_text(yaml.safe_dump(a_programme(), allow_unicode=True), encoding="utf-8")
    author = ("--municipality", SETAGAYA, "--as", office.author.account_id)
    approver = ("--municipality", SETAGAYA, "--as", office.approver.account_id)
    saved = run("registry", "draft", file, *author)
    assert saved.exit_code == 0, saved.output
    draft = saved.output.split()[0]
    assert KEY in run("registry", "drafts", "--municipality", SETAGAYA).output
    assert run("registry", "submit", draft, "--revision", 1, *author).exit_code == 0
    own = run("registry", "approve", draft, "--revision", 1, *author)
    assert own.exit_code == 2 and "found role 'editor'" in own.output
    done = run("registry", "approve", draft, "--revision", 1, *approver)
    assert done.output == f"{KEY}@2026-04-01: written\n"
    end = run("registry", "retire", KEY, "--last-day", "2027-03-31", "--reason", "統合", *author)
    assert end.exit_code == 0, end.output
    assert run("registry", "withdraw", end.output.split()[0], "--revision", 1, *author).output.endswith("withdrawn\n")


def test_a_past_decision_is_printed_with_what_it_was_decided_from(published_registry):
    household = enrolled()
    key = "000000/child-allowance"
    known_at = clock.now().isoformat()
    shown = run("past-decision", household, key, "--on", "2026-11-24", "--known-at", known_at)
    assert shown.exit_code == 0, shown.output
    decision = json.loads(shown.output)
    assert [(one["verdict"], one["amount"]) for one in decision["results"]] == [
        ("eligible", {"yen": 15000, "per": "month"})
    ]
    assert decision["decided_from"]["children"][0]["birth_date"] == "2024-06-15"
    without_zone = run("past-decision", household, key, "--on", "2026-11-24", "--known-at", "2026-11-24T10:00")
    assert without_zone.exit_code == 2 and "without a time zone" in without_zone.output
