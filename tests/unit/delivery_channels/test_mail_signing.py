"""Signatures, as an independent verifier sees them."""

import datetime as dt
import uuid

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.delivery.channels.contract import OutgoingEmail
from app.delivery.channels.mail_message import MailSender, Writer
from app.delivery.channels.mail_signing import Signer, new_key, read_key
from app.platform.errors import Misconfigured

RSA, ED25519 = new_key("r2026", "rsa"), new_key("e2026", "ed25519")
PUBLISHED = {
    b"r2026._domainkey.todoke.example.": RSA.dns_record().encode(),
    b"e2026._domainkey.todoke.example.": ED25519.dns_record().encode(),
}
SENDER = MailSender(
    "とどけ お知らせ係", "oshirase@todoke.example", "notices.todoke.example", signer=Signer("todoke.example", (RSA, ED25519))
)  # fmt: skip


def mail(**changes: object) -> OutgoingEmail:
    values: dict[str, object] = {
        "delivery_id": uuid.UUID(int=7),
        "attempted_at": dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC),
        "composed_at": dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC),
        "recipient": "kazoku@example.jp",
        "subject": "【世田谷区】児童手当 の額が変わります。手続きは 12月7日 までです",
        "text": "本文\n。\n",
        "html": "<p>本文</p>",
        "unsubscribe_url": "https://todoke.example/u/abc",
    }
    return OutgoingEmail(**{**values, **changes})  # type: ignore[arg-type]


def verified(raw: bytes) -> list[bool]:
    return [_verified(raw, index) for index in (0, 1)]


def _verified(raw: bytes, index: int) -> bool:
    try:
        return bool(dkim.DKIM(raw).verify(index, dnsfunc=lambda name, timeout=5: PUBLISHED[name]))
    except dkim.ValidationError:
        return False


words = st.text(st.sampled_from("児童手当のお知らせ【世田谷区】〜髙🍎abc 12=?_.-,;:()<>@\"\\ \t\n"), max_size=120)


@settings(max_examples=25, deadline=None)
@given(words.map(lambda text: " ".join(text.split("\n")).replace("\t", " ")), words, words)
def test_both_signatures_hold_for_any_mail(subject: str, text: str, html: str) -> None:
    assert verified(Writer(SENDER).write(mail(subject=subject, text=text, html=html))) == [True, True]


def test_a_mail_without_unsubscribing_is_signed_too() -> None:
    assert verified(Writer(SENDER).write(mail(unsubscribe_url=None))) == [True, True]


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        (b"To: kazoku@", b"To: others@"),
        (b"Date: Tue, 24", b"Date: Wed, 25"),
        (b"/u/abc>", b"/u/xyz>"),
        (b"One-Click", b"Two-Click"),
        (b"dlv-0", b"dlv-1"),
        (b"\r\n\r\n--", b"\r\n\r\nx--"),
        (b"From: ", b"From: evil@example.jp\r\nFrom: "),
        (b"Subject: ", b"Subject: other\r\nSubject: "),
        (b"List-Unsubscribe: ", b"List-Unsubscribe: <https://evil.example>\r\nList-Unsubscribe: "),
        (b"\r\nAuto-Submitted: auto-generated", b""),
    ],
)
def test_what_was_changed_or_added_is_seen(found: bytes, instead: bytes) -> None:
    raw = Writer(SENDER).write(mail())
    head, _, rest = raw.partition(b"\r\nFrom: ")
    changed = head + (b"\r\nFrom: " + rest).replace(found, instead, 1)
    assert changed != raw
    assert verified(changed) == [False, False]


def test_an_added_header_in_mail_without_one_is_seen() -> None:
    raw = Writer(SENDER).write(mail(unsubscribe_url=None))
    changed = raw.replace(b"\r\nFrom: ", b"\r\nList-Unsubscribe: <https://evil.example>\r\nFrom: ", 1)
    assert verified(changed) == [False, False]


def test_every_attempt_is_the_same_to_the_byte() -> None:
    assert Writer(SENDER).write(mail()) == Writer(SENDER).write(mail(attempted_at=dt.datetime.now(dt.UTC)))


def test_a_key_comes_back_from_its_file(tmp_path) -> None:
    for key in (RSA, ED25519):
        path = tmp_path / key.selector
        path.write_bytes(key.private_pem())
        assert read_key(key.selector, path).dns_record() == key.dns_record()
        assert "PRIVATE" not in repr(read_key(key.selector, path))


def test_keys_that_cannot_sign_are_refused_by_name(tmp_path) -> None:
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    weak = rsa.generate_private_key(65537, 1024).private_bytes(*pem, serialization.NoEncryption())
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem, serialization.NoEncryption())
    locked = RSA.private.private_bytes(*pem, serialization.BestAvailableEncryption(b"x"))
    for content, expected in (
        (b"not a key", "found no private key"), (weak, "1024 bits"), (curve, "another kind"), (locked, "found no private key"),
    ):  # fmt: skip
        (tmp_path / "key.pem").write_bytes(content)
        with pytest.raises(Misconfigured, match=expected):
            read_key("s1", tmp_path / "key.pem")
    with pytest.raises(Misconfigured, match="found no private key"):
        read_key("s1", tmp_path / "absent.pem")
    with pytest.raises(Misconfigured, match="expected letters"):
        new_key("two words", "rsa")
    with pytest.raises(Misconfigured, match="expected rsa or ed25519"):
        new_key("s1", "dsa")
