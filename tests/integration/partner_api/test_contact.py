"""The technical contact: it changes when the new address agrees, and the old one hears of it."""

import base64
import datetime as dt
import re

import pytest
from sqlmodel import select

from app.delivery.contact_mails import CHANGED, CONFIRMATION, agree_to_contact
from app.delivery.outbox import address_of, content_of
from app.delivery.tables import Delivery
from app.faces.partner import contact_pages, sending
from app.partners.registration import contact_of, partner_by_id
from app.platform import clock
from app.platform.database import app_session, worker_session
from app.platform.errors import NotFound
from app.web.rate_limits import RateLimit

NEW = "team@sorairo.example"
PATH = "/partner/v1/contact"


@pytest.fixture(autouse=True)
def its_own_limit(monkeypatch):
    monkeypatch.setattr(sending, "CONTACT_MAILS_AN_HOUR", RateLimit(5, 3600))


def ask(api, address=NEW):
    response = api.put(PATH, json={"email": address})
    assert response.status_code == 202, response.text
    return response.json()["asked"]


def mails(event_type):
    with worker_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.event_type == event_type).order_by(Delivery.id)).all()
        return [(address_of(row.id, row.address_sealed), content_of(row.id, row.message_sealed)) for row in rows]


def link_of(mail):
    [link] = re.findall(r"/partner/contact-link/\S+", mail["text"])
    assert link in mail["html"]
    return link


def follow(client, link):
    page = client.get(link, headers={"accept": "text/html"})
    assert page.status_code == 200, page.text
    token = re.search(r'name="_csrf" value="([^"]+)"', page.text).group(1)
    return client.post(link, data={"_csrf": token}, headers={"accept": "text/html"})


def contact(sorairo):
    with app_session(sorairo.context) as session:
        return contact_of(partner_by_id(session, sorairo.partner_id))


def test_a_new_address_counts_once_it_agreed_and_the_one_before_hears_of_it(api, sorairo):
    assert api.get(PATH).json() == {"email": None}
    assert ask(api, " team@SORAIRO.example ") == NEW
    [(to, mail)] = mails(CONFIRMATION)
    assert to == NEW and "そらいろ(架空)アプリ" in mail["subject"]
    link = link_of(mail)
    assert NEW not in link
    assert api.get(link, headers={"accept": "text/html"}).status_code == 200
    assert contact(sorairo) is None, "opening the link changes nothing"
    assert "連絡先を変更しました" in follow(api, link).text
    assert api.get(PATH).json() == {"email": NEW}
    assert mails(CHANGED) == []

    ask(api, "other@sorairo.example")
    follow(api, link_of(mails(CONFIRMATION)[-1][1]))
    [(to, mail)] = mails(CHANGED)
    assert to == NEW and "other@" not in mail["text"] + mail["html"]
    assert contact(sorairo) == "other@sorairo.example"


def test_a_link_is_good_for_one_change_in_24_hours(api, sorairo, other, monkeypatch):
    ask(api)
    ask(api, "other@sorairo.example")
    first, second = (link_of(mail) for _to, mail in mails(CONFIRMATION))
    follow(api, first)
    unknown_key = base64.urlsafe_b64encode(b"\x01\x01Z" + bytes(120)).decode()
    forged = [first[:-5] + "AAAAA", first[:40], "/x", f"/{sorairo.partner_id.hex}.{unknown_key}", f"/{other.partner_id.hex}{first[-300:]}"]
    for link in (first, second, *forged):
        token = link.rsplit("/", 1)[1]
        assert api.get(f"/partner/contact-link/{token}", headers={"accept": "text/html"}).status_code == 404
        with app_session() as session, pytest.raises(NotFound):
            agree_to_contact(session, token, at=clock.real_now())
    assert contact(sorairo) == NEW
    ask(api, "late@sorairo.example")
    link = link_of(mails(CONFIRMATION)[-1][1])
    later = clock.real_now() + dt.timedelta(hours=24)
    monkeypatch.setattr(contact_pages, "real_now", lambda: later)
    assert "このリンクは使えません" in api.get(link, headers={"accept": "text/html"}).text


def test_one_address_gets_one_mail_a_day_and_a_partner_sends_five_an_hour(api):
    for _ in range(2):
        ask(api)
    assert len(mails(CONFIRMATION)) == 1
    for number in range(3):
        ask(api, f"team{number}@sorairo.example")
    refused = api.put(PATH, json={"email": "team9@sorairo.example"})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 3000
    assert len(mails(CONFIRMATION)) == 4


@pytest.mark.parametrize("address", ["", "x", "a@b", "a@b.example, c@d.example", "a b@c.example", "a@b.example\nbcc: x@y.example"])
def test_what_is_no_address_is_refused(api, address):
    response = api.put(PATH, json={"email": address})
    assert (response.status_code, response.json()["field"]) == (422, "email")
    assert mails(CONFIRMATION) == []


def test_each_partner_changes_its_own(api, sorairo, other):
    ask(api)
    follow(api, link_of(mails(CONFIRMATION)[0][1]))
    assert api.get(PATH, headers=other.headers).json() == {"email": None}


def test_the_portal_asks_and_shows(client, sign_in_token, sorairo):
    path = f"/partner/sign-in/{sign_in_token}"

    def send(page, action, **fields):
        token = re.search(r'name="_csrf" value="([^"]+)"', page.text).group(1)
        return client.post(action, data={"_csrf": token, **fields}, headers={"accept": "text/html"})

    send(client.get(path, headers={"accept": "text/html"}), path)
    page = client.get("/partner/contact", headers={"accept": "text/html"})
    assert "まだ登録されていません" in page.text
    refused = send(page, "/partner/contact", email="nobody")
    assert refused.status_code == 422 and "メールアドレスの形ではありません" in refused.text
    assert "確認のメールを送りました" in send(page, "/partner/contact", email=NEW).text
    follow(client, link_of(mails(CONFIRMATION)[0][1]))
    assert NEW in client.get("/partner/contact", headers={"accept": "text/html"}).text
