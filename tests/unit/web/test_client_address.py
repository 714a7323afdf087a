"""Limits count by the caller's own address, also behind a proxy that FORWARDED_ALLOW_IPS names."""

import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.platform.settings import PROJECT_DIRECTORY
from app.web.rate_limits import client_address

PROXY = "10.1.2.3"


def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(client_address(request))


@pytest.mark.parametrize(
    ("trusted", "came_from", "seen"),
    [
        ("10.1.0.0/16", PROXY, "203.0.113.7"),
        (PROXY, PROXY, "203.0.113.7"),
        (PROXY, "198.51.100.9", "198.51.100.9"),  # nobody else may say where a request comes from
        (None, PROXY, PROXY),
    ],
)
def test_a_named_proxy_and_nobody_else_says_where_a_request_comes_from(monkeypatch, trusted, came_from, seen):
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    if trusted:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    served = uvicorn.Config(Starlette(routes=[Route("/", answer)]), log_config=None)
    served.load()
    caller = TestClient(served.loaded_app, client=(came_from, 40000))
    assert caller.get("/", headers={"X-Forwarded-For": "203.0.113.7"}).text == seen


def test_the_web_container_takes_that_variable_beside_its_settings():
    services = yaml.safe_load((PROJECT_DIRECTORY / "compose.yaml").read_text())["services"]
    web, worker = services["web"]["environment"], services["worker"]["environment"]
    assert web.keys() - worker.keys() == {"FORWARDED_ALLOW_IPS"}
    assert worker.items() <= web.items()
