"""Endpoints, secrets, keys, links and idempotency keys in the database, as the web role meets them."""

import datetime as dt
import threading
import uuid

import pytest
import sqlalchemy.exc
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import SQLModel, select

from app.households.tables import Household
from app.partners import credentials, endpoint_keys, endpoints, events, idempotency, links, signing
from app.partners.registration import contact_of, partner_by_id, register_partner
from app.partners.tables import PartnerCredential, PartnerEndpoint, PartnerLink
from app.platform import schema
from app.platform.database import Context, app_session, worker_session
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.platform.identifiers import new_id
from app.platform.outbound import TargetBlocked

AT = dt.datetime(2026, 11, 24, 0, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def public(_host, _port):
    return ["93.184.216.34"]


@pytest.fixture
def partner_id(todoke_environment):
    return registered("株式会社そらいろ(架空)")


def registered(name):
    partner_id = new_id()
    with partner_session(partner_id) as session:
        register_partner(session, partner_id, name=name, app_name="そらいろアプリ", contact="dev@sorairo.example")
        session.commit()
    return partner_id


def partner_session(partner_id):
    return app_session(Context(partner=partner_id))


def registered_endpoint(partner_id, url="https://hooks.sorairo.example/todoke", types=()):
    with partner_session(partner_id) as session:
        shown = endpoints.register_endpoint(session, partner_id, url, types, look_up=public)
        session.commit()
        return shown


def test_tables_and_migrations_agree(todoke_environment):
    found = schema.drift(todoke_environment["TODOKE_DATABASE__OWNER_URL"], SQLModel.metadata)
    mine = {"partners", "partner_endpoints", "partner_credentials", "partner_links", "idempotency_keys"}
    assert [change for change in found if mine & set(str(change).replace("'", " ").split())] == []


def test_a_partner_is_registered_with_a_sealed_contact(partner_id):
    with app_session() as session:
        partner = partner_by_id(session, partner_id)
        assert contact_of(partner) == "dev@sorairo.example"
        assert b"sorairo" not in partner.contact_sealed
        with pytest.raises(NotFound):
            partner_by_id(session, uuid.uuid4())
        with pytest.raises(InvalidInput, match="between 1 and 100"):
            register_partner(session, new_id(), name=" ", app_name="x")
        with pytest.raises(InvalidInput, match="one e-mail address"):
            register_partner(session, new_id(), name="x", app_name="x", contact="not an address")


@pytest.mark.parametrize("open_session", [app_session, worker_session])
def test_a_partner_is_written_in_its_own_context_only_and_seen_in_all(partner_id, open_session):
    stranger = registered("べつの会社(架空)")
    for context in (Context(), Context(partner=stranger)):
        with open_session(context) as session:
            assert partner_by_id(session, partner_id).app_name == "そらいろアプリ"
            with pytest.raises(ProgrammingError, match="row-level security"):
                session.execute(text("UPDATE partners SET app_name = 'x' WHERE id = :id"), {"id": partner_id})
        with open_session(context) as session, pytest.raises(ProgrammingError, match="row-level security"):
            register_partner(session, new_id(), name="x", app_name="x")
    with open_session(Context(partner=partner_id)) as session:
        session.execute(text("UPDATE partners SET app_name = 'そらいろ' WHERE id = :id"), {"id": partner_id})
        session.commit()
        assert partner_by_id(session, partner_id).app_name == "そらいろ"


def test_an_endpoint_is_registered_and_its_secret_is_sealed(partner_id):
    shown = registered_endpoint(partner_id, "https://Hooks.Sorairo.example/todoke")
    assert shown.secret.startswith("whsec_")
    with partner_session(partner_id) as session:
        [endpoint] = endpoints.endpoints_of(session, partner_id)
        assert endpoint.url == "https://hooks.sorairo.example/todoke"
        assert shown.secret.encode() not in endpoint.secret_sealed
        assert endpoint_keys.live_secrets(endpoint, AT) == (shown.secret,)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hooks.sorairo.example/", "https://"),
        ("https://10.0.0.8/hook", "private network"),
        ("https://169.254.169.254/latest/meta-data", "metadata"),
        ("https://[::1]/hook", "loopback"),
        ("https://user:secret@hooks.sorairo.example/", "user name or password"),
        ("https://2130706433/", "127.0.0.1"),
        ("https://hooks.sorairo.example:22/", "port 22"),
        ("ftp://hooks.sorairo.example/", "scheme"),
    ],
)
def test_an_address_that_must_not_be_called_is_refused(partner_id, url, message):
    with partner_session(partner_id) as session:
        with pytest.raises(TargetBlocked, match=message):
            endpoints.register_endpoint(session, partner_id, url, look_up=public)
        assert endpoints.endpoints_of(session, partner_id) == []


