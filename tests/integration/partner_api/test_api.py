"""The partner API as a partner's server meets it: the real application on a real database."""

import datetime as dt
import json
import re
import threading
import uuid

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy import text
from sqlmodel import select

from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.log import delivery_by_id
from app.delivery.tables import Delivery, DeliveryAttempt
from app.faces import partner
from app.faces.partner import caller
from app.partners.credentials import credentials_of, revoke_credential
from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.database import app_session, owner_session, worker_session
from app.web.rate_limits import RateLimit

URL = "http://127.0.0.1:9000/hook"
PROBLEM = "application/problem+json"


def endpoint(api, path="hook", **more):
    response = api.post("/partner/v1/endpoints", json={"url": f"http://127.0.0.1:9000/{path}", **more})
    assert response.status_code == 201, response.text
    return response.json()


def ping(api, endpoint_id, **headers):
    response = api.post(f"/partner/v1/endpoints/{endpoint_id}/test-events", headers=headers)
    assert response.status_code == 202, response.text
    return response.json()["delivery_id"]


def finish(delivery_id, state, *, requests=1, error=None, response="ok"):
    """Write what a worker would have written about one attempt."""
    with worker_session() as session:
        row = delivery_by_id(session, uuid.UUID(delivery_id))
        row.state, row.requests, row.last_error, row.finished_at = state, requests, error, clock.real_now()
        result = AttemptResult(outcome=Outcome.RETRY if error else Outcome.DELIVERED, duration_seconds=0.012)
        for number in range(1, requests + 1):
            session.add(
                DeliveryAttempt(
                    delivery_id=row.id, partner_id=row.partner_id, number=number, started_at=clock.real_now(),
                    milliseconds=12, outcome=result.outcome.value, status_code=500 if error else 204, error=error,
                    response_excerpt=response,
                )
            )
        session.commit()


def assert_problem(response, status, slug):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    told = response.json()
    assert (told["type"], told["status"]) == (f"urn:todoke:problem:{slug}", status)
    return told


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer tdk_" + "x" * 43, "Basic dXNlcjpwdw==", "Bearer é"])
def test_a_missing_or_forged_key_is_refused(client, sorairo, header):
    headers = {} if header is None else {"Authorization": header.encode()}
    response = client.get("/partner/v1/endpoints", headers=headers)
    assert_problem(response, 401, "http-401")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "x" * 43 not in response.text


def test_a_session_cookie_opens_no_api(client, sign_in_token):
    client.get(f"/partner/sign-in/{sign_in_token}")
    assert_problem(client.get("/partner/v1/endpoints"), 401, "http-401")


def test_a_revoked_key_ends_at_once(client, sorairo):
    assert client.get("/partner/v1/endpoints", headers=sorairo.headers).status_code == 200
    with app_session(sorairo.context) as session:
        [credential] = credentials_of(session, sorairo.partner_id)
        revoke_credential(session, sorairo.partner_id, credential.id, at=clock.real_now())
        session.commit()
    assert_problem(client.get("/partner/v1/endpoints", headers=sorairo.headers), 401, "http-401")


