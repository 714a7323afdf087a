"""DKIM signatures (RFC 6376, RFC 8463): who receives a mail can see that it is ours and that nobody changed it.

The signature is made here and not by a library, because OpenSSL signs with RSA-2048 in a fraction of the time that pure
Python takes, and because our messages are already in canonical form. Two independent verifiers hold it in the tests.

Basis: RFC 8058 section 4: List-Unsubscribe and List-Unsubscribe-Post must be covered by a valid signature.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from app.platform.errors import Misconfigured

#: Signed once more than they occur, so that nobody can put a second one in front of ours.
_NOBODY_ADDS: Final = (
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
)  # fmt: skip
_SIGNED_IF_THERE: Final = ("Auto-Submitted", "List-Id", "MIME-Version", "Content-Type")
_SELECTOR: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[ \t]+")
_RSA_BITS: Final = 2048
_LINE: Final = 72


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the selector under which its public half stands in the DNS."""

    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """What `a=` says."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, signed: bytes) -> bytes:
        """Return the signature of canonical headers."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return self.private.sign(sha256(signed).digest())  # RFC 8463 section 3: the digest is what is signed

    def dns_record(self) -> str:
        """Return the TXT record that belongs at `<selector>._domainkey.<domain>`."""
        public = self.private.public_key()
        if isinstance(self.private, RSAPrivateKey):
            form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            return "v=DKIM1; k=rsa; p=" + base64.b64encode(public.public_bytes(*form)).decode()
        form = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return "v=DKIM1; k=ed25519; p=" + base64.b64encode(public.public_bytes(*form)).decode()

    def private_pem(self) -> bytes:
        """Return the private key as it is kept in a file."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def new_key(selector: str, kind: str) -> SigningKey:
    """Make a key of kind `rsa` (2,048 bits) or `ed25519`.

    Raises:
        Misconfigured: another kind, or no usable selector.
    """
    if kind not in ("rsa", "ed25519"):
        raise Misconfigured(f"signing key: found kind {kind!r}; expected rsa or ed25519")
    if kind == "rsa":
        return SigningKey(_checked(selector), generate_private_key(65537, _RSA_BITS))
    return SigningKey(_checked(selector), Ed25519PrivateKey.generate())


def read_key(selector: str, path: Path) -> SigningKey:
    """Read a private key in PEM form.

    Raises:
        Misconfigured: no readable key, one in a password, one too weak, or no usable selector.
    """
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misconfigured(
            f"signing key {selector!r}: found no private key at {path} ({type(error).__name__}); expected PEM without"
            " a password, as `todoke mail signing-key` writes it"
        ) from error
    if isinstance(private, RSAPrivateKey):
        if private.key_size < _RSA_BITS:
            raise Misconfigured(
                f"signing key {selector!r}: found {private.key_size} bits; expected {_RSA_BITS} or more"
            )
    elif not isinstance(private, Ed25519PrivateKey):
        raise Misconfigured(f"signing key {selector!r}: found a key of another kind; expected RSA or Ed25519")
    return SigningKey(_checked(selector), private)


def _checked(selector: str) -> str:
    if not _SELECTOR.fullmatch(selector):
        raise Misconfigured(f"signing key: found selector {selector!r}; expected letters, digits and hyphens")
    return selector


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs whole messages for one domain, once with each key (RSA for today's receivers, Ed25519 beside it)."""

    domain: str
    keys: tuple[SigningKey, ...]

    def signatures(self, headers: Sequence[str], body: bytes) -> list[str]:
        """Return one `DKIM-Signature` header for each key, folded, to stand before the others.

        The same message gets the same signatures on every attempt: there is no time in them.

        Args:
            headers: `Name: value`, perhaps folded, without the last line end, each name at most once.
            body: with CRLF lines.
        """
        canonical = {header.partition(":")[0].lower(): _relaxed(header) for header in headers}
        names = [*_NOBODY_ADDS, *_NOBODY_ADDS, *_SIGNED_IF_THERE]
        listed, lines = [], []
        for name in names:
            line = canonical.pop(name.lower(), None)
            if line is not None:
                lines.append(line)
            elif name in _SIGNED_IF_THERE:
                continue
            listed.append(name)
        body_digest = base64.b64encode(sha256(_simple(body)).digest()).decode()
        return [self._signature(key, listed, "\r\n".join(lines), body_digest) for key in self.keys]

    def _signature(self, key: SigningKey, listed: Sequence[str], lines: str, body_digest: str) -> str:
        unsigned = (
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/simple; d={self.domain};\r\n s={key.selector};"
            f" bh={body_digest};\r\n h={_folded_names(listed)};\r\n b="
        )
        signature = base64.b64encode(key.sign((lines + "\r\n" + _relaxed(unsigned)).encode())).decode()
        rows = [signature[start : start + _LINE] for start in range(0, len(signature), _LINE)]
        return unsigned + "\r\n  ".join(rows)


def _relaxed(header: str) -> str:
    """Return a header in relaxed form (RFC 6376 section 3.4.2)."""
    name, _, value = header.partition(":")
    return name.strip().lower() + ":" + _BLANKS.sub(" ", value.replace("\r\n", "")).strip()


def _simple(body: bytes) -> bytes:
    """Return a body in simple form (RFC 6376 section 3.4.3): with exactly one line end at its end."""
    return body.rstrip(b"\r\n") + b"\r\n"


def _folded_names(names: Sequence[str]) -> str:
    rows, row = [], ""
    for name in names:
        if len(row) + len(name) > _LINE:
            rows.append(row)
            row = ""
        row += name + ":"
    return "\r\n  ".join([*rows, row]).rstrip(":")