def test_a_public_name_with_a_private_address_is_refused(partner_id):
    with partner_session(partner_id) as session, pytest.raises(TargetBlocked, match=r"192\.168\.1\.9 \(private"):
        endpoints.register_endpoint(
            session, partner_id, "https://inside.example/", look_up=lambda *_: ["93.184.216.34", "192.168.1.9"]
        )


def test_editing_checks_the_new_address_and_keeps_the_rest(partner_id):
    shown = registered_endpoint(partner_id, types=["notice.created", "test.ping"])
    with partner_session(partner_id) as session:
        endpoint = endpoints.endpoint_by_id(session, partner_id, shown.endpoint.id)
        endpoints.edit_endpoint(session, endpoint, url="https://new.sorairo.example/", look_up=public)
        assert endpoint.event_types == ["notice.created", "test.ping"]
        endpoints.edit_endpoint(session, endpoint, event_types=[])
        assert (endpoint.url, endpoint.event_types) == ("https://new.sorairo.example/", [])
        with pytest.raises(TargetBlocked):
            endpoints.edit_endpoint(session, endpoint, url="https://127.0.0.1/", look_up=public)
        with pytest.raises(InvalidInput, match=r"notice\.opened; expected some of notice\.created"):
            endpoints.edit_endpoint(session, endpoint, event_types=["notice.opened"])


def test_the_same_address_twice_and_too_many_are_refused(partner_id):
    registered_endpoint(partner_id)
    with partner_session(partner_id) as session:
        with pytest.raises(Conflict, match="already"):
            endpoints.register_endpoint(session, partner_id, "https://hooks.sorairo.example/todoke", look_up=public)
        for number in range(endpoints.MOST_ENDPOINTS - 1):
            endpoints.register_endpoint(session, partner_id, f"https://h{number}.example/", look_up=public)
        with pytest.raises(Conflict, match="at most 20"):
            endpoints.register_endpoint(session, partner_id, "https://more.example/", look_up=public)


def test_disabled_and_unwanted_endpoints_get_no_event(partner_id):
    all_types = registered_endpoint(partner_id).endpoint
    pings = registered_endpoint(partner_id, "https://pings.example/", ["test.ping"]).endpoint
    with partner_session(partner_id) as session:
        wanting = endpoints.endpoints_wanting(session, partner_id, "notice.created")
        assert [endpoint.id for endpoint in wanting] == [all_types.id]
        assert len(endpoints.endpoints_wanting(session, partner_id, "test.ping")) == 2
        row = endpoints.endpoint_by_id(session, partner_id, all_types.id)
        endpoints.disable_endpoint(session, row, at=AT)
        endpoints.disable_endpoint(session, row, at=AT + HOUR, reason=endpoints.GONE)
        assert (row.disabled_at, row.disabled_reason) == (AT, "by_partner")
        assert endpoints.endpoints_wanting(session, partner_id, "notice.created") == []
        endpoints.enable_endpoint(session, row, look_up=public)
        assert len(endpoints.endpoints_wanting(session, partner_id, "notice.created")) == 1
        with pytest.raises(TargetBlocked):
            endpoints.enable_endpoint(session, row, look_up=lambda *_: ["10.1.1.1"])
    assert pings.id != all_types.id


def test_a_removed_endpoint_is_gone_and_its_secret_with_it(partner_id):
    shown = registered_endpoint(partner_id)
    with partner_session(partner_id) as session:
        row = endpoints.endpoint_by_id(session, partner_id, shown.endpoint.id)
        endpoints.remove_endpoint(session, row, at=AT)
        session.commit()
        assert endpoints.endpoints_of(session, partner_id) == []
        assert shown.secret not in endpoint_keys.live_secrets(row, AT)
        with pytest.raises(NotFound):
            endpoints.endpoint_by_id(session, partner_id, shown.endpoint.id)


