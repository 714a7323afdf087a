"""Japanese headers: our encoder against two parsers of the standard library and one in another language, for any text."""

import base64
import datetime as dt
import email.header
import email.parser
import email.policy
import re
import uuid

import fast_mail_parser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.delivery.channels.contract import OutgoingEmail
from app.delivery.channels.mail_headers import AddressRefused, encode_header_text, envelope_address
from app.delivery.channels.mail_message import MailSender, Writer, base64_lines, message_id
from app.platform.errors import InvalidInput

#: Everything a wording might hold: Japanese of several kinds, ASCII, blanks at the ends, emoji, look-alike encoded words.
japanese = st.sampled_from("児童手当のお知らせ【世田谷区】（第3子）〜髙﨑辻󠄀㈱ﾊﾝｶｸ円、。🍎👨‍👩‍👧")
anything = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
header_text = st.text(st.one_of(japanese, st.sampled_from('abc 12=?_.-,;:()<>@"\\ '), anything), max_size=200)


def subject_of(raw: bytes) -> list[str]:
    """Read the subject with the old parser, the new one, and one that is written in Rust; they share no code."""
    old = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(raw)["subject"]
    new = email.parser.BytesParser(policy=email.policy.default).parsebytes(raw)["subject"]
    decoded = "".join(
        part.decode(charset or "ascii") if isinstance(part, bytes) else part
        for part, charset in email.header.decode_header(old.replace("\r\n ", " "))
    )
    return [decoded, str(new), fast_mail_parser.parse_email(raw).subject]


def mail(subject: str = "件名", **changes: object) -> OutgoingEmail:
    values: dict[str, object] = {
        "delivery_id": uuid.UUID(int=7),
        "attempted_at": dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC),
        "composed_at": dt.datetime(2026, 11, 24, 1, 0, tzinfo=dt.UTC),
        "recipient": "kazoku@example.jp",
        "subject": subject,
        "text": "本文",
        "html": "<p>本文</p>",
    }
    return OutgoingEmail(**{**values, **changes})  # type: ignore[arg-type]


SENDER = MailSender("とどけ", "oshirase@todoke.example", "notices.todoke.example")


@given(header_text)
@example("児童手当 のお知らせ ABC 次の 1")
@example(" leading and trailing ")
@example("=?utf-8?b?44GC?=")
@example("a" * 300)
@example("a " * 100)
@example("")
@example("🍎" * 100)
def test_a_subject_comes_back_as_it_was(subject: str) -> None:
    raw = Writer(SENDER).write(mail(subject))
    assert subject_of(raw) == [subject] * 3


@given(header_text, st.integers(min_value=0, max_value=40))
def test_no_encoded_word_and_no_line_is_too_long(text: str, already_on_line: int) -> None:
    encoded = encode_header_text(text, already_on_line=already_on_line)
    assert encoded.isascii()
    lines = (" " * already_on_line + encoded).split("\r\n")
    words = re.findall(r"=\?utf-8\?b\?[A-Za-z0-9+/=]*\?=", encoded)
    assert all(len(word) <= 75 for word in words)
    assert all(len(line) <= (76 if words else 78) for line in lines)
    assert all(line.startswith(" ") for line in lines[1:])
    for word in words:
        ((part, charset),) = email.header.decode_header(word)
        assert charset == "utf-8"
        part.decode()  # every word holds whole characters


@given(header_text)
@example("  ")
@example("とどけ  （世田谷区） a  b")
def test_a_display_name_comes_back_as_it_was(name: str) -> None:
    sender = MailSender(name, "oshirase@todoke.example")
    raw = Writer(sender).write(mail())
    address = email.parser.BytesParser(policy=email.policy.default).parsebytes(raw)["from"].addresses[0]
    assert (address.username, address.domain) == ("oshirase", "todoke.example")
    # In names (not in subjects) this parser adds a blank between encoded words and joins runs of blanks: cpython 128110.
    assert "".join(address.display_name.split()) == "".join(name.split())
    old = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(raw)["from"]
    shown, spec = email.utils.parseaddr(old)
    assert spec == "oshirase@todoke.example"
    decoded = str(email.header.make_header(email.header.decode_header(shown)))
    assert decoded == name.strip()
    elsewhere = fast_mail_parser.parse_email(raw).from_
    assert (elsewhere.address, elsewhere.display_name or "") == ("oshirase@todoke.example", name.strip())


@given(st.text(st.characters(exclude_categories=("Cs",))), st.text(st.characters(exclude_categories=("Cs",))))
def test_bodies_come_back_and_no_line_is_too_long(text: str, html: str) -> None:
    raw = Writer(SENDER).write(mail(text=text, html=html))
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = email.parser.BytesParser(policy=email.policy.default).parsebytes(raw)
    assert message.defects == []
    plain, rich = message.iter_parts()
    for part, meant in ((plain, text), (rich, html)):
        expected = re.sub(r"\r\n|\r|\n", "\r\n", meant)
        assert part.get_payload(decode=True).decode() == expected


@given(st.text(), st.sampled_from("\r\n\x00\x0b\x0c\x1b\x7f\x85\u2028\u2029\ud800"), st.text())
def test_control_characters_are_refused_and_never_repeated(before: str, control: str, after: str) -> None:
    with pytest.raises(InvalidInput, match=r"found the character U\+[0-9A-F]{4,6}; expected one line") as refused:
        encode_header_text(before + control + after, already_on_line=9)
    assert len(str(refused.value)) < 90


@given(st.text(max_size=80))
def test_an_address_is_either_refused_or_safe_on_a_command_line(text: str) -> None:
    try:
        address = envelope_address(text)
    except InvalidInput:
        return
    assert address.isascii()
    assert not re.search(r"[\x00-\x20\x7f<>]", address)
    assert address.count("@") >= 1


def test_a_quoted_address_is_not_quoted_twice() -> None:
    assert envelope_address('"foo..bar"@docomo.example.jp') == '"foo..bar"@docomo.example.jp'
    assert envelope_address(" kazoku@example.jp ") == "kazoku@example.jp"
    with pytest.raises(AddressRefused):
        envelope_address('"a"b"@example.jp')


def test_the_message_id_is_the_delivery() -> None:
    assert message_id(uuid.UUID(int=7), "todoke.example") == "<dlv-00000000000000000000000000000007@todoke.example>"


def test_a_line_that_would_be_too_long_is_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 998"):
        Writer(MailSender("a", "a@todoke.example", "x" * 1000)).write(mail(unsubscribe_url="https://todoke.example/u"))


@given(st.binary(max_size=400))
def test_base64_is_what_the_library_gives(content: bytes) -> None:
    assert base64_lines(content) == base64.encodebytes(content).replace(b"\n", b"\r\n")
