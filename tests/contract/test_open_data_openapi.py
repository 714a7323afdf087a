"""The open-data API keeps the promises of its own OpenAPI document, whatever it is sent."""

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, positive_data_acceptance

from app.faces.opendata import answering
from app.main import create_app
from app.platform import clock

EXAMPLES = 12
#: They take nothing, or any text, so nothing that is sent to them has a wrong shape.
TAKE_ANYTHING = {"list_municipalities", "show_vocabulary", "list_parameters", "feed_of_changes", "list_dumps"}
OPERATIONS = TAKE_ANYTHING | {"list_programmes", "show_programme", "list_changes", "download_dump", "show_schema"}
KNOWN = {"municipality": "000000", "programme": "child-allowance", "day": "2026-11-25", "name": "programme"}


@pytest.fixture
def schema(published_registry):
    clock.shift_to(clock.at_japan_time(clock.today().replace(day=25), 10))
    answering.made_for_one_address._tries.clear()
    return schemathesis.openapi.from_asgi("/open/v1/openapi.json", create_app())


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, GenerationMode.POSITIVE) for name in sorted(OPERATIONS)]
    + [(name, GenerationMode.NEGATIVE) for name in sorted(OPERATIONS - TAKE_ANYTHING)],
)
def test_every_answer_is_one_that_the_document_promises(schema, name, mode):
    load_all_checks()
    found = {one.ok().definition.raw["operationId"]: one.ok() for one in schema.get_all_operations()}
    assert set(found) == OPERATIONS
    seen = set()

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=found[name].as_strategy(generation_mode=mode), real=hypothesis.strategies.booleans())
    def call(case, real):
        if real and mode is GenerationMode.POSITIVE:
            case.path_parameters = {part: KNOWN[part] for part in case.path_parameters or {}}
        # A schema cannot say which check digit a municipality's code must have.
        response = case.call_and_validate(excluded_checks=[positive_data_acceptance])
        seen.add(response.status_code)
        assert response.status_code < 500

    call()
    assert seen & ({200} if mode is GenerationMode.POSITIVE else {404, 422}), seen