def test_during_a_rotation_both_secrets_sign_for_24_hours(partner_id):
    first = registered_endpoint(partner_id)
    with partner_session(partner_id) as session:
        row = endpoints.endpoint_by_id(session, partner_id, first.endpoint.id)
        second = endpoint_keys.rotate_secret(session, row, at=AT)
        assert endpoint_keys.live_secrets(row, AT + 23 * HOUR) == (second.secret, first.secret)
        assert endpoint_keys.live_secrets(row, AT + 24 * HOUR) == (second.secret,)
        with pytest.raises(Conflict, match="still signs until 2026-11-25"):
            endpoint_keys.rotate_secret(session, row, at=AT + 23 * HOUR)
        third = endpoint_keys.rotate_secret(session, row, at=AT + 23 * HOUR, immediately=True)
        assert endpoint_keys.live_secrets(row, AT + 23 * HOUR) == (third.secret,)
    assert len({first.secret, second.secret, third.secret}) == 3


def test_the_worker_reads_the_secrets_of_every_partner(partner_id):
    shown = registered_endpoint(partner_id)
    with worker_session() as session:
        row = session.exec(select(PartnerEndpoint)).one()
        assert endpoint_keys.live_secrets(row, AT) == (shown.secret,)


def test_partners_do_not_see_one_another(partner_id):
    other = registered("べつの会社(架空)")
    mine = registered_endpoint(partner_id)
    with partner_session(partner_id) as session:
        credential = credentials.new_credential(session, partner_id).credential
        session.commit()
    with partner_session(other) as session:
        assert session.exec(select(PartnerEndpoint)).all() == []
        assert session.exec(select(PartnerCredential)).all() == []
        with pytest.raises(NotFound):
            endpoints.endpoint_by_id(session, other, mine.endpoint.id)
        with pytest.raises(NotFound):
            credentials.revoke_credential(session, other, credential.id, at=AT)
        with pytest.raises(sqlalchemy.exc.ProgrammingError, match="row-level security"):
            endpoints.register_endpoint(session, partner_id, "https://forged.example/", look_up=public)


def test_a_key_is_shown_once_found_by_its_digest_and_ends_when_revoked(partner_id):
    with partner_session(partner_id) as session:
        shown = credentials.new_credential(session, partner_id)
        session.commit()
    assert shown.key.startswith(shown.credential.prefix)
    assert len(shown.credential.prefix) < 12
    assert shown.key.encode() not in shown.credential.digest
    with app_session() as session:
        assert credentials.partner_of_key(session, shown.key) == partner_id
        swapped = shown.key[:-1] + ("A" if shown.key[-1] != "A" else "B")
        for forged in (swapped, "", "tdk_", "tdk_" + "x" * 43, shown.key + " ", shown.key.upper()):
            with pytest.raises(credentials.CredentialRefused) as refused:
                credentials.partner_of_key(session, forged)
            assert not forged or forged == "tdk_" or forged not in refused.value.message
        assert session.exec(select(PartnerCredential)).all() == []  # no listing without a context
    with partner_session(partner_id) as session:
        credentials.revoke_credential(session, partner_id, shown.credential.id, at=AT)
        session.commit()
    with app_session() as session, pytest.raises(credentials.CredentialRefused):
        credentials.partner_of_key(session, shown.key)


def test_ten_live_keys_are_enough(partner_id):
    with partner_session(partner_id) as session:
        made = [credentials.new_credential(session, partner_id) for _ in range(credentials.MOST_KEYS)]
        with pytest.raises(Conflict, match="at most 10"):
            credentials.new_credential(session, partner_id)
        credentials.revoke_credential(session, partner_id, made[0].credential.id, at=AT)
        credentials.new_credential(session, partner_id)
        assert len(credentials.credentials_of(session, partner_id)) == 11


@pytest.fixture
def household_id(todoke_environment):
    household_id = new_id()
    with app_session(Context(household=household_id)) as session:
        session.add(Household(id=household_id, municipality_code="131121"))
        session.commit()
    return household_id


def linked(partner_id, household_id):
    with app_session(Context(household=household_id)) as session:
        link = links.link_household(
            session, partner_id=partner_id, household_id=household_id, municipality_code="131121", at=AT
        )
        session.commit()
        return link


