"""Signatures, both ways against the reference library of Standard Webhooks."""

import base64
import datetime as dt
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from app.partners import signing
from app.platform.errors import InvalidInput
from app.sandbox.partner_app import signature_is_genuine

BODY = '{"type":"notice.created","data":{"title":"児童手当"}}'.encode()


def signed(*secrets: str, at: int, body: bytes = BODY) -> dict[str, str]:
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signing.signature(secrets, "evt_1", at, body),
    }


def test_a_secret_is_thirty_two_random_bytes() -> None:
    secret = signing.new_secret()
    assert secret.startswith("whsec_")
    assert len(signing.key_of(secret)) == 32
    assert signing.new_secret() != secret


@pytest.mark.parametrize(
    "broken",
    ["", "whsec_", "secret", "whsec_***", "whsec_" + base64.b64encode(b"x" * 23).decode(), "whpk_" + "A" * 44],
)
def test_a_broken_secret_is_refused_without_repeating_it(broken: str) -> None:
    with pytest.raises(InvalidInput, match=r"webhook secret: found .*expected whsec_") as refused:
        signing.key_of(broken)
    assert len(broken) < 8 or broken not in str(refused.value)


def test_a_known_vector_of_the_specification() -> None:
    # The example of the specification's reference libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    header = signing.signature([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_reference_library_accepts_what_we_sign() -> None:
    secret = signing.new_secret()
    Webhook(secret).verify(BODY, signed(secret, at=int(time.time())))


def test_the_reference_library_accepts_either_secret_during_a_rotation() -> None:
    new, old = signing.new_secret(), signing.new_secret()
    headers = signed(new, old, at=int(time.time()))
    Webhook(new).verify(BODY, headers)
    Webhook(old).verify(BODY, headers)
    assert headers["webhook-signature"].count("v1,") == 2


def test_we_accept_what_the_reference_library_signs() -> None:
    secret, now = signing.new_secret(), int(time.time())
    header = Webhook(secret).sign("evt_1", dt.datetime.fromtimestamp(now, dt.UTC), BODY.decode())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": header}
    signing.verify([signing.new_secret(), secret], headers, BODY, now=now)


TAMPERED = [
    ("a changed body", lambda headers: (headers, BODY + b" ")),
    ("another id", lambda headers: ({**headers, "webhook-id": "evt_2"}, BODY)),
    (
        "another time",
        lambda headers: ({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, BODY),
    ),
    ("a forged signature", lambda headers: ({**headers, "webhook-signature": "v1," + "A" * 43 + "="}, BODY)),
    (
        "an asymmetric label",
        lambda headers: ({**headers, "webhook-signature": headers["webhook-signature"].replace("v1,", "v1a,")}, BODY),
    ),
    ("no signature", lambda headers: ({**headers, "webhook-signature": ""}, BODY)),
    ("no header at all", lambda headers: ({}, BODY)),
    ("a time that is no number", lambda headers: ({**headers, "webhook-timestamp": "soon"}, BODY)),
    ("characters outside ASCII", lambda headers: ({**headers, "webhook-signature": "v1,あ"}, BODY)),
]


@pytest.mark.parametrize(("what", "change"), TAMPERED, ids=[what for what, _ in TAMPERED])
def test_everybody_refuses(what: str, change) -> None:
    secret, now = signing.new_secret(), int(time.time())
    headers, body = change(signed(secret, at=now))
    with pytest.raises(signing.SignatureRefused):
        signing.verify([secret], headers, body, now=now)
    assert not signature_is_genuine([secret], headers, body, now)
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(secret).verify(body, headers)


@pytest.mark.parametrize(("age", "accepted"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_a_signature_is_good_for_five_minutes_either_way(age: int, accepted: bool) -> None:
    secret, now = signing.new_secret(), 1_800_000_000
    headers = signed(secret, at=now - age)
    assert signature_is_genuine([secret], headers, BODY, now) is accepted
    if accepted:
        signing.verify([secret], headers, BODY, now=now)
    else:
        with pytest.raises(signing.SignatureRefused, match="300 seconds"):
            signing.verify([secret], headers, BODY, now=now)


@pytest.mark.parametrize(("secrets", "webhook_id"), [((), "evt_1"), (("s",), "evt.1"), (("s",), "")])
def test_nothing_is_signed_without_a_secret_or_with_an_ambiguous_id(secrets: tuple[str, ...], webhook_id: str) -> None:
    with pytest.raises(InvalidInput, match="webhook signature"):
        signing.signature(secrets, webhook_id, 1, BODY)


# Ed25519

#: A key, an event and the signature that another sender of Standard Webhooks (Svix) publishes for them.
KNOWN_KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
KNOWN_PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
KNOWN_SIGNATURE = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def test_another_senders_vector_of_the_asymmetric_kind() -> None:
    body, message, at = b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    assert signing.public_key_of(KNOWN_KEY) == KNOWN_PUBLIC_KEY
    assert signing.signature([KNOWN_KEY], message, at, body) == KNOWN_SIGNATURE
    headers = {"webhook-id": message, "webhook-timestamp": str(at), "webhook-signature": KNOWN_SIGNATURE}
    signing.verify([KNOWN_PUBLIC_KEY], headers, body, now=at)


def test_the_library_of_cryptography_alone_verifies_what_we_sign() -> None:
    key = signing.new_signing_key()
    headers = signed(key, at=1)
    label, encoded = headers["webhook-signature"].split(",")
    public = base64.b64decode(signing.public_key_of(key).removeprefix("whpk_"))
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(encoded), b"evt_1.1." + BODY)
    assert label == "v1a"


def test_both_kinds_travel_together_and_each_receiver_finds_its_own() -> None:
    secret, new, old, now = signing.new_secret(), signing.new_signing_key(), signing.new_signing_key(), int(time.time())
    headers = signed(secret, new, old, at=now)
    assert [part.split(",")[0] for part in headers["webhook-signature"].split()] == ["v1", "v1a", "v1a"]
    Webhook(secret).verify(BODY, headers)
    for key in (secret, signing.public_key_of(new), signing.public_key_of(old)):
        signing.verify([key], headers, BODY, now=now)
    with pytest.raises(signing.SignatureRefused):
        signing.verify([signing.public_key_of(signing.new_signing_key())], headers, BODY, now=now)


@pytest.mark.parametrize(("what", "change"), TAMPERED[:4] + TAMPERED[5:])
def test_a_public_key_refuses_the_same(what: str, change) -> None:
    key, now = signing.new_signing_key(), int(time.time())
    headers, body = change(signed(key, at=now))
    with pytest.raises(signing.SignatureRefused):
        signing.verify([signing.public_key_of(key)], headers, body, now=now)


def test_a_public_key_does_not_verify_as_if_it_were_a_shared_secret() -> None:
    # An old trap: who treats the public key as an HMAC secret lets everybody sign.
    public, now = signing.public_key_of(signing.new_signing_key()), int(time.time())
    forged = Webhook(public.removeprefix("whpk_")).sign("evt_1", dt.datetime.fromtimestamp(now, dt.UTC), BODY.decode())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": forged}
    with pytest.raises(signing.SignatureRefused):
        signing.verify([public], headers, BODY, now=now)


@pytest.mark.parametrize("broken", ["whsk_", "whsk_***", "whsk_" + base64.b64encode(b"x" * 32).decode(), "whsec_AAAA"])
def test_a_broken_private_key_is_refused_without_repeating_it(broken: str) -> None:
    with pytest.raises(InvalidInput, match=r"webhook private key: found .*expected whsk_"):
        signing.public_key_of(broken)
