"""The portal as a developer's browser meets it."""

import datetime as dt
import html
import re
import uuid

import pytest
from sqlmodel import select

from app.delivery.endpoint_tests import send_ping
from app.delivery.log import delivery_by_id
from app.delivery.tables import Delivery, DeliveryAttempt, EndpointReplay
from app.partners.endpoint_keys import live_secrets
from app.partners.endpoints import endpoints_of, register_endpoint
from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.database import app_session, worker_session

URL = "http://127.0.0.1:9000/hook"


class Browser:
    """Follows links and sends the forms that pages show, with their tokens."""

    def __init__(self, client):
        self.client = client
        self.page = None

    def open(self, path, status=200):
        self.page = self.client.get(path, headers={"accept": "text/html"})
        assert self.page.status_code == status, self.page.text
        return html.unescape(self.page.text)

    def send(self, action, status=303, **fields):
        [form] = re.findall(rf'<form[^>]*method="post"[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.page.text, re.S)
        token = re.search(r'name="_csrf" value="([^"]+)"', form).group(1)
        self.page = self.client.post(action, data={"_csrf": token, **fields}, headers={"accept": "text/html"})
        assert self.page.status_code == status, self.page.text
        return self.page.headers["location"] if status == 303 else html.unescape(self.page.text)


@pytest.fixture
def browser(client, sign_in_token):
    browser = Browser(client)
    path = f"/partner/sign-in/{sign_in_token}"
    browser.open(path)
    assert browser.send(path) == "/partner"
    return browser


@pytest.fixture
def endpoint(browser, sorairo):
    browser.open("/partner/endpoints/new")
    browser.send("/partner/endpoints", status=200, url=URL)
    with app_session(sorairo.context) as session:
        return endpoints_of(session, sorairo.partner_id)[0]


def rows(sorairo):
    with app_session(sorairo.context) as session:
        return endpoints_of(session, sorairo.partner_id)


def test_a_link_signs_in_once(client, sign_in_token):
    browser = Browser(client)
    path = f"/partner/sign-in/{sign_in_token}"
    browser.open(path)
    browser.open(path)  # looking consumes nothing
    browser.send(path)
    assert "エンドポイント" in browser.open("/partner")
    client.cookies.clear()
    browser.open(path, status=404)


@pytest.mark.parametrize(
    "path", ["/partner", "/partner/endpoints/new", "/partner/deliveries", "/partner/keys", "/partner/events", "/partner/first-event", "/partner/endpoints/01a20000-0000-7000-8000-000000000000"]
)
def test_nobody_sees_a_page_without_signing_in(client, path):
    response = client.get(path, headers={"accept": "text/html"})
    assert (response.status_code, response.headers["location"]) == (303, "/partner/sign-in")
    assert client.get("/partner/sign-in").status_code == 200


def test_signing_out_ends_the_session(browser, client):
    browser.open("/partner")
    cookies = dict(client.cookies)
    assert browser.send("/partner/sign-out") == "/partner/sign-in"
    client.cookies.update(cookies)
    assert client.get("/partner", headers={"accept": "text/html"}).status_code == 303


def test_an_endpoint_is_registered_and_its_secret_shown_once(browser, sorairo):
    browser.open("/partner/endpoints/new")
    shown = browser.send("/partner/endpoints", status=200, url=URL, event_types=["test.ping", "notice.created"])
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", shown).group()
    [row] = rows(sorairo)
    assert live_secrets(row, clock.real_now()) == (secret,)
    assert row.event_types == ["notice.created", "test.ping"]
    for path in ("/partner", f"/partner/endpoints/{row.id}"):
        assert "whsec_" not in browser.open(path)
        assert URL in browser.page.text
    assert browser.page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "入力してください"),
        ("https://10.0.0.8/hook", "インターネットから見えないアドレス"),
        ("http://hooks.example.jp/", "https:// で始まる"),
        ("https://u:p@hooks.example.jp/", "ユーザー名やパスワード"),
        ("https://hooks.example.jp:22/", "443 と 8443"),
        ("https://nowhere.invalid/", "つづりと DNS"),
        ("https://0x7f000001/", "数字だけのホスト名"),
        ("https://hooks.example.jp/?owner=123456789018", "マイナンバー"),
    ],
)
def test_a_bad_address_is_explained_beside_its_field_and_kept(browser, sorairo, url, said):
    browser.open("/partner/endpoints/new")
    shown = browser.send("/partner/endpoints", status=422, url=url)
    assert said in shown
    assert f'value="{url}"' in shown
    assert rows(sorairo) == []


