"""Sealing of names, contact points, messages and tokens: AES-256-GCM, bound to table, column and row.

Envelope: each sealed value carries its own data key, wrapped by a key-encryption key with an id, so that keys rotate
without touching the contents and a household can be crypto-shredded by dropping its rows' wrapped keys.

    byte 0      format (1)
    byte 1      length of the key id, then the key id
    12 + 48     nonce and wrapped data key
    12 + n      nonce and sealed content
"""

import base64
import hmac
import os
import uuid
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.platform.errors import Misconfigured
from app.platform.settings import settings

_FORMAT = 1
_NONCE = 12
_WRAPPED_KEY = 32 + 16


def seal(value: str, table: str, column: str, row_id: uuid.UUID) -> bytes:
    """Seal a text for exactly one place in the database.

    Raises:
        Misconfigured: no usable sealing key is set.
    """
    place = _place(table, column, row_id)
    key_id = settings().sealing.active_key
    data_key = AESGCM.generate_key(bit_length=256)
    key_nonce, nonce = os.urandom(_NONCE), os.urandom(_NONCE)
    wrapped = _key(key_id).encrypt(key_nonce, data_key, place)
    content = AESGCM(data_key).encrypt(nonce, value.encode(), place)
    return bytes([_FORMAT, len(key_id)]) + key_id.encode() + key_nonce + wrapped + nonce + content


def unseal(sealed: bytes, table: str, column: str, row_id: uuid.UUID) -> str:
    """Open a sealed text.

    Raises:
        ValueError: the bytes were sealed for another place, with another key, or were changed.
        Misconfigured: the key that sealed them is not set.
    """
    place = _place(table, column, row_id)
    if len(sealed) < 2 or sealed[0] != _FORMAT:
        raise ValueError(f"not a sealed value of format {_FORMAT} in {table}.{column}")
    start = 2 + sealed[1]
    key_id = sealed[2:start].decode()
    key_nonce, wrapped = sealed[start : start + _NONCE], sealed[start + _NONCE : start + _NONCE + _WRAPPED_KEY]
    rest = sealed[start + _NONCE + _WRAPPED_KEY :]
    try:
        data_key = _key(key_id).decrypt(key_nonce, wrapped, place)
        return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], place).decode()
    except InvalidTag:
        raise ValueError(f"sealed value in {table}.{column} does not belong to row {row_id} or was changed") from None


def blind_index(value: str, purpose: str) -> bytes:
    """Return a keyed digest by which an equal value can be found without opening any row (32 bytes)."""
    key = _decoded(settings().sealing.index_key.get_secret_value(), "TODOKE_SEALING__INDEX_KEY")
    return hmac.digest(key, f"{purpose}\x1f{value}".encode(), sha256)


def generate_key() -> str:
    """Return a new key for the settings (base64, 32 bytes)."""
    return base64.b64encode(os.urandom(32)).decode()


def _place(table: str, column: str, row_id: uuid.UUID) -> bytes:
    return f"{table}\x1f{column}\x1f{row_id}".encode()


def _key(key_id: str) -> AESGCM:
    keys = settings().sealing.keys
    if key_id not in keys:
        raise Misconfigured(f"sealing key {key_id!r} is not set; expected it in TODOKE_SEALING__KEYS")
    return AESGCM(_decoded(keys[key_id].get_secret_value(), f"sealing key {key_id!r}"))


def _decoded(text: str, what: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Misconfigured(f"{what} must be base64 of 32 bytes; make one with: todoke keys new")
    return key