def test_linking_is_idempotent_and_relinking_makes_a_stranger(partner_id, household_id):
    first = linked(partner_id, household_id)
    assert linked(partner_id, household_id).subject_id == first.subject_id
    with app_session(Context(household=household_id)) as session:
        link = links.live_link(session, partner_id=partner_id, household_id=household_id)
        links.revoke_link(session, link, at=AT)
        links.revoke_link(session, link, at=AT + HOUR)
        assert link.revoked_at == AT
        session.commit()
        assert links.live_links_of_household(session, household_id) == []
    again = linked(partner_id, household_id)
    assert again.subject_id != first.subject_id
    with app_session(Context(household=household_id)) as session:
        live = links.live_links_of_household(session, household_id)
        assert [link.subject_id for link in live] == [again.subject_id]


def test_two_partners_know_the_family_under_different_names(partner_id, household_id):
    other = registered("べつの会社(架空)")
    mine, theirs = linked(partner_id, household_id), linked(other, household_id)
    assert mine.subject_id != theirs.subject_id
    assert household_id.hex not in mine.subject_id
    with partner_session(other) as session:
        assert [link.subject_id for link in session.exec(select(PartnerLink))] == [theirs.subject_id]
    with worker_session(Context(municipality="131121")) as session:
        assert len(links.live_links_of_household(session, household_id)) == 2


def test_a_link_cannot_be_made_for_another_household(partner_id, household_id):
    with (
        app_session(Context(household=new_id())) as session,
        pytest.raises(sqlalchemy.exc.ProgrammingError, match="row-level security"),
    ):
        links.link_household(
            session, partner_id=partner_id, household_id=household_id, municipality_code="131121", at=AT
        )