def test_a_second_endpoint_with_the_same_address_is_refused(browser, endpoint):
    browser.open("/partner/endpoints/new")
    assert "もう登録されています" in browser.send("/partner/endpoints", status=422, url=endpoint.url)


def test_an_endpoint_is_edited_stopped_resumed_and_removed(browser, endpoint, sorairo):
    path = f"/partner/endpoints/{endpoint.id}"
    browser.open(path)
    assert "インターネットから" in browser.send(path, status=422, url="https://10.0.0.1/")
    browser.open(path)
    assert browser.send(path, url=URL + "/2", event_types=["test.ping"]) == path
    assert (rows(sorairo)[0].url, rows(sorairo)[0].event_types) == (URL + "/2", ["test.ping"])
    browser.open(path)
    browser.send(f"{path}/disable")
    assert "ご自身で止めました" in browser.open(path)
    assert f"{path}/test-event" not in browser.page.text
    browser.send(f"{path}/enable")
    browser.open(path)
    with app_session(sorairo.context) as session:
        register_endpoint(session, sorairo.partner_id, URL + "/other")
        session.commit()
    assert browser.send(f"{path}/remove") == "/partner"
    assert [row.url for row in rows(sorairo)] == [URL + "/other"]
    assert "endpoint.disabled" in browser.open("/partner"), "the other endpoint hears of it"
    browser.open(path, status=404)


def test_rotation_shows_the_new_secret_and_until_when_the_old_one_signs(browser, endpoint, sorairo):
    path = f"/partner/endpoints/{endpoint.id}"
    [old] = live_secrets(endpoint, clock.real_now())
    browser.open(path)
    shown = browser.send(f"{path}/rotation", status=200)
    assert "両方で署名します" in shown
    new = re.search(r"whsec_[A-Za-z0-9+/=]+", shown).group()
    assert live_secrets(rows(sorairo)[0], clock.real_now()) == (new, old)
    browser.open(path)
    browser.send(f"{path}/rotation", status=409)
    browser.open(path)
    assert "いま無効になりました" in browser.send(f"{path}/rotation", status=200, immediately="yes")
    assert len(live_secrets(rows(sorairo)[0], clock.real_now())) == 1


def test_a_delivery_shows_its_attempts_and_is_sent_again(browser, endpoint, sorairo):
    browser.open(f"/partner/endpoints/{endpoint.id}")
    path = browser.send(f"/partner/endpoints/{endpoint.id}/test-event")
    assert "まだ送っていません" in browser.open(path)
    with worker_session() as session:
        row = delivery_by_id(session, uuid.UUID(path.rsplit("/", 1)[1]))
        row.state, row.requests, row.last_error = "failed", 1, "http_500"
        session.add(
            DeliveryAttempt(
                delivery_id=row.id, partner_id=row.partner_id, number=1, started_at=clock.real_now(), milliseconds=7,
                outcome="retry", status_code=500, error="http_500", response_excerpt="<script>alert(1)</script>",
            )
        )
        session.commit()
    shown = browser.open(path)
    assert "HTTP 500" in shown
    assert '"type": "test.ping"' in shown
    assert "<script>alert" not in browser.page.text
    assert path in browser.open("/partner/deliveries?state=failed")
    assert path not in browser.open("/partner/deliveries?state=delivered")
    assert path in browser.open(f"/partner/deliveries?state=nonsense&endpoint_id={endpoint.id}")
    browser.open(path)
    assert browser.send(f"{path}/resend") == path
    with app_session(sorairo.context) as session:
        assert session.exec(select(Delivery)).one().state == "scheduled"


def test_what_the_family_stopped_says_so(browser, endpoint, client):
    browser.open(f"/partner/endpoints/{endpoint.id}")
    path = browser.send(f"/partner/endpoints/{endpoint.id}/test-event")
    with worker_session() as session:
        row = delivery_by_id(session, uuid.UUID(path.rsplit("/", 1)[1]))
        row.state, row.requests = "delivered", 1
        session.commit()
    browser.open(path)
    with worker_session() as session:
        row = delivery_by_id(session, uuid.UUID(path.rsplit("/", 1)[1]))
        row.state, row.last_error, row.stop_reason = "cancelled", "consent_withdrawn", "consent_withdrawn"
        session.commit()
    shown = browser.send(f"{path}/resend", status=409)
    assert "もう一度送ることはできません" in shown
    assert "本文は表示しません" in shown


