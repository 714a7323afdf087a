"""`/staff/api/v1`: two people take a draft to publication; tokens, revisions and errors on the way."""

import pytest

from app.accounts.sign_in import create_link
from app.accounts.tables import StaffAccount
from app.platform.database import Context, app_session
from app.platform.identifiers import new_id
from tests.integration.faces.conftest import SETAGAYA
from tests.integration.registry.conftest import a_programme

API = "/staff/api/v1"
PROGRAMME = f"{API}/programmes/131121/picture-book-money"


class Caller:
    """A signed-in member of staff with the token of the session."""

    def __init__(self, browser, role):
        staff_id = new_id()
        with app_session(Context(municipality=SETAGAYA)) as session:
            session.add(StaffAccount(id=staff_id, municipality_code=SETAGAYA, post="子ども課(架空)", role=role))
            session.flush()
            token = create_link(session, municipality_code=SETAGAYA, staff_id=staff_id)
            session.commit()
        browser.send(f"/staff/sign-in/{token}", page=f"/staff/sign-in/{token}")
        self.client = browser.client
        self.token = self.get("/session").json()["csrf_token"]

    def get(self, path):
        return self.client.get(path if path.startswith("/staff") else API + path)

    def call(self, method, path, body=None, **headers):
        sent = {"x-csrf-token": self.token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.request(method, path if path.startswith("/staff") else API + path, json=body, headers=sent)


@pytest.fixture
def author(browser_of, published):
    return Caller(browser_of(), "editor")


@pytest.fixture
def approver(browser_of, published):
    return Caller(browser_of(), "approver")


def test_two_people_publish_roll_back_and_end(author, approver):
    place = f"{PROGRAMME}/drafts/2026-04-01"
    saved = author.call("PUT", place, {"document": a_programme()})
    assert (saved.status_code, saved.headers["etag"]) == (200, '"1"'), saved.text
    assert author.call("PUT", place, {"document": a_programme()}).json()["revision"] == 1
    draft = saved.json()["id"]
    told = author.get(f"/drafts/{draft}/difference").json()["differences"]
    assert {"支給額", "要件"} <= {one["label"] for one in told}
    found = author.get(f"/drafts/{draft}/readiness").json()
    assert (found["ready"], found["errors"], "application.how" in {one["at"] for one in found["remarks"]}) == (
        True,
        [],
        True,
    )
    assert author.call("POST", f"/drafts/{draft}/submission", if_match='"1"').json()["state"] == "in_review"
    assert author.call("POST", f"/drafts/{draft}/approval", if_match='"1"').status_code == 403
    for _ in range(2):
        done = approver.call("POST", f"/drafts/{draft}/approval", if_match='"1"')
        assert (done.status_code, done.json()["written"]) == (200, ["2026-04-01"])
    changed = a_programme("2027-04-01", 4000)
    second = author.call("PUT", f"{PROGRAMME}/drafts/2027-04-01", {"document": changed}).json()["id"]
    author.call("POST", f"/drafts/{second}/submission", if_match="1")
    assert approver.call("POST", f"/drafts/{second}/approval", if_match="1").json()["shortened"] == ["2026-04-01"]
    difference = author.get(f"{PROGRAMME}/difference?from=2026-12-01&to=2027-12-01").json()["differences"]
    amounts = {one["field"]: (one["before"], one["after"]) for one in difference}["amount"]
    assert "3,000円" in amounts[0][0] and "4,000円" in amounts[1][0]
    history = author.get(PROGRAMME).json()["history"]
    assert [(one["valid_from"], one["known_until"] is None) for one in history] == [
        ("2026-04-01", False), ("2026-04-01", True), ("2027-04-01", True),
    ]  # fmt: skip
    wanted = {"version_id": history[0]["id"], "reason": "金額の誤り", "valid_from": "2027-04-01"}
    back = author.call("POST", f"{PROGRAMME}/roll-backs", {**wanted, "version_id": str(new_id())})
    assert back.status_code == 404
    back = author.call("POST", f"{PROGRAMME}/roll-backs", wanted)
    assert (back.status_code, back.json()["kind"]) == (201, "roll_back"), back.text
    refused = approver.call("POST", f"/drafts/{back.json()['id']}/return", {"comment": "金額は正しい"}, if_match="1")
    assert refused.json()["comment"] == "金額は正しい"
    assert author.call("POST", f"/drafts/{back.json()['id']}/withdrawal", if_match="1").json()["state"] == "withdrawn"
    end = author.call("POST", f"{PROGRAMME}/retirements", {"last_day": "2027-03-31", "reason": "統合のため"})
    assert author.call("POST", f"/drafts/{end.json()['id']}/withdrawal").status_code == 422
    nothing = author.call("POST", f"{PROGRAMME}/template-adoptions", {"on": "2026-12-01"})
    assert (nothing.status_code, "nothing new in the template" in nothing.json()["detail"]) == (409, True)
    done = approver.call("POST", f"/drafts/{end.json()['id']}/approval", if_match="1").json()
    assert done["dropped"] == ["2027-04-01"]
    assert author.get("/drafts").json() == {"drafts": []}


def test_errors_say_what_was_found_and_expected(author):
    place = f"{PROGRAMME}/drafts/2026-04-01"
    wrong = {**a_programme(), "kind": "gold"}
    draft = author.call("PUT", place, {"document": wrong}).json()["id"]
    assert author.get(f"/drafts/{draft}/readiness").json()["ready"] is False
    refused = author.call("POST", f"/drafts/{draft}/submission", if_match="1")
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    (error,) = [one for one in refused.json()["errors"] if one["at"] == "kind"]
    assert error["found"] == "'gold'" and "cash" in error["expected"]
    assert author.call("PUT", place, {"document": a_programme()}, if_match="1").json()["revision"] == 2
    stale = author.call("PUT", place, {"document": a_programme(yen=9)}, if_match="1")
    assert stale.status_code == 409
    assert [one["at"] for one in stale.json()["errors"]] == ["kind"]
    assert author.call("PUT", place, {"document": a_programme("2027-04-01")}, if_match="2").status_code == 422
    assert author.call("PUT", place, {"document": a_programme(), "x": 1}, if_match="2").status_code == 422
    assert author.call("PUT", place, {"document": a_programme()}, if_match="two").json()["field"] == "If-Match"


def test_no_token_no_right_no_session(author, approver, browser_of):
    place = f"{PROGRAMME}/drafts/2026-04-01"
    body = {"document": a_programme()}
    assert author.client.put(place, json=body).status_code == 403
    assert author.call("PUT", place, body, origin="https://elsewhere.example").status_code == 403
    assert author.call("PUT", place, body, x_csrf_token="0" * 64).status_code == 403
    assert approver.call("PUT", place, body).status_code == 403
    nobody = browser_of().client.get(f"{API}/programmes")
    assert (nobody.status_code, nobody.json()["title"]) == (401, "sign-in-needed")
    elsewhere = {**a_programme(), "municipality": "131172"}
    other = author.call("PUT", f"{API}/programmes/131172/picture-book-money/drafts/2026-04-01", {"document": elsewhere})
    assert other.status_code == 422 and "131121/picture-book-money" in other.json()["detail"]


def test_programmes_templates_and_upkeep_are_read(author):
    keys = {one["key"] for one in author.get("/programmes").json()["programmes"]}
    assert "000000/child-allowance" in keys and "131172/child-allowance" not in keys
    assert author.get("/programmes/131172/child-allowance").status_code == 404
    days = "from=2026-11-24&to=2026-12-24"
    assert author.get(f"/programmes/000000/child-allowance/template-difference?{days}").status_code == 404
    found = author.get("/upkeep?on=2029-05-01").json()
    assert found["unread_sources"]
    row = next(one for one in found["rows"] if one["reason"] == "check")
    choice = {"subject": row["subject"], "due_on": row["due_on"], "decision": "continue", "on": "2029-05-01"}
    assert author.call("POST", "/upkeep/decisions", choice).json()["decision"] == "continue"
    again = author.get("/upkeep?on=2029-05-01").json()["rows"]
    assert [one["decision"] for one in again if one["subject"] == row["subject"]] == ["continue"]
