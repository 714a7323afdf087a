"""What every face stands on: headers, cookies, CSRF, errors, links, declared access."""

import json
import re
import uuid

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from app.platform.database import owner_session
from app.platform.errors import Conflict, InvalidInput, NotFound, NotPermitted
from app.platform.settings import settings
from app.web import access, csrf, sign_in_links
from app.web.access import Anyone, Household, Staff
from app.web.pages import page, see_other

probe = APIRouter()


@probe.get("/probe", dependencies=[Anyone])
def _probe(request: Request) -> Response:
    return page(request, "components/sign_in_link.html", usable=True)


@probe.post("/probe", dependencies=[Anyone])
def _probe_taken(request: Request) -> Response:
    return see_other(request, "/probe")


@probe.get("/probe/error/{kind}", dependencies=[Anyone])
def _probe_error(kind: str) -> Response:
    errors = {"input": InvalidInput, "permitted": NotPermitted, "found": NotFound, "conflict": Conflict}
    raise errors.get(kind, RuntimeError)("found a secret detail")


@probe.get("/probe/household")
def _probe_household(actor: Household) -> dict[str, str]:
    return {"household": str(actor.household_id), "by": actor.name}


@probe.get("/probe/staff")
def _probe_staff(actor: Staff) -> dict[str, str]:
    return {"municipality": actor.municipality_code, "by": actor.name}


@probe.get("/probe/link/{kind}/{token}", dependencies=[Anyone])
def _probe_link(request: Request, kind: str, token: str) -> Response:
    return sign_in_links.show_link(request, kind, token, "components/sign_in_link.html")


@probe.post("/probe/link/{kind}/{token}", dependencies=[Anyone])
def _probe_link_used(request: Request, kind: str, token: str) -> Response:
    return sign_in_links.follow_link(request, kind, token, f"/probe/{kind}")


@probe.post("/probe/sign-out", dependencies=[Anyone])
def _probe_sign_out(request: Request) -> Response:
    return sign_in_links.sign_out(request, "/probe")


@pytest.fixture
def application(application) -> FastAPI:
    application.include_router(probe)
    return application


def test_every_answer_carries_the_headers_and_no_page_runs_anything_inline(browser):
    for path in ("/probe", "/no-such-page", "/probe/error/crash", "/static/todoke.css"):
        answer = browser.open(path)
        policy = answer.headers["content-security-policy"]
        nonce = re.search(r"script-src 'nonce-([^']+)'", policy)[1]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        if answer.headers["content-type"].startswith("text/html"):
            assert answer.text.count(f'nonce="{nonce}"') == answer.text.count("<script")
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)
            assert answer.headers["cache-control"] == "no-store"
    assert browser.open("/probe").headers["content-security-policy"] != policy


def test_cookies_are_bound_to_the_host_where_there_is_tls(application, monkeypatch):
    monkeypatch.setenv("TODOKE_SECURE_COOKIES", "true")
    settings.cache_clear()
    answer = TestClient(application, base_url="https://testserver").get("/probe")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-todoke-browser=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "domain" not in cookie.lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_a_form_needs_the_token_of_its_own_browser_and_page(browser, browser_of):
    browser.last = browser.client.post("/demo/clock")
    assert browser.last.status_code == 403
    assert "何も変わっていません" in browser.last.text

    for wrong in ("0" * 64, "é", "届け" * 20, ""):
        assert browser.client.post("/probe", data={"_csrf": wrong}).status_code == 403
    token_of_another = re.search(r'name="_csrf" value="([0-9a-f]+)"', browser_of().open("/probe").text)[1]
    assert browser.client.post("/probe", data={"_csrf": token_of_another}).status_code == 403
    assert browser.send("/probe", page="/probe", follow_redirects=False).status_code == 303


def test_a_foreign_origin_is_refused_even_with_the_token(browser, staff_link):
    path = f"/probe/link/staff/{staff_link}"
    browser.open(path)
    refused = browser.send(path, headers={"Origin": "https://elsewhere.example"}, follow_redirects=False)
    assert refused.status_code == 403
    refused = browser.send(path, page=path, headers={"Sec-Fetch-Site": "cross-site"}, follow_redirects=False)
    assert refused.status_code == 403
    assert browser.send(path, page=path, follow_redirects=False).status_code == 303