def test_the_log_is_paged(browser, endpoint):
    for _ in range(31):
        browser.open(f"/partner/endpoints/{endpoint.id}")
        browser.send(f"/partner/endpoints/{endpoint.id}/test-event")
    first = set(re.findall(r'href="(/partner/deliveries/[0-9a-f-]{36})"', browser.open("/partner/deliveries")))
    older = re.search(r'href="(/partner/deliveries\?[^"]*cursor=[^"]+)"', browser.page.text).group(1)
    second = set(re.findall(r'href="(/partner/deliveries/[0-9a-f-]{36})"', browser.open(html.unescape(older))))
    assert (len(first), len(second), first & second) == (30, 1, set())


def test_a_key_is_shown_once_works_and_ends(browser, client):
    browser.open("/partner/keys")
    key = re.search(r"tdk_[A-Za-z0-9_-]{43}", browser.send("/partner/keys", status=200)).group()
    assert client.get("/partner/v1/endpoints", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert key not in browser.open("/partner/keys")
    action = next(path for path, text in re.findall(r'action="(/partner/keys/[^"]+)".*?</form>()', browser.page.text, re.S))
    assert browser.send(action) == "/partner/keys"
    assert client.get("/partner/v1/endpoints", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_the_catalogue_shows_every_event(browser):
    shown = browser.open("/partner/events")
    for event_type in EVENT_TYPES:
        assert f'id="{event_type}"' in shown
        assert f'"type": "{event_type}"' in shown
    assert shown.count("準備中</span>") == len(PLANNED_EVENT_TYPES)
    assert browser.open("/partner/endpoints/new").count("準備中</span>") == len(PLANNED_EVENT_TYPES)


def test_another_partners_things_are_not_there(browser, other, client):
    made = client.post("/partner/v1/endpoints", json={"url": URL}, headers=other.headers).json()["endpoint"]
    sent = client.post(f"/partner/v1/endpoints/{made['id']}/test-events", headers=other.headers).json()["delivery_id"]
    for path in (f"/partner/endpoints/{made['id']}", f"/partner/deliveries/{sent}"):
        browser.open(path, status=404)
    assert made["id"] not in browser.open("/partner")


def test_a_forged_form_changes_nothing(browser, endpoint, client, sorairo):
    for action in ("disable", "remove", "rotation", "test-event", "enable"):
        response = client.post(f"/partner/endpoints/{endpoint.id}/{action}", data={"_csrf": "0" * 64})
        assert response.status_code == 403
    assert client.post("/partner/keys").status_code == 403
    assert rows(sorairo)[0].disabled_at is None


def written(endpoint, state, **columns):
    """Leave one event of an endpoint as a worker would: without a family, an hour after it began."""
    with worker_session() as session:
        row = delivery_by_id(session, send_ping(session, session.get_one(PartnerEndpoint, endpoint.id), at=clock.real_now()))
        row.event_type, row.state, row.finished_at = "link.created", state, clock.real_now() - dt.timedelta(hours=1)
        for name, value in columns.items():
            setattr(row, name, value)
        session.commit()
        return row.id


def changed(endpoint, **columns):
    with worker_session() as session:
        row = session.get_one(PartnerEndpoint, endpoint.id)
        for name, value in columns.items():
            setattr(row, name, value)
        session.commit()


def state_of(sorairo, delivery_id):
    with app_session(sorairo.context) as session:
        return session.get_one(Delivery, delivery_id).state


def test_the_form_of_recovery_sends_what_failed_and_says_what_it_left(browser, endpoint, sorairo):
    path = f"/partner/endpoints/{endpoint.id}"
    failed = written(endpoint, "failed", last_error="http_500")
    older = written(endpoint, "failed", last_error="http_500", finished_at=clock.real_now() - dt.timedelta(days=3))
    stopped = written(endpoint, "cancelled", last_error="link_revoked", stop_reason="link_revoked")
    expired = written(endpoint, "expired")
    browser.open(path)
    shown = browser.send(f"{path}/recovery", status=200, since="day")
    assert re.findall(r"<dd>(\d+)件</dd>", shown) == ["1", "1", "1"]
    states = [state_of(sorairo, delivery_id) for delivery_id in (failed, older, stopped, expired)]
    assert states == ["scheduled", "failed", "cancelled", "expired"]
    browser.open(path)
    browser.send(f"{path}/recovery", status=200, since="fortnight")
    assert state_of(sorairo, older) == "scheduled"


def test_the_form_of_a_replay_opens_one_and_the_page_shows_how_far_it_is(browser, endpoint, sorairo):
    path = f"/partner/endpoints/{endpoint.id}"
    browser.open(path)
    assert browser.send(f"{path}/replay", since="fortnight") == f"{path}#recovery"
    assert "実行中" in browser.open(path)
    with app_session(sorairo.context) as session:
        [row] = session.exec(select(EndpointReplay)).all()
    assert clock.now() - row.since > dt.timedelta(days=13, hours=23)
    assert "まだ終わっていません" in browser.send(f"{path}/replay", status=409, since="day")
    with worker_session() as session:
        row = session.get_one(EndpointReplay, row.id)
        row.outcome, row.queued, row.finished_at = "complete", 12, clock.real_now()
        session.commit()
    shown = browser.open(path)
    assert "終わりました" in shown and "12件を送信待ちにしました" in shown


@pytest.mark.parametrize("form", ["recovery", "replay"])
def test_a_stopped_endpoint_offers_neither_and_takes_neither(browser, endpoint, form):
    path = f"/partner/endpoints/{endpoint.id}"
    browser.open(path)
    changed(endpoint, disabled_at=clock.real_now(), disabled_reason="failing")
    assert "いまはできません" in browser.send(f"{path}/{form}", status=409, since="day")
    assert f"{path}/{form}" not in browser.open(path)


def test_an_endpoint_that_failed_is_resumed_by_a_test_that_the_page_shows(browser, endpoint, sorairo):
    path = f"/partner/endpoints/{endpoint.id}"
    changed(endpoint, disabled_at=clock.real_now(), disabled_reason="gone")
    assert "受信側が 410 を返しました" in browser.open(path)
    assert browser.send(f"{path}/enable") == path
    [row] = rows(sorairo)
    assert row.disabled_at is not None and row.test_delivery_id is not None
    shown = browser.open(path)
    assert "テスト中" in shown and f"/partner/deliveries/{row.test_delivery_id}" in shown
    for action in ("enable", "disable", "test-event", "recovery", "replay"):
        assert f'action="{path}/{action}"' not in shown
    assert "テスト中" in browser.open("/partner")
    changed(endpoint, testing_until=clock.real_now() - dt.timedelta(seconds=1))
    assert "テスト中" not in browser.open(path) and f'action="{path}/enable"' in browser.page.text


def test_public_keys_are_shown_and_rotated(browser, endpoint, sorairo):
    path = f"/partner/endpoints/{endpoint.id}"
    assert "whpk_" not in browser.open(path)
    browser.send(path, url=URL, signing="both")
    [first] = re.findall(r"whpk_[A-Za-z0-9+/=]+", browser.open(path))
    assert browser.send(f"{path}/key-rotation") == path
    keys = re.findall(r"whpk_[A-Za-z0-9+/=]+", browser.open(path))
    assert keys[1:] == [first] and keys[0] != first
    refused = browser.send(f"{path}/key-rotation", status=409)
    assert "Traceback" not in refused
    browser.open(path)
    browser.send(f"{path}/key-rotation", immediately="yes")
    [last] = re.findall(r"whpk_[A-Za-z0-9+/=]+", browser.open(path))
    assert last not in keys


def test_the_pace_is_chosen_kept_and_lifted(browser, endpoint, sorairo):
    path = f"/partner/endpoints/{endpoint.id}"
    browser.open(path)
    browser.send(path, url=URL, requests_a_second="20", most_in_flight="5")
    [row] = rows(sorairo)
    assert (row.requests_a_second, row.most_in_flight) == (20, 5)
    shown = browser.open(path)
    assert "1秒に20回まで" in shown and "同時に5件まで" in shown and 'value="20"' in shown
    for wrong in ("0", "1001", "-1", "はやく", "1.5"):
        refused = browser.send(path, status=422, url=URL, requests_a_second=wrong, most_in_flight="5")
        assert f'value="{wrong}"' in refused and "requests_a_second-error" in refused
    browser.send(path, url=URL, requests_a_second="", most_in_flight="")
    [row] = rows(sorairo)
    assert not row.requests_a_second and not row.most_in_flight
    assert "決めていません" in browser.open(path)
