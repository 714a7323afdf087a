"""The application with a test client, and households, staff and links to sign in with."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import app.main
from app.accounts.sign_in import create_link
from app.accounts.tables import StaffAccount
from app.faces.parent import contact_pages, entering_pages, sign_in_pages
from app.households.profiles import create_household
from app.insight import funnel
from app.matching.sweep import drain
from app.notices.announce import announce
from app.platform.database import Context, app_session
from app.platform.identifiers import new_id
from app.platform.settings import settings
from app.registry.loading import Registry
from app.web import assets
from app.web.rate_limits import RateLimit

SETAGAYA = "131121"


@dataclass
class Browser:
    """A test client that fills in the hidden fields of the page it last saw, as a browser would."""

    client: TestClient
    last: object = None

    def open(self, path: str, **more):
        self.last = self.client.get(path, **more)
        return self.last

    def send(self, path: str, fields: dict | None = None, *, page: str | None = None, **more):
        """Post a form; the CSRF token comes from `page`, or from the page seen last."""
        if page is not None:
            self.open(page)
        found = re.search(r'name="_csrf" value="([0-9a-f]+)"', self.last.text)
        assert found, f"no form on the last page: {self.last.text[:300]}"
        self.last = self.client.post(path, data={"_csrf": found[1], **(fields or {})}, **more)
        return self.last

    def form_id(self) -> str:
        """The id that the entering form on the last page carries."""
        return re.search(r'name="form_id" value="([^"]+)"', self.last.text)[1]

    def enter_family(self, *, refuse: tuple[str, ...] = (), **fields: object):
        """Go through both entering pages as a family with a child born on 2026-11-05; return the last answer."""
        facts = {
            "municipality": SETAGAYA,
            "birth-year": "2026",
            "birth-month": "11",
            "birth-day": "5",
            "due-year": "",
            "due-month": "",
            "due-day": "",
            **fields,
        }
        self.open("/start")
        self.send("/start", {**facts, "form_id": self.form_id(), "step": "next"})
        purposes = ("matching:basic", "matching:income", "matching:disability_health", "matching:school")
        answers = {purpose: "refused" if purpose in refuse else "given" for purpose in purposes}
        answers |= {"form_id": self.form_id(), "step": "done"}
        return self.send("/start/consent", {**facts, **answers}, follow_redirects=False)


@pytest.fixture(scope="session")
def front_end_files() -> None:
    """The style and script files, copied from node_modules; without `npm ci` this says what to run."""
    assets.copy_assets()


@pytest.fixture
def application(todoke_environment, front_end_files, monkeypatch) -> FastAPI:
    monkeypatch.setenv("TODOKE_SECURE_COOKIES", "false")
    settings.cache_clear()
    return app.main.create_app()


@pytest.fixture
def browser_of(application) -> Iterator[Callable[[], Browser]]:
    """Make browsers that do not share cookies."""
    clients = []

    def make() -> Browser:
        client = TestClient(application, raise_server_exceptions=False)
        clients.append(client)
        return Browser(client)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def browser(browser_of) -> Browser:
    return browser_of()


@pytest.fixture
def staff_link(todoke_environment) -> str:
    """A sign-in link for a viewer in 世田谷区."""
    staff_id = new_id()
    with app_session(Context(municipality=SETAGAYA)) as session:
        session.add(StaffAccount(id=staff_id, municipality_code=SETAGAYA, post="子ども家庭課(架空)", role="viewer"))
        session.flush()
        token = create_link(session, municipality_code=SETAGAYA, staff_id=staff_id)
        session.commit()
    return token


@pytest.fixture
def household_link(todoke_environment) -> tuple[uuid.UUID, str]:
    """A stored household and a sign-in link for its guardian g1."""
    household_id = new_id()
    document = {
        "municipality": SETAGAYA,
        "guardians": [{"id": "g1"}],
        "children": [{"id": "c1", "birth_date": "2026-11-05"}],
    }
    with app_session(Context(municipality=SETAGAYA, household=household_id)) as session:
        create_household(session, document, source="parent", by="guardian:g1", household_id=household_id)
        token = create_link(session, municipality_code=SETAGAYA, household_id=household_id, guardian="g1")
        session.commit()
    return household_id, token


@pytest.fixture
def published(published_registry) -> Registry:
    """The repository's registry, published into this test's database; the clock stands at a morning in November."""
    return published_registry


@pytest.fixture
def work() -> Callable[[], None]:
    """Do what the workers would do now: evaluate what changed, plan and release, count."""

    def run() -> None:
        drain()
        announce()
        funnel.count(SETAGAYA)

    return run


@pytest.fixture
def family(browser, published, work) -> Browser:
    """A browser signed in as a family in 世田谷区 with a newborn, after its first result."""
    browser.enter_family()
    work()
    return browser


@pytest.fixture
def code(monkeypatch) -> str:
    """The code that every mail carries in this test."""
    monkeypatch.setattr("app.households.contacts.secrets.randbelow", lambda _: 123456)
    return "123456"


@pytest.fixture(autouse=True)
def no_limits_of_earlier_tests() -> None:
    """Every test starts as if nobody had tried anything yet."""
    for module in (entering_pages, sign_in_pages, contact_pages):
        for limit in vars(module).values():
            if isinstance(limit, RateLimit):
                limit._tries.clear()