def test_an_endpoint_lives_from_registering_to_removing(api):
    made = endpoint(api, event_types=["test.ping", "notice.created"])
    view = made["endpoint"]
    path = f"/partner/v1/endpoints/{view['id']}"
    assert made["secret"].startswith("whsec_")
    assert view["event_types"] == ["notice.created", "test.ping"]
    assert view["enabled"] is True
    assert api.get(path).json() == view
    assert api.get("/partner/v1/endpoints").json() == {"endpoints": [view]}
    assert "secret" not in api.get(path).text.replace("previous_secret_until", "")

    changed = api.patch(path, json={"url": "http://127.0.0.1:9000/new", "event_types": [], "enabled": False}).json()
    assert (changed["url"], changed["event_types"], changed["enabled"]) == ("http://127.0.0.1:9000/new", [], False)
    assert changed["disabled_reason"] == "by_partner"
    assert api.patch(path, json={"enabled": True}).json()["disabled_at"] is None
    assert api.patch(path, json={}).json()["url"] == "http://127.0.0.1:9000/new"

    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 404, "not-found")
    assert_problem(api.delete(path), 404, "not-found")
    assert api.get("/partner/v1/endpoints").json() == {"endpoints": []}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://10.0.0.8/hook", "https://"),
        ("https://10.0.0.8/hook", "private network"),
        ("https://169.254.169.254/latest/meta-data", "metadata"),
        ("https://u:p@hooks.example/", "user name or password"),
        ("http://127.0.0.1:9001/", "https://"),
        ("https://nowhere.invalid/", "no address"),
        ("", "scheme"),
    ],
)
def test_a_bad_address_is_refused_and_nothing_is_written(api, sorairo, url, said):
    told = assert_problem(api.post("/partner/v1/endpoints", json={"url": url}), 422, "target-blocked")
    assert said in told["detail"]
    assert "expected" in told["detail"]
    assert told["field"] == "url"
    with app_session(sorairo.context) as session:
        assert session.exec(select(PartnerEndpoint)).all() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"url": 1}', b'{"urls": "x"}', b'{"url": "https://x.example", "more": 1}',
     b'{"url": "https://x.example", "event_types": "all"}', b'"\xff"'],
)  # fmt: skip
def test_a_broken_body_is_refused(api, body):
    response = api.post("/partner/v1/endpoints", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == PROBLEM


def test_an_unknown_event_type_is_refused(api):
    response = api.post("/partner/v1/endpoints", json={"url": URL, "event_types": ["notice.opened"]})
    assert "notice.created" in assert_problem(response, 422, "invalid-input")["detail"]


def test_an_unknown_path_and_method_are_problems_too(api):
    assert_problem(api.get("/partner/v1/nothing"), 404, "http-404")
    assert_problem(api.put("/partner/v1/endpoints"), 405, "http-405")


def test_rotation_shows_a_new_secret_and_refuses_a_second_one(api):
    made = endpoint(api)
    path = f"/partner/v1/endpoints/{made['endpoint']['id']}/secret-rotations"
    rotated = api.post(path, json={})
    assert rotated.status_code == 201
    assert rotated.json()["secret"] != made["secret"]
    until = dt.datetime.fromisoformat(rotated.json()["endpoint"]["previous_secret_until"])
    assert dt.timedelta(hours=23) < until - clock.real_now() <= dt.timedelta(hours=24)
    assert "immediately=true" in assert_problem(api.post(path, json={}), 409, "conflict")["detail"]
    ended = api.post(path, json={"immediately": True})
    assert ended.json()["endpoint"]["previous_secret_until"] is None


def test_a_test_event_is_queued_thin_and_only_once_for_a_key(api, sorairo):
    made = endpoint(api, event_types=["notice.created"])["endpoint"]
    key = {"Idempotency-Key": "one"}
    first = ping(api, made["id"], **key)
    again = api.post(f"/partner/v1/endpoints/{made['id']}/test-events", headers=key)
    assert again.json() == {"delivery_id": first}
    assert again.headers["idempotency-replayed"] == "true"
    assert ping(api, made["id"]) != first
    with app_session(sorairo.context) as session:
        rows = session.exec(select(Delivery)).all()
        assert len(rows) == 2
        assert {(row.event_type, row.lane, row.household_id) for row in rows} == {("test.ping", "event", None)}
    assert_problem(
        api.post("/partner/v1/endpoints", json={"url": URL + "/2"}, headers=key), 422, "idempotency-key-reused"
    )


def test_a_repeated_registration_shows_the_same_secret_and_makes_one_endpoint(api):
    body, key = {"url": URL}, {"Idempotency-Key": "2f0c"}
    first, again = (api.post("/partner/v1/endpoints", json=body, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(api.get("/partner/v1/endpoints").json()["endpoints"]) == 1
    assert_problem(api.post("/partner/v1/endpoints", json=body), 409, "conflict")


def test_a_failed_request_does_not_use_up_its_key(api):
    key = {"Idempotency-Key": "k"}
    assert api.post("/partner/v1/endpoints", json={"url": "https://10.0.0.1/"}, headers=key).status_code == 422
    assert api.post("/partner/v1/endpoints", json={"url": URL}, headers=key).status_code == 201


def test_simultaneous_repeats_are_one_request(api):
    together, answers = threading.Barrier(5), []

    def post():
        together.wait()
        answers.append(
            api.post("/partner/v1/endpoints", json={"url": URL}, headers={"Idempotency-Key": "race"}).json()["secret"]
        )

    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 5
    assert len(set(answers)) == 1


def ended(endpoint_id, reason="failing"):
    with owner_session() as session:
        session.execute(
            text("UPDATE partner_endpoints SET disabled_at = now(), disabled_reason = :reason WHERE id = :id"),
            {"id": endpoint_id, "reason": reason},
        )
        session.commit()


def test_an_endpoint_that_failed_is_enabled_by_a_test_alone(api):
    path = f"/partner/v1/endpoints/{endpoint(api)['endpoint']['id']}"
    ended(path.rsplit("/", 1)[1])
    assert api.get(path).json()["state"] == "disabled"
    view = api.patch(path, json={"enabled": True}).json()
    assert (view["enabled"], view["state"], view["disabled_reason"]) == (False, "testing", "failing")
    [ping] = api.get("/partner/v1/deliveries").json()["deliveries"]
    assert (ping["event_type"], ping["state"]) == ("test.ping", "scheduled")
    assert_problem(api.post(f"{path}/test-events"), 409, "conflict")


def test_limits_signing_and_public_keys_are_set_and_read(api):
    made = endpoint(api)["endpoint"]
    path = f"/partner/v1/endpoints/{made['id']}"
    assert (made["signing"], made["public_keys"], made["requests_a_second"], made["most_in_flight"]) == ("hmac", [], 0, 0)
    assert_problem(api.post(f"{path}/key-rotations", json={}), 409, "conflict")
    view = api.patch(path, json={"signing": "both", "requests_a_second": 20, "most_in_flight": 5}).json()
    assert (view["signing"], view["requests_a_second"], view["most_in_flight"]) == ("both", 20, 5)
    [key] = view["public_keys"]
    new, old = api.post(f"{path}/key-rotations", json={}).json()["public_keys"]
    assert old["key"] == key["key"] and old["until"] and new["until"] is None
    assert api.patch(path, json={"requests_a_second": 0}).json()["requests_a_second"] == 0
    for body in ({"requests_a_second": 1001}, {"most_in_flight": 301}, {"signing": "rsa"}):
        assert_problem(api.patch(path, json=body), 422, "invalid-input")


def test_recovery_and_replay_answer_what_they_did(api, other):
    path = f"/partner/v1/endpoints/{endpoint(api)['endpoint']['id']}"
    delivery_id = api.post(f"{path}/test-events").json()["delivery_id"]
    with owner_session() as session:
        session.execute(
            text("UPDATE deliveries SET state = 'failed', event_type = 'link.created', finished_at = now()")
        )
        session.commit()
    since = {"since": (clock.real_now() - dt.timedelta(hours=1)).isoformat()}
    keyed = {"Idempotency-Key": "once"}
    first = api.post(f"{path}/recoveries", json=since, headers=keyed)
    assert (first.status_code, first.json()) == (202, {"queued": 1, "left": 0, "expired": 0, "stopped": 0})
    again = api.post(f"{path}/recoveries", json=since, headers=keyed)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert api.post(f"{path}/recoveries", json=since).json()["queued"] == 0
    assert api.get(f"/partner/v1/deliveries/{delivery_id}").json()["state"] == "scheduled"
    replay = api.post(f"{path}/replays", json=since).json()
    shown = api.get(f"{path}/replays/{replay['id']}")
    assert (shown.json(), replay["finished_at"], replay["queued"]) == (replay, None, 0)
    assert_problem(api.get(f"{path}/replays/{replay['id']}", headers=other.headers), 404, "not-found")
    for wrong in ("2026-11-20", "2026-13-40T00:00:00Z", "2020-01-01T00:00:00Z", "2026-02-30T00:00:00Z"):
        assert_problem(api.post(f"{path}/recoveries", json={"since": wrong}), 422, "invalid-input")
    ended(path.rsplit("/", 1)[1])
    for part in ("recoveries", "replays"):
        assert_problem(api.post(f"{path}/{part}", json=since), 409, "conflict")


def ends_told(api):
    """Return what the other endpoints are told about ended ones, oldest first."""
    log = api.get("/partner/v1/deliveries").json()["deliveries"]
    told = [row for row in reversed(log) if row["event_type"] == "endpoint.disabled"]
    for row in told:
        finish(row["id"], "delivered")
    bodies = [json.loads(api.get(f"/partner/v1/deliveries/{row['id']}").json()["body"]) for row in told]
    return [(row["endpoint_id"], body["data"]) for row, body in zip(told, bodies, strict=True)]


def test_the_other_endpoints_hear_once_that_one_was_stopped_or_removed(api):
    stopped, removed, other = (endpoint(api, path)["endpoint"]["id"] for path in ("stopped", "removed", "other"))
    endpoint(api, "picky", event_types=["notice.created"])
    for _ in range(2):
        answer = api.patch(f"/partner/v1/endpoints/{stopped}", json={"enabled": False}).json()
    said = {"endpoint_id": stopped, "reason": "by_partner", "disabled_at": answer["disabled_at"][:19] + "Z"}
    assert sorted(ends_told(api)) == sorted([(removed, said), (other, said)])
    assert api.delete(f"/partner/v1/endpoints/{stopped}").status_code == 204
    assert len(ends_told(api)) == 2, "it was known that nothing goes there"
    assert api.delete(f"/partner/v1/endpoints/{removed}").status_code == 204
    told, last = ends_told(api)[-1]
    assert (told, last["endpoint_id"], last["reason"]) == (other, removed, "removed")


def test_the_log_shows_attempts_and_the_body_that_was_sent(api):
    made = endpoint(api)["endpoint"]
    delivery_id = ping(api, made["id"])
    path = f"/partner/v1/deliveries/{delivery_id}"
    waiting = api.get(path).json()
    assert (waiting["state"], waiting["body"], waiting["requests"]) == ("scheduled", None, 0)
    assert waiting["next_attempt_at"] is not None
    assert api.get(f"{path}/attempts").json() == {"attempts": [], "next_cursor": None}

    finish(delivery_id, "failed", requests=3, error="http_500", response="<script>alert(1)</script>")
    failed = api.get(path).json()
    assert (failed["state"], failed["last_error"], failed["next_attempt_at"]) == ("failed", "http_500", None)
    event = json.loads(failed["body"])
    assert (event["type"], event["data"]) == ("test.ping", {"endpoint_id": made["id"]})

    first = api.get(f"{path}/attempts", params={"limit": 2}).json()
    rest = api.get(f"{path}/attempts", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [attempt["number"] for attempt in first["attempts"] + rest["attempts"]] == [1, 2, 3]
    assert rest["next_cursor"] is None
    assert first["attempts"][0]["status_code"] == 500


def test_pages_follow_one_another_without_gaps(api):
    made = endpoint(api)["endpoint"]
    sent = [ping(api, made["id"]) for _ in range(5)]
    finish(sent[0], "delivered")
    seen, cursor = [], None
    while True:
        page = api.get("/partner/v1/deliveries", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [delivery["id"] for delivery in page["deliveries"]]
        if not (cursor := page["next_cursor"]):
            break
    assert seen == sorted(sent, reverse=True)
    by_state = api.get("/partner/v1/deliveries", params={"state": ["delivered", "failed"]}).json()
    assert [delivery["id"] for delivery in by_state["deliveries"]] == [sent[0]]
    elsewhere = api.get("/partner/v1/deliveries", params={"endpoint_id": str(uuid.uuid4())}).json()
    assert elsewhere == {"deliveries": [], "next_cursor": None}
    for wrong in ({"limit": 0}, {"limit": 101}, {"state": "lost"}, {"cursor": "x"}):
        assert_problem(api.get("/partner/v1/deliveries", params=wrong), 422, "invalid-input")


def test_resending_keeps_the_webhook_id(api):
    made = endpoint(api)["endpoint"]
    delivery_id = ping(api, made["id"])
    finish(delivery_id, "failed", error="timeout")
    before = api.get(f"/partner/v1/deliveries/{delivery_id}").json()
    assert api.post(f"/partner/v1/deliveries/{delivery_id}/resend").json() == {"delivery_id": delivery_id}
    after = api.get(f"/partner/v1/deliveries/{delivery_id}").json()
    assert after["state"] == "scheduled"
    assert after["webhook_id"] == before["webhook_id"]
    assert after["body"] == before["body"]


@pytest.mark.parametrize("reason", ["consent_withdrawn", "protected", "person_stopped", "link_revoked"])
def test_what_the_family_stopped_is_neither_resent_nor_shown(api, reason):
    made = endpoint(api)["endpoint"]
    delivery_id = ping(api, made["id"])
    finish(delivery_id, "cancelled", error=reason)
    assert_problem(api.post(f"/partner/v1/deliveries/{delivery_id}/resend"), 422, "invalid-input")
    assert api.get(f"/partner/v1/deliveries/{delivery_id}").json()["body"] is None


def test_what_is_being_sent_or_has_no_endpoint_is_not_resent(api):
    made = endpoint(api)["endpoint"]
    delivery_id = ping(api, made["id"])
    finish(delivery_id, "sending")
    resend = f"/partner/v1/deliveries/{delivery_id}/resend"
    assert_problem(api.post(resend), 409, "conflict")
    finish(delivery_id, "failed", error="timeout")
    api.patch(f"/partner/v1/endpoints/{made['id']}", json={"enabled": False})
    assert_problem(api.post(resend), 409, "conflict")
    api.delete(f"/partner/v1/endpoints/{made['id']}")
    assert_problem(api.post(resend), 404, "not-found")
    assert api.get(f"/partner/v1/deliveries/{delivery_id}").status_code == 200


def test_partners_share_nothing(api, other):
    made = endpoint(api)["endpoint"]
    delivery_id = ping(api, made["id"])
    finish(delivery_id, "failed", error="timeout")
    theirs = other.headers
    assert api.get("/partner/v1/endpoints", headers=theirs).json() == {"endpoints": []}
    assert api.get("/partner/v1/deliveries", headers=theirs).json()["deliveries"] == []
    for method, path in [
        ("GET", f"/endpoints/{made['id']}"),
        ("DELETE", f"/endpoints/{made['id']}"),
        ("POST", f"/endpoints/{made['id']}/test-events"),
        ("GET", f"/deliveries/{delivery_id}"),
        ("GET", f"/deliveries/{delivery_id}/attempts"),
        ("POST", f"/deliveries/{delivery_id}/resend"),
    ]:
        forged = api.request(method, f"/partner/v1{path}", headers=theirs)
        unknown = api.request(method, f"/partner/v1{path.replace(made['id'], str(uuid.uuid4())).replace(delivery_id, str(uuid.uuid4()))}", headers=theirs)
        assert_problem(forged, 404, "not-found")
        assert_problem(unknown, 404, "not-found")
    for method, path, body in [("PATCH", "", {"enabled": False}), ("POST", "/secret-rotations", {"immediately": True})]:
        response = api.request(method, f"/partner/v1/endpoints/{made['id']}{path}", headers=theirs, json=body)
        assert_problem(response, 404, "not-found")
    assert api.get(f"/partner/v1/endpoints/{made['id']}").json() == made
    # a key of idempotency belongs to one partner
    key = {"Idempotency-Key": "same"}
    mine = api.post("/partner/v1/endpoints", json={"url": URL + "/k"}, headers=key).json()
    hers = api.post("/partner/v1/endpoints", json={"url": URL + "/k"}, headers=theirs | key).json()
    assert mine["secret"] != hers["secret"]


def test_too_many_requests_are_told_how_long_to_wait(api, monkeypatch):
    monkeypatch.setattr(caller, "REQUESTS_A_MINUTE", RateLimit(2, 60))
    assert [api.get("/partner/v1/endpoints").status_code for _ in range(2)] == [200, 200]
    slowed = api.get("/partner/v1/endpoints")
    assert_problem(slowed, 429, "too-many-requests")
    assert 1 <= int(slowed.headers["retry-after"]) <= 60


def test_the_catalogue_needs_no_key_and_its_examples_are_valid(client):
    shown = client.get("/partner/v1/event-types").json()["event_types"]
    assert [event["type"] for event in shown] == list(EVENT_TYPES)
    assert {event["type"] for event in shown if event["planned"]} == PLANNED_EVENT_TYPES
    for event in shown:
        Draft202012Validator(event["schema"], format_checker=FormatChecker()).validate(event["example"])
    assert client.get("/partner/v1/event-types/test.ping").json() == shown[-1]
    assert_problem(client.get("/partner/v1/event-types/notice.opened"), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("deliveries?stat=failed", "at most state, endpoint_id, cursor, limit"),
        ("deliveries?limit=5&stat=failed", "at most state, endpoint_id, cursor, limit"),
        (f"deliveries/{uuid.UUID(int=0)}/attempts?stat=", "at most cursor, limit"),
        ("endpoints?stat=1", "none"),
        ("event-types?stat=1", "none"),
        ("openapi.json?stat=1", "none"),
    ],
)
def test_an_unknown_query_parameter_is_a_typing_error_that_is_told(api, path, expected):
    told = assert_problem(api.get(f"/partner/v1/{path}"), 422, "invalid-input")
    assert told["field"] == "stat"
    assert told["detail"] == f"found the query parameter 'stat'; expected {expected}"


def test_every_route_of_the_api_refuses_unknown_query_parameters(api):
    routes = [route for router in partner.routers if router.prefix == caller.PREFIX for route in router.routes]
    assert len(routes) > 15
    for route in routes:
        path = re.sub(r"\{\w+\}", str(uuid.UUID(int=0)), route.path)
        for method in route.methods:
            told = assert_problem(api.request(method, f"{path}?unknown=1"), 422, "invalid-input")
            assert told["field"] == "unknown", (method, path)


def test_whoever_has_no_key_hears_of_the_key_first(client):
    assert_problem(client.get("/partner/v1/deliveries?stat=failed"), 401, "http-401")


def test_a_known_query_parameter_is_heard(api):
    given = {"state": ["failed", "retrying"], "endpoint_id": str(uuid.UUID(int=0)), "cursor": str(uuid.UUID(int=0)), "limit": 1}
    assert api.get("/partner/v1/deliveries", params=given).json() == {"deliveries": [], "next_cursor": None}
