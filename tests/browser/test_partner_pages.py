"""The partner portal in Chromium: on a phone and on a desk, by axe's rules, without a script error."""

import re
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from sqlmodel import select

from app.accounts.sign_in import create_link
from app.delivery.contact_mails import CONFIRMATION
from app.delivery.log import delivery_by_id
from app.delivery.outbox import content_of
from app.delivery.tables import Delivery, DeliveryAttempt
from app.partners.registration import register_partner
from app.partners.tables import PartnerEndpoint
from app.platform import clock
from app.platform.database import Context, app_session, worker_session
from app.platform.identifiers import new_id

pytestmark = pytest.mark.browser
WIDTHS = {"small-phone": 320, "phone": 360, "desk": 1280}


@pytest.fixture(autouse=True)
def receivers_on_this_machine(todoke_environment, monkeypatch):
    """Endpoints on this machine may be registered here."""
    monkeypatch.setenv("TODOKE_OUTBOUND__ALLOWED_PRIVATE", '["127.0.0.0/8:9000"]')


@pytest.fixture
def sign_in_path(address):
    partner_id = new_id()
    with app_session(Context(partner=partner_id)) as session:
        register_partner(session, partner_id, name="株式会社そらいろ(架空)", app_name="そらいろ子育て")
        token = create_link(session, partner_id=partner_id)
        session.commit()
    return f"/partner/sign-in/{token}"


def look_at(page, name, problems, directory):
    """Judge the page that is open at both widths."""
    for device, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            problems.append(f"{name} on a {device}: wider than {width} px")
        for violation in Axe().run(page).response["violations"]:
            targets = "; ".join(str(node["target"]) for node in violation["nodes"][:3])
            problems.append(f"{name} on a {device}: {violation['id']} {targets}")
        page.screenshot(path=directory / f"{name}-{device}.png", full_page=True)


def follow(page, role, name):
    """Press a link or a button and wait for the page it leads to."""
    with page.expect_navigation():
        page.get_by_role(role, name=name).click()


def fail(delivery_id):
    with worker_session() as session:
        row = delivery_by_id(session, delivery_id)
        row.state, row.requests, row.last_error = "failed", 2, "http_500"
        for number, status in ((1, 503), (2, 500)):
            session.add(
                DeliveryAttempt(
                    delivery_id=row.id, partner_id=row.partner_id, number=number, started_at=clock.real_now(),
                    milliseconds=12, outcome="retry", status_code=status, error=f"http_{status}",
                    response_excerpt="Internal Server Error " * 8,
                )
            )
        session.commit()


def stop(endpoint_id):
    """Stop an endpoint as a worker does after five days."""
    with worker_session() as session:
        row = session.get_one(PartnerEndpoint, endpoint_id)
        row.disabled_at, row.disabled_reason = clock.real_now(), "failing"
        session.commit()


def look_at_states_of(page, problems, directory):
    """Judge the page of an endpoint that is open: with two public keys and a pace, stopped, and while it is tested."""
    page.get_by_label("両方(v1 と v1a)").check()
    page.get_by_label(re.compile("1秒に送る回数")).fill("1000")
    page.get_by_label(re.compile("同時に送る件数")).fill("200")
    follow(page, "button", "変更を保存する")
    follow(page, "button", "鍵を作り直す")
    look_at(page, "endpoint-keys", problems, directory)
    follow(page, "button", "知らせていないものを送る")
    look_at(page, "endpoint-replay", problems, directory)
    follow(page, "button", "失敗したものを送り直す")
    look_at(page, "recovered", problems, directory)
    follow(page, "link", "エンドポイントのページへ戻る")
    stop(uuid.UUID(page.url.rsplit("/", 1)[1]))
    page.reload()
    look_at(page, "endpoint-stopped", problems, directory)
    follow(page, "button", "テストして再開する")
    assert page.get_by_role("status").first.inner_text().startswith("テストイベントを送っています")
    look_at(page, "endpoint-testing", problems, directory)
    follow(page, "link", "エンドポイント一覧へ戻る")
    look_at(page, "start-testing", problems, directory)


def look_at_contact(page, problems, directory):
    """Judge a change of the technical contact, from the form to the link's button and beyond."""
    follow(page, "link", "連絡先")
    page.get_by_label(re.compile("新しいメールアドレス")).fill("a-team-with-a-rather-long-name@hooks.sorairo.example")
    follow(page, "button", "確認のメールを送る")
    look_at(page, "contact-asked", problems, directory)
    with worker_session() as session:
        mail = session.exec(select(Delivery).where(Delivery.event_type == CONFIRMATION)).one()
        written = content_of(mail.id, mail.message_sealed)["text"]
    page.goto(page.url.removesuffix("/partner/contact") + re.search(r"/partner/contact-link/\S+", written).group())
    look_at(page, "contact-link", problems, directory)
    follow(page, "button", "連絡先にする")
    look_at(page, "contact-changed", problems, directory)


def test_every_page_reads_well_on_a_phone_and_on_a_desk(address, sign_in_path, chromium, tmp_path):
    page = chromium.new_page()
    problems, said = [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))

    page.goto(f"{address}/partner")
    look_at(page, "sign-in", problems, tmp_path)
    page.goto(address + sign_in_path)
    look_at(page, "sign-in-link", problems, tmp_path)
    follow(page, "button", "サインインする")
    look_at(page, "start-empty", problems, tmp_path)

    follow(page, "link", "エンドポイントを登録する")
    page.get_by_label(re.compile("URL")).fill("https://10.0.0.8/hook")
    follow(page, "button", "登録する")
    assert "インターネットから見えない" in page.locator("#url-error").inner_text()
    look_at(page, "refused", problems, tmp_path)
    page.get_by_label(re.compile("URL")).fill("http://127.0.0.1:9000/a/rather/long/path/that/must/not/push/the/page/wide")
    follow(page, "button", "登録する")
    assert page.locator(".secret").inner_text().startswith("whsec_")
    look_at(page, "secret", problems, tmp_path)
    follow(page, "button", "テストイベントを送る")
    look_at(page, "delivery-waiting", problems, tmp_path)
    fail(uuid.UUID(page.url.rsplit("/", 1)[1]))
    page.reload()
    page.get_by_text("応答の本文").first.click()
    look_at(page, "delivery-failed", problems, tmp_path)

    for name, path in [("log", "/deliveries"), ("start", ""), ("events", "/events"), ("first-event", "/first-event"), ("contact", "/contact"), ("keys", "/keys")]:
        page.goto(f"{address}/partner{path}")
        look_at(page, name, problems, tmp_path)
    follow(page, "button", "キーを作る")
    look_at(page, "key-made", problems, tmp_path)
    page.goto(f"{address}/partner")
    follow(page, "link", re.compile("127.0.0.1"))
    look_at(page, "endpoint", problems, tmp_path)
    look_at_states_of(page, problems, tmp_path)
    look_at_contact(page, problems, tmp_path)
    page.close()
    assert problems == []
    [refusal] = said  # Chromium reports the status of the page that refused an address
    assert "422" in refusal
