"""Headers and addresses of a mail, put together by hand.

The standard library folds Japanese subjects wrongly (encoded words of 76 characters, lost spaces), so every header that
holds a person's words is made here.
"""

import base64
import re
from typing import Final

from app.platform.errors import InvalidInput

#: RFC 2047 section 2: an encoded word is at most 75 characters, a line with one at most 76.
_ENCODED_WORD_LIMIT: Final = 75
_ENCODED_LINE_LIMIT: Final = 76
_WORD_START, _WORD_END = "=?utf-8?b?", "?="
_PLAIN: Final = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
#: Control characters, halves of characters, and the two separators that some programs take for a line break.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_ATOMS: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.IGNORECASE)
_LOCAL_PART: Final = re.compile(r"[\x21-\x3b\x3d\x3f\x41-\x7e]{1,64}")
_DOMAIN: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)


class AddressRefused(InvalidInput):
    """No mail can be sent to this text."""

    slug = "address-refused"


def encode_header_text(text: str, *, already_on_line: int) -> str:
    """Return the value of an unstructured header or a display name, folded, in ASCII (RFC 2047).

    Text that is plain and short stays as it is; everything else becomes base64 encoded words, the whole of it, because
    the blank between an encoded word and a plain one is where clients disagree.

    Args:
        text: any text without control characters.
        already_on_line: characters before the value on its first line (`Subject: ` is 9).

    Raises:
        InvalidInput: the text holds a line break or another control character, or half of a character.
    """
    refuse_control_characters(text, "header")
    if already_on_line + len(text) <= 78 and "=?" not in text and (not text or _PLAIN.fullmatch(text)):
        return text
    words: list[str] = []
    chunk = bytearray()
    room = _bytes_in_word(already_on_line)
    for character in text:
        encoded = character.encode()
        if len(chunk) + len(encoded) > room:
            words.append(_encoded_word(chunk))
            chunk = bytearray()
            room = _bytes_in_word(1)
        chunk += encoded
    words.append(_encoded_word(chunk))
    return "\r\n ".join(words)


def _bytes_in_word(already_on_line: int) -> int:
    characters = min(_ENCODED_WORD_LIMIT, _ENCODED_LINE_LIMIT - already_on_line)
    return (characters - len(_WORD_START) - len(_WORD_END)) // 4 * 3


def _encoded_word(chunk: bytes | bytearray) -> str:
    return _WORD_START + base64.b64encode(chunk).decode() + _WORD_END


def mailbox(name: str, address: str, *, already_on_line: int) -> str:
    """Return a display name with its address, as From and To carry it; the address alone where there is no name."""
    name = name.strip()
    if not name:
        return address
    encoded = encode_header_text(name, already_on_line=already_on_line)
    if encoded == name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"\r\n <{address}>'
    return f"{encoded}\r\n <{address}>"


def refuse_control_characters(text: str, what: str) -> None:
    """Refuse a text that could end a header line and begin another.

    Raises:
        InvalidInput: naming the character, never the text.
    """
    found = _CONTROL.search(text)
    if found is not None:
        raise InvalidInput(f"mail {what}: found the character U+{ord(found[0]):04X}; expected one line of text")


def envelope_address(text: str) -> str:
    """Return an address as SMTP takes it: domain in ASCII, a local part of old carrier style in quotes.

    Japanese carriers once gave out local parts such as `foo..bar` and `foo.`; they work only in quotes.

    Raises:
        AddressRefused: naming what is wrong, never the address.
    """
    refuse_control_characters(text, "address")
    local, _, domain = text.strip().rpartition("@")
    quoted = len(local) > 2 and local[0] == local[-1] == '"'
    local = local[1:-1] if quoted else local
    if not _LOCAL_PART.fullmatch(local) or '"' in local or "\\" in local:
        raise AddressRefused("mail address: found a part before @ that mail cannot carry; expected name@example.jp")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        domain = ""
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
        raise AddressRefused("mail address: found no usable domain after @; expected name@example.jp")
    return f"{local}@{domain}" if _ATOMS.fullmatch(local) else f'"{local}"@{domain}'