def test_simultaneous_linking_makes_one_link(partner_id, household_id):
    together, made = threading.Barrier(4), []

    def link():
        together.wait()
        made.append(linked(partner_id, household_id).subject_id)

    threads = [threading.Thread(target=link) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_an_idempotency_key_answers_again_and_refuses_another_request(partner_id):
    one, two = (idempotency.fingerprint("POST", "/x", body) for body in (b"1", b"2"))
    with partner_session(partner_id) as session:
        row = idempotency.claim_key(session, partner_id, "k1", one, at=AT)
        idempotency.keep_answer(session, row, idempotency.Answer(201, '{"secret":"whsec_x"}'))
        session.commit()
        assert b"whsec_x" not in row.answer_sealed
    with partner_session(partner_id) as session:
        again = idempotency.claim_key(session, partner_id, "k1", one, at=AT + HOUR)
        assert again == idempotency.Answer(201, '{"secret":"whsec_x"}')
        with pytest.raises(idempotency.IdempotencyKeyReused):
            idempotency.claim_key(session, partner_id, "k1", two, at=AT + HOUR)
        claimed = idempotency.claim_key(session, partner_id, "k1", two, at=AT + 24 * HOUR)
        assert (claimed.fingerprint, claimed.answer_sealed) == (two, None)
        for wrong in ("", "with space", "é", "x" * 201):
            with pytest.raises(InvalidInput, match="1 to 200 visible ASCII"):
                idempotency.claim_key(session, partner_id, wrong, one, at=AT)


def test_a_failed_request_frees_its_key(partner_id):
    one, two = (idempotency.fingerprint("POST", "/x", body) for body in (b"1", b"2"))
    with partner_session(partner_id) as session:
        idempotency.claim_key(session, partner_id, "k1", one, at=AT)
    with partner_session(partner_id) as session:
        assert isinstance(idempotency.claim_key(session, partner_id, "k1", two, at=AT), idempotency.IdempotencyKey)


def test_a_second_request_waits_for_the_first(partner_id):
    one = idempotency.fingerprint("POST", "/x", b"1")
    started, answers = threading.Event(), []

    def second():
        started.wait()
        with partner_session(partner_id) as session:
            answers.append(idempotency.claim_key(session, partner_id, "k1", one, at=AT))

    thread = threading.Thread(target=second)
    thread.start()
    with partner_session(partner_id) as session:
        row = idempotency.claim_key(session, partner_id, "k1", one, at=AT)
        started.set()
        thread.join(0.3)
        assert thread.is_alive()
        assert answers == []
        idempotency.keep_answer(session, row, idempotency.Answer(202, "{}"))
        session.commit()
    thread.join()
    assert answers == [idempotency.Answer(202, "{}")]


def test_every_event_type_is_known_to_endpoints(partner_id):
    shown = registered_endpoint(partner_id, types=list(reversed(events.EVENT_TYPES)))
    assert shown.endpoint.event_types == list(events.EVENT_TYPES)


def test_ed25519_is_a_choice_and_both_kinds_may_sign_while_a_receiver_changes_over(partner_id):
    shown = registered_endpoint(partner_id, "https://hooks.sorairo.example/todoke")
    with partner_session(partner_id) as session:
        row = endpoints.endpoint_by_id(session, partner_id, shown.endpoint.id)
        assert endpoint_keys.public_keys(row, AT) == []
        with pytest.raises(Conflict, match="hmac alone"):
            endpoint_keys.rotate_signing_key(session, row, at=AT)
        endpoints.edit_endpoint(session, row, signing="both")
        [first] = endpoint_keys.public_keys(row, AT)
        assert [key.split("_")[0] for key in endpoint_keys.live_keys(row, AT)] == ["whsec", "whsk"]
        endpoints.edit_endpoint(session, row, signing="ed25519")
        assert [signing.public_key_of(key) for key in endpoint_keys.live_keys(row, AT)] == [first.key]
        assert b"whsk_" not in row.signing_key_sealed
        session.commit()
    with partner_session(partner_id) as session:
        row = endpoints.endpoint_by_id(session, partner_id, shown.endpoint.id)
        endpoint_keys.rotate_signing_key(session, row, at=AT)
        new, old = endpoint_keys.public_keys(row, AT + 23 * HOUR)
        assert (old.key, old.until, new.until) == (first.key, AT + 24 * HOUR, None)
        live = endpoint_keys.live_keys(row, AT + 23 * HOUR)
        assert [signing.public_key_of(key) for key in live] == [new.key, old.key]
        assert [key.key for key in endpoint_keys.public_keys(row, AT + 24 * HOUR)] == [new.key]
        with pytest.raises(Conflict, match="still signs until"):
            endpoint_keys.rotate_signing_key(session, row, at=AT + HOUR)
        endpoint_keys.rotate_signing_key(session, row, at=AT + HOUR, immediately=True)
        assert first.key not in {key.key for key in endpoint_keys.public_keys(row, AT + HOUR)}
        with pytest.raises(InvalidInput, match="expected one of hmac, ed25519, both"):
            endpoints.edit_endpoint(session, row, signing="rsa")


def test_limits_stay_within_bounds_and_nothing_is_no_limit(partner_id):
    shown = registered_endpoint(partner_id, "https://hooks.sorairo.example/todoke")
    with partner_session(partner_id) as session:
        row = endpoints.endpoint_by_id(session, partner_id, shown.endpoint.id)
        assert (row.requests_a_second, row.most_in_flight) == (None, None)
        endpoints.edit_endpoint(session, row, requests_a_second=1000, most_in_flight=1)
        assert (row.requests_a_second, row.most_in_flight) == (1000, 1)
        endpoints.edit_endpoint(session, row, requests_a_second=0)
        assert (row.requests_a_second, row.most_in_flight) == (None, 1)
        for limits in ({"requests_a_second": 1001}, {"requests_a_second": -1}, {"most_in_flight": 301}):
            with pytest.raises(InvalidInput, match="or 0 for no limit"):
                endpoints.edit_endpoint(session, row, **limits)


def test_a_test_lasts_two_minutes_and_only_its_own_ping_counts(partner_id):
    shown = registered_endpoint(partner_id, "https://hooks.sorairo.example/todoke")
    with partner_session(partner_id) as session:
        row = endpoints.endpoint_by_id(session, partner_id, shown.endpoint.id)
        assert endpoints.state_of(row, AT) == "enabled"
        endpoints.disable_endpoint(session, row, at=AT, reason=endpoints.GONE)
        endpoints.begin_test(session, row, new_id(), at=AT, look_up=public)
        assert endpoints.state_of(row, AT + dt.timedelta(seconds=119)) == "testing"
        assert endpoints.state_of(row, AT + dt.timedelta(seconds=120)) == "disabled"
        with pytest.raises(TargetBlocked):
            endpoints.begin_test(session, row, new_id(), at=AT, look_up=lambda *_: ["10.1.1.1"])
        endpoints.resume_endpoint(session, row)
        assert endpoints.state_of(row, AT) == "enabled"
