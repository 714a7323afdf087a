"""What a mail that came back means, and whose it is."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.delivery.channels.mail_reports import Kind, read_report
from app.delivery.channels.mail_return_path import ReturnPaths
from app.platform.errors import InvalidInput
from tests.fixtures.bounces import a_complaint, a_delivery_report, a_mail

PATHS = ReturnPaths("bounces@todoke.example", b"k" * 32)
MINE = uuid.UUID(int=7)
TO_US = PATHS.path(MINE)

REPORTS = [
    ("5.1.1", "550 5.1.1 user unknown", Kind.HARD),
    ("5.1.10", "", Kind.HARD),
    ("5.2.1", "550 5.2.1 account closed", Kind.HARD),
    ("5.4.4", "host not found", Kind.HARD),
    ("5.0.0", "550 No such user here", Kind.HARD),
    ("5.0.0", "550 5.1.1 unknown", Kind.HARD),
    ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied", Kind.HARD),
    ("5.2.2", "552 5.2.2 mailbox full", Kind.SOFT),
    ("4.4.7", "delivery time expired", Kind.SOFT),
    ("5.0.0", "", Kind.SOFT),
    ("5.7.1", "550 5.7.1 policy", Kind.POLICY),
    ("4.7.0", "450 4.7.0 try later", Kind.POLICY),
    ("5.1.8", "553 5.1.8 sender domain", Kind.POLICY),
    ("5.2.3", "message too long", Kind.POLICY),
    ("5.6.0", "content", Kind.POLICY),
]


@pytest.mark.parametrize(("status", "diagnosis", "kind"), REPORTS)
def test_a_delivery_report_means_what_the_standard_says(status: str, diagnosis: str, kind: Kind) -> None:
    report = read_report(a_delivery_report(TO_US, status, diagnosis), PATHS)
    assert (report.kind, report.delivery_id) == (kind, MINE)


@pytest.mark.parametrize(
    ("action", "kind"), [("delayed", Kind.DELAYED), ("delivered", Kind.NOTHING), ("relayed", Kind.NOTHING)]
)
def test_only_a_failure_is_a_bounce(action: str, kind: Kind) -> None:
    assert read_report(a_delivery_report(TO_US, "4.4.1", action=action), PATHS).kind is kind


WORDS = [
    ("Undelivered Mail", "次のアドレスは存在しません: family@home.example", Kind.HARD),
    ("failure notice", "family@home.example\nSorry, no mailbox here by that name.", Kind.HARD),
    ("Returned mail", "Requested action not taken: mailbox unavailable. [550]", Kind.HARD),
    ("Mail failure", "552 the mailbox is full", Kind.SOFT),
    ("Mail failure", "メールボックスの容量を超えています", Kind.SOFT),
    ("Undeliverable", "Something went wrong.", Kind.SOFT),
    ("Mail rejected", "Blocked by our spam filter, delivery failed", Kind.POLICY),
    ("Warning", "Your mail has not yet been delivered; we will keep trying.", Kind.DELAYED),
]


@pytest.mark.parametrize(("subject", "body", "kind"), WORDS)
def test_a_bounce_of_mere_words_is_understood(subject: str, body: str, kind: Kind) -> None:
    report = read_report(a_mail(TO_US, subject=subject, body=body), PATHS)
    assert (report.kind, report.delivery_id) == (kind, MINE)
    assert "family" not in report.wording


def test_complaints_and_their_opposites() -> None:
    assert read_report(a_complaint(TO_US), PATHS).kind is Kind.COMPLAINT
    assert read_report(a_complaint(TO_US), PATHS).delivery_id == MINE
    assert read_report(a_complaint(TO_US, feedback="not-spam"), PATHS).kind is Kind.NOTHING
    assert read_report(a_complaint(TO_US, feedback="auth-failure"), PATHS).kind is Kind.POLICY


@pytest.mark.parametrize("header", ["Auto-Submitted: auto-replied", "Precedence: bulk", "X-Autoreply: yes"])
def test_holidays_are_no_bounce(header: str) -> None:
    raw = a_mail(TO_US, sender="family@home.example", subject="休暇中です", extra=header + "\r\n", body="unknown user?")
    assert read_report(raw, PATHS).kind is Kind.NOTHING


def test_a_letter_is_for_a_person_to_read() -> None:
    assert read_report(a_mail(TO_US, sender="family@home.example", subject="質問"), PATHS).kind is Kind.UNREADABLE


@pytest.mark.parametrize("place", ["recipient", "envelope id", "capitals", "Delivered-To"])
def test_whose_it_is_stands_in_several_places(place: str) -> None:
    elsewhere = "postmaster@todoke.example"
    if place == "recipient":
        found = read_report(a_delivery_report(elsewhere, "5.1.1"), PATHS, recipient=TO_US)
    elif place == "envelope id":
        found = read_report(a_delivery_report(elsewhere, "5.1.1", envelope_id=PATHS.token(MINE)), PATHS)
    elif place == "capitals":
        found = read_report(a_delivery_report(TO_US.upper(), "5.1.1"), PATHS)
    else:
        found = read_report(f"Delivered-To: {TO_US}\r\n".encode() + a_delivery_report(elsewhere, "5.1.1"), PATHS)
    assert found.delivery_id == MINE


@given(st.uuids(), st.integers(0, 39), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_token_cannot_be_made_up(delivery_id: uuid.UUID, position: int, letter: str) -> None:
    token = PATHS.token(delivery_id)
    assert PATHS.delivery_in(PATHS.path(delivery_id)) == delivery_id
    changed = token[:position] + letter + token[position + 1 :]
    assert PATHS.delivery_in(changed) == (delivery_id if changed == token else None)
    assert ReturnPaths("b@todoke.example", b"x" * 32).delivery_in(token) is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["report; report-type=delivery-status", "mixed", "report"]))
def test_no_bytes_are_too_odd_to_be_read(content: bytes, kind: str) -> None:
    head = f"From: MAILER-DAEMON\r\nContent-Type: multipart/{kind}; boundary=edge\r\n\r\n--edge\r\n".encode()
    for raw in (content, head + b"Content-Type: message/delivery-status\r\n\r\n" + content, head + content):
        assert read_report(raw, PATHS).delivery_id is None


@pytest.mark.parametrize("address", ["a" * 24 + "@todoke.example", '"a b"@todoke.example', "nobody"])
def test_a_return_address_must_have_room_for_a_token(address: str) -> None:
    with pytest.raises(InvalidInput):
        ReturnPaths(address, b"k" * 32)
