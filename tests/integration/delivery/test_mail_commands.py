"""The two ways in which a mail server hands over what came back: a pipe and a Maildir, as it runs them."""

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from app.cli import mail_commands, main
from app.delivery.tables import Delivery
from app.households.contacts import new_contact
from app.households.tables import ContactPoint, Household
from app.platform import clock
from app.platform.database import owner_session
from app.platform.settings import settings
from tests.fixtures.bounces import a_delivery_report
from tests.integration.delivery.conftest import wait_for


@pytest.fixture
def way_back(world, monkeypatch):
    """The envelope sender of a mail that the relay has taken."""
    monkeypatch.setenv("TODOKE_EMAIL__RETURN_ADDRESS", "bounces@todoke.example")
    settings.cache_clear()
    gate = world.household()
    with owner_session() as session:
        contact = new_contact(session.get_one(Household, gate.household_id), "g1", "email", "family@home.example")
        contact.confirmed_at = clock.now()
        session.add(contact)
        session.commit()
        contact_id = contact.id
    world.enqueue(world.mail(gate, address="family@home.example", contact_point_id=contact_id))
    world.dispatcher().run_window()
    wait_for(lambda: world.states() == ["accepted"])
    return world.outside.mail_sink.mails[-1].sender


def reason() -> str | None:
    with owner_session() as session:
        return session.exec(select(ContactPoint)).one().suspended_reason


def run(*arguments: str, given: bytes = b""):
    return CliRunner().invoke(main, ["mail", *arguments], input=given)


def test_a_bounce_through_the_pipe_ends_the_address_and_names_nobody(way_back):
    done = run("returned", "--recipient", way_back, given=a_delivery_report(way_back, "5.1.1"))
    assert (done.exit_code, done.stdout.strip()) == (0, "hard 5.1.1")
    assert reason() == "bounced_5.1.1"
    with owner_session() as session:
        assert session.exec(select(Delivery)).one().state == "failed"


@pytest.mark.parametrize("given", [b"", b"\xff\x00 not a mail", b"Subject: hello\r\n\r\nwords", b"x" * 6_000_000])
def test_what_is_no_report_of_ours_is_taken_and_changes_nothing(way_back, given):
    done = run("returned", given=given)
    assert done.exit_code == 0, "a mail server must not keep what nobody will ever understand"
    assert "of no mail of ours" in done.stdout
    assert reason() is None


def test_what_cannot_be_read_now_is_kept_by_the_mail_server(way_back, monkeypatch):
    monkeypatch.setattr("app.safeguards.mail_reports.take_mail_report", broken)
    done = run("returned", given=a_delivery_report(way_back, "5.1.1"))
    assert done.exit_code == mail_commands._TRY_AGAIN == 75
    assert "ConnectionError; it may be handed over again" in done.stderr
    assert "family@" not in done.stderr
    assert reason() is None


def broken(*_: object, **__: object) -> None:
    raise ConnectionError("family@home.example")


@pytest.fixture
def maildir(tmp_path):
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def names(maildir, folder: str) -> list[str]:
    return sorted(path.name for path in (maildir / folder).iterdir())


def test_a_maildir_is_emptied_and_what_nobody_understood_is_flagged(way_back, maildir):
    (maildir / "new" / "1.a.host").write_bytes(a_delivery_report(way_back, "5.1.1"))
    (maildir / "new" / "2.b.host").write_bytes(b"Subject: hello\r\n\r\nwords")
    (maildir / "tmp" / "3.c.host").write_bytes(a_delivery_report(way_back, "5.1.1"))  # still being written
    done = run("returned-folder", str(maildir))
    assert done.exit_code == 0 and "hard=1" in done.stdout
    assert (names(maildir, "new"), names(maildir, "cur")) == ([], ["1.a.host:2,S", "2.b.host:2,F"])
    assert names(maildir, "tmp") == ["3.c.host"]
    assert reason() == "bounced_5.1.1"
    assert run("returned-folder", str(maildir)).stdout.strip() == "nothing new"


def test_what_cannot_be_read_now_stays_new_and_holds_up_nothing(way_back, maildir, monkeypatch):
    from app.safeguards import mail_reports

    real = mail_reports.take_mail_report

    def breaks_for_one(raw, **more):
        return broken() if raw == b"one" else real(raw, **more)

    monkeypatch.setattr(mail_reports, "take_mail_report", breaks_for_one)
    (maildir / "new" / "1.a.host").write_bytes(b"one")
    (maildir / "new" / "2.b.host").write_bytes(a_delivery_report(way_back, "5.1.1"))
    done = run("returned-folder", str(maildir))
    assert "left for later=1" in done.stdout and "1.a.host: not read: ConnectionError" in done.stderr
    assert "family@" not in done.stdout + done.stderr
    assert names(maildir, "new") == ["1.a.host"]
    monkeypatch.setattr(mail_reports, "take_mail_report", real)
    run("returned-folder", str(maildir))
    assert names(maildir, "cur") == ["1.a.host:2,F", "2.b.host:2,S"]


def test_a_folder_that_is_no_maildir_is_refused(maildir):
    (maildir / "cur").rmdir()
    done = run("returned-folder", str(maildir))
    assert done.exit_code != 0
    assert "is no Maildir; expected the folders new and cur" in done.output
