"""Two partners with keys, the real application and a client for it."""

from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient

from app.accounts.sign_in import create_link
from app.main import create_app
from app.partners.credentials import new_credential
from app.partners.registration import register_partner
from app.platform.database import Context, app_session
from app.platform.identifiers import new_id
from app.platform.settings import settings


@dataclass
class Registered:
    """A partner with a live key."""

    partner_id: object
    key: str

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def context(self):
        return Context(partner=self.partner_id)


def registered(name):
    partner_id = new_id()
    with app_session(Context(partner=partner_id)) as session:
        register_partner(session, partner_id, name=name, app_name=f"{name}アプリ")
        key = new_credential(session, partner_id).key
        session.commit()
    return Registered(partner_id, key)


@pytest.fixture
def environment(todoke_environment, monkeypatch):
    """The settings of a test: loopback receivers are allowed on one port, so that no name has to be resolved."""
    monkeypatch.setenv("TODOKE_OUTBOUND__ALLOWED_PRIVATE", '["127.0.0.0/8:9000"]')
    monkeypatch.setenv("TODOKE_REDIS__URL", "")
    monkeypatch.setenv("TODOKE_SECURE_COOKIES", "false")
    settings.cache_clear()
    yield todoke_environment
    settings.cache_clear()


@pytest.fixture
def sorairo(environment):
    return registered("そらいろ(架空)")


@pytest.fixture
def other(environment):
    return registered("べつの会社(架空)")


@pytest.fixture
def client(environment):
    with TestClient(create_app(), base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        yield client


@pytest.fixture
def api(client, sorairo):
    """The client with the key of the first partner."""
    client.headers.update(sorairo.headers)
    return client


@pytest.fixture
def sign_in_token(sorairo):
    with app_session(sorairo.context) as session:
        token = create_link(session, partner_id=sorairo.partner_id)
        session.commit()
    return token
