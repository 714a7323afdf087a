"""Each kind × channel × sensitive: what is told, and what is kept for who has signed in. One table for all of them."""

import datetime as dt
import json

import pytest

from app.households.tables import ContactPoint
from app.notices import wording
from app.notices.app_events import told_events
from app.notices.holding import holds_in
from app.notices.messages import push
from app.notices.situation import read_situations
from app.notices.tables import Notice
from app.platform import clock
from app.platform.database import Context, worker_session
from app.platform.identifiers import new_id
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled
from tests.integration.notices.telling import CLOSING

DAY = dt.date(2026, 12, 7)
SECRETS = ("みまもり手当", "ひとり親の方に", "月44,080円", "131121/secret")
SUPPORT = {
    **wording.BLANK,
    "kind": "new_support", "name": "みまもり手当", "title": "「みまもり手当」の対象になりそうです",
    "programme_kind": "cash", "programme_key": "131121/secret", "subject_text": "2018年7月生まれのお子さん",
    "reason": "ひとり親の方に届いています。", "amount_text": "月44,080円", "yen": 44080,
    "cost_of_delay_text": "申請が1か月おくれるごとに、受け取れる額が44,080円ずつ減る見込みです。",
    "deadline_label": "申請期限", "deadline_on": "2026-12-07", "deadline_short": "12/7(月)",
    "deadline_text": "2026年12月7日(月)まで", "contact": "子育て支援課", "source_title": "区の案内",
    "source_checked_on": "2026-11-01", "version": "2026-04-01",
}  # fmt: skip
CHANGE = {"label": "申請期限", "old": "2026年12月14日(月)", "new": "2026年12月7日(月)"}
CONTENTS = {
    "new_support": SUPPORT,
    "deadline_reminder": wording.reminder_content(SUPPORT),
    "ending_soon": wording.ending_content(SUPPORT, DAY, DAY),
    "correction": wording.correction_content(SUPPORT, [CHANGE]),
    "loss": wording.loss_content(SUPPORT, "programme_changed"),
    "question": {
        **SUPPORT, "kind": "question", "title": "1つ答えると「みまもり手当」のことが分かります",
        "question": "ひとり親の方に当てはまりますか。", "decides": ["みまもり手当"], "cost_of_delay_text": "",
    },
}  # fmt: skip
SAYS = {
    "new_support": ["対象になりそうです", "ずつ減る見込み", "2026年12月7日(月)まで"],
    "deadline_reminder": ["申請期限は12/7(月)です", "ずつ減る見込み", "2026年12月7日(月)まで"],
    "ending_soon": ["12/7(月)までです", "ずつ減る見込み", "利用できる最後の日"],
    "correction": ["内容が変わりました", "2026年12月14日(月)", "2026年12月7日(月)"],
    "loss": ["対象ではなくなったようです", "条件が見直され"],
    "question": ["1つ答えると"],
}


@pytest.fixture
def family(world):
    """A family with an app, a LINE account and an address, as release sees it."""
    household_id = enrolled(
        a_household(children=[a_child("2018-07-10")]), contacts=(("line", "U" + "4" * 32), ("email", "f@home.example"))
    )
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    with worker_session(Context(municipality="131121")) as session:
        (situation,) = read_situations(session, [household_id], holds_in(session, "131121"))
        session.expunge_all()
    return situation


def notice(family, name, sensitive):
    content = CONTENTS[name]
    return Notice(
        id=new_id(), household_id=family.household.id, municipality_code="131121", programme_key="131121/secret",
        subject="child:c1", kind=content["kind"], occasion=name, sensitive=sensitive,
        programme_version=dt.date(2026, 4, 1), content=content, deadline_on=DAY, release_at=clock.now(),
    )  # fmt: skip


def message_of(family, told, channel):
    if channel == "app":
        return [json.loads(event.body) for event in told_events(family, [told], clock.now())]
    contact: ContactPoint = next(one for one in family.contacts if one.kind == channel)
    return push(family, contact, [told], clock.now())


def shown(message, channel):
    """Everything that a reader of the message may see, unsigned."""
    if channel == "email":
        return [message.subject + message.text, message.subject + message.html]
    if channel == "line":
        return [json.dumps(message.messages, ensure_ascii=False)]
    return [json.dumps(message, ensure_ascii=False)]


@pytest.mark.parametrize("sensitive", [False, True])
def test_each_kind_on_each_channel(family, sensitive):
    for name in CONTENTS:
        told = notice(family, name, sensitive)
        for channel in ("email", "line", "app"):
            message = message_of(family, told, channel)
            for part in shown(message, channel):
                case = (name, channel, sensitive)
                if sensitive or channel == "app":
                    found = [
                        secret for secret in SECRETS if secret in part and not (channel == "app" and not sensitive)
                    ]
                    assert found == [], case
                if channel == "app":
                    assert "生まれ" not in part and "44,080" not in part and "ひとり親" not in part, case
                    continue
                assert CLOSING in part, case
                if sensitive:
                    assert "サインインしてからご覧いただく" in part, case
                else:
                    assert all(text in part for text in SAYS[name]), case
        if name != "loss":
            (event,) = message_of(family, told, "app")
            assert event["data"]["kind"] == told.kind
            assert (event["data"]["programme_id"], event["data"]["category"]) == (
                (None, "cash") if sensitive else ("131121/secret", None)
            )


def test_the_lock_screen_and_the_subject_name_no_person_and_no_amount(family):
    for name in CONTENTS:
        told = notice(family, name, False)
        mail, line = message_of(family, told, "email"), message_of(family, told, "line")
        for seen in (mail.subject, line.fallback_text, line.messages[0]["altText"]):
            assert "みまもり手当" in seen, name
            assert not any(word in seen for word in ("生まれ", "44,080", "ひとり親")), (name, seen)
