"""The partner API keeps the promises of its own OpenAPI document, whatever it is sent."""

import json
import uuid

import hypothesis
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, positive_data_acceptance
from schemathesis.schemas import BaseSchema

from app.delivery.endpoint_tests import send_ping
from app.delivery.recovery import ask_for_replay
from app.delivery.tables import Delivery
from app.main import create_app
from app.partners.credentials import new_credential
from app.partners.endpoints import register_endpoint
from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES
from app.partners.registration import register_partner
from app.platform.clock import now, real_now
from app.platform.database import Context, app_session
from app.platform.identifiers import new_id
from app.platform.settings import settings

EXAMPLES = 25
#: Nothing that can be sent to these has a wrong shape: they take nothing, or any text.
TAKE_ANYTHING = {"list_event_types", "show_event_type"}
OPERATIONS = {
    "list_event_types", "show_event_type", "list_endpoints", "register_endpoint", "show_endpoint", "change_endpoint",
    "remove_endpoint", "rotate_secret", "send_test_event", "list_deliveries", "show_delivery", "list_attempts",
    "resend_delivery", "rotate_signing_key", "recover_failed", "replay_missing", "show_replay",
    "show_contact", "change_contact",
}


class Ground:
    """The application with one partner, its key, and things of it that exist."""

    def __init__(self) -> None:
        self.app = create_app()
        self.partner_id = new_id()
        with app_session(Context(partner=self.partner_id)) as session:
            register_partner(session, self.partner_id, name="そらいろ(架空)", app_name="そらいろ")
            self.headers = {"Authorization": f"Bearer {new_credential(session, self.partner_id).key}"}
            endpoint = register_endpoint(session, self.partner_id, "http://127.0.0.1:9000/hook").endpoint
            delivery_id = send_ping(session, endpoint, at=real_now())
            session.get(Delivery, delivery_id).state = "delivered"
            replay = ask_for_replay(session, endpoint, since=now(), at=real_now(), now=now())
            session.commit()
        self.known = {"endpoint_id": str(endpoint.id), "delivery_id": str(delivery_id), "event_type": "test.ping"}
        self.known["replay_id"] = str(replay.id)
        self.schema: BaseSchema = schemathesis.openapi.from_asgi("/partner/v1/openapi.json", self.app)


@pytest.fixture
def ground(todoke_environment, monkeypatch):
    monkeypatch.setenv("TODOKE_OUTBOUND__ALLOWED_PRIVATE", '["127.0.0.0/8:9000"]')
    monkeypatch.setenv("TODOKE_REDIS__URL", "")
    settings.cache_clear()
    yield Ground()
    settings.cache_clear()


@pytest.fixture
def document(ground):
    with TestClient(ground.app) as client:
        return client.get("/partner/v1/openapi.json").json()


def operation(ground, name):
    for result in ground.schema.get_all_operations():
        if result.ok().definition.raw["operationId"] == name:
            return result.ok()
    raise AssertionError(f"the document has no operation {name}")


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, GenerationMode.POSITIVE) for name in sorted(OPERATIONS)]
    + [(name, GenerationMode.NEGATIVE) for name in sorted(OPERATIONS - TAKE_ANYTHING)],
)
def test_every_answer_is_one_that_the_document_promises(ground, name, mode):
    load_all_checks()
    seen = set()
    tested = operation(ground, name)

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=tested.as_strategy(generation_mode=mode), real=hypothesis.strategies.booleans())
    def call(case, real):
        if real and mode is GenerationMode.POSITIVE:
            case.path_parameters = {part: ground.known[part] for part in case.path_parameters or {}}
        # Whether an address is accepted depends on the DNS and on our guard, which a JSON Schema cannot say.
        response = case.call_and_validate(headers=ground.headers, excluded_checks=[positive_data_acceptance])
        seen.add(response.status_code)
        assert response.status_code < 500

    call()
    assert seen, "nothing was sent"


def test_the_document_names_every_route_of_the_api(document):
    named = {
        operation["operationId"] for path in document["paths"].values() for operation in path.values()
    }
    assert named == OPERATIONS
    assert document["openapi"].startswith("3.1")


def test_all_but_the_catalogue_need_a_key(document):
    for path, operations in document["paths"].items():
        for operation_ in operations.values():
            assert (operation_.get("security") == [{"ApiKey": []}]) == ("event-types" not in path), path


def test_the_webhooks_are_the_events_and_their_examples_are_valid(document):
    assert list(document["webhooks"]) == list(EVENT_TYPES)
    planned = {name for name, hook in document["webhooks"].items() if "nothing sends it" in hook["post"]["summary"]}
    assert planned == PLANNED_EVENT_TYPES
    schemas = document["components"]["schemas"]
    for event_type, hook in document["webhooks"].items():
        content = hook["post"]["requestBody"]["content"]["application/json"]
        whole = content["schema"] | {"components": {"schemas": schemas}}
        validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        validator.validate(content["example"])
        assert content["example"]["type"] == event_type
        assert not validator.is_valid(content["example"] | {"timestamp": None})
        names = {parameter["name"] for parameter in hook["post"]["parameters"]}
        assert names == {"webhook-id", "webhook-timestamp", "webhook-signature"}


def test_every_schema_and_reference_of_the_document_holds(document):
    for schema in document["components"]["schemas"].values():
        validator_for(schema, Draft202012Validator).check_schema(schema)
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        assert reference.rsplit("/", 1)[1] in document["components"]["schemas"], reference


def test_an_unknown_id_is_not_a_hint(ground):
    with TestClient(ground.app, headers=ground.headers) as client:
        for path in ("endpoints", "deliveries"):
            assert client.get(f"/partner/v1/{path}/{uuid.uuid4()}").json()["type"] == "urn:todoke:problem:not-found"