def test_errors_are_a_page_for_people_and_a_problem_for_programs(browser, capsys):
    expected = {"input": 422, "permitted": 403, "found": 404, "conflict": 409, "crash": 500}
    for kind, status in expected.items():
        shown = browser.open(f"/probe/error/{kind}")
        assert shown.status_code == status
        assert "<main" in shown.text
        assert "secret detail" not in shown.text
        problem = browser.open(f"/probe/error/{kind}", headers={"Accept": "application/json"})
        assert problem.status_code == status
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["status"] == status
        fragment = browser.open(f"/probe/error/{kind}", headers={"HX-Request": "true"})
        assert fragment.status_code == status
        assert "<main" not in fragment.text
        assert 'role="alert"' in fragment.text
    assert browser.open("/probe/error/input", headers={"Accept": "application/json"}).json()["detail"]
    capsys.readouterr()
    assert "secret" not in browser.open("/probe/error/crash", headers={"Accept": "application/json"}).text
    logged = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (logged["event"], logged["kind"]) == ("unexpected error", "RuntimeError")
    assert "locals" not in logged["exception"] and "_csrf" not in logged["exception"]  # no values of variables


def test_too_much_at_once_is_refused(browser):
    answer = browser.client.post(
        "/probe", content=b"a=" + b"x" * 600_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413


def test_a_link_is_not_consumed_by_looking_and_works_once(browser, browser_of, staff_link):
    path = f"/probe/link/staff/{staff_link}"
    for _ in range(3):
        assert browser.open(path).status_code == 200
    assert browser.client.get("/probe/staff", follow_redirects=False).headers["location"] == "/staff/sign-in"
    assert browser.send(path, page=path, follow_redirects=False).status_code == 303
    assert browser.open("/probe/staff").json()["municipality"] == "131121"
    assert browser_of().open(path).status_code == 404
    # the other faces stay closed
    assert browser.client.get("/probe/household", follow_redirects=False).headers["location"] == "/sign-in"


def test_a_link_of_one_face_opens_no_other(browser, staff_link):
    assert browser.open(f"/probe/link/household/{staff_link}").status_code == 404


def test_signing_out_ends_the_session_on_the_server(browser, household_link):
    household_id, token = household_link
    path = f"/probe/link/household/{token}"
    browser.send(path, page=path, follow_redirects=False)
    assert uuid.UUID(browser.open("/probe/household").json()["household"]) == household_id
    kept = dict(browser.client.cookies)
    browser.open("/probe/link/staff/none")
    answer = browser.send("/probe/sign-out", page="/probe", follow_redirects=False)
    assert answer.headers["clear-site-data"]
    browser.client.cookies.update(kept)
    assert browser.client.get("/probe/household", follow_redirects=False).status_code == 303


def test_no_token_is_kept_in_the_clear(todoke_environment, staff_link):
    with owner_session() as session:
        row = session.connection().execute(text("SELECT to_jsonb(l) FROM sign_in_links l")).scalar_one()
    assert staff_link not in str(row)


def test_every_route_says_who_may_call_it(application):
    """The architecture test: no route without an access dependency, no unsafe form without the CSRF check."""
    checked = 0
    for route in _routes(application.routes):
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, APIRoute), f"{route} is not a plain route; expected one that declares its access"
        calls = list(_calls(route.dependant))
        declared = [call for call in calls if isinstance(call, access.Access)]
        assert len(declared) == 1, f"{route.path} declares {len(declared)} accesses; expected one of app.web.access"
        if route.methods - csrf.SAFE_METHODS and not isinstance(declared[0], access._WithoutForm):
            assert csrf.csrf_checked in calls, f"{route.path} takes forms without the CSRF check"
        checked += 1
    assert checked > 5


def _routes(routes):
    """Routes of the application and of the routers it includes, at any depth."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from _routes(included.routes)
        else:
            yield route


def _calls(dependant):
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)
