"""Open data: every shape, kept copies, changes and dumps, pages; read by other people's parsers."""

import csv
import datetime as dt
import gzip
import io
import json
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from rdflib import Graph

import app.main
from app.faces.opendata import answering
from app.platform import clock
from app.platform.database import owner_session
from app.registry.versions import publish
from app.web import assets
from app.web.rate_limits import RateLimit

ATOM = "{http://www.w3.org/2005/Atom}"
DAY = dt.date(2026, 11, 24)


@pytest.fixture
def client(published_registry) -> TestClient:
    assets.copy_assets()
    answering.made_for_one_address._tries.clear()
    return TestClient(app.main.create_app())


@pytest.fixture
def publish_again(published_registry):
    """Publish the registry with a changed text of one programme, some minutes later."""

    def run(key: str, name: str) -> None:
        from dataclasses import replace

        version = published_registry.programmes[key][-1]
        document = json.loads(json.dumps(published_registry.documents[key, version.version], default=str))
        document["name"]["ja"] = name
        changed = type(version).model_validate(document)
        registry = replace(
            published_registry,
            programmes={**published_registry.programmes, key: (*published_registry.programmes[key][:-1], changed)},
            written={**published_registry.written, (key, version.version): document},
        )
        with owner_session() as session:
            publish(session, registry, clock.now())
            session.commit()

    return run


def test_programmes_are_the_published_ones_with_their_words(client, published_registry):
    answer = client.get("/open/v1/programmes").json()
    assert answer["licence"] == "CC-BY-4.0"
    assert answer["on"] == DAY.isoformat()
    verified = {
        key
        for key, versions in published_registry.programmes.items()
        if (version := published_registry.version_on(key, DAY))
        and version.certainty == "verified"
        and not published_registry.municipalities[version.municipality].fictional
    }
    assert {one["key"] for one in answer["programmes"]} == verified
    allowance = next(one for one in answer["programmes"] if one["key"] == "000000/child-allowance")
    assert allowance["programme"]["criteria"] == {"fiscal_year_end": "child.birth_date", "of_age": 18}
    schema = Draft202012Validator(client.get("/open/v1/schemas/programme").json())
    for one in (allowance, answer["programmes"][-1]):
        schema.validate(one["programme"])
    assert all(allowance["in_words"][language] for language in ("ja", "ja-easy", "en"))


def test_a_town_gets_its_own_variant_and_drafts_only_when_asked_for(client):
    keys = {one["key"] for one in client.get("/open/v1/programmes?municipality=131172").json()["programmes"]}
    assert "131172/child-allowance" in keys
    assert "000000/child-allowance" not in keys
    drafts = client.get("/open/v1/programmes?certainty=draft").json()["programmes"]
    assert drafts
    assert {one["programme"]["certainty"] for one in drafts} == {"draft"}


def test_one_programme_on_a_day_and_none_before_it_was_law(client):
    path = "/open/v1/programmes/000000/child-allowance"
    assert client.get(f"{path}?on=2025-01-01").json()["programmes"][0]["version"] == "2024-10-01"
    refused = client.get(f"{path}?on=1999-01-01")
    assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
    assert "1999-01-01" in refused.json()["detail"]
    assert client.get("/open/v1/programmes/000000/no-such").status_code == 404


@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")  # its own JSON-LD reader uses what it deprecates
def test_csv_and_official_records_and_linked_data_are_readable_by_others(client):
    table = client.get("/open/v1/programmes?format=csv")
    assert table.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert len(rows) == len(client.get("/open/v1/programmes").json()["programmes"])
    records = client.get("/open/v1/programmes?format=official&municipality=131121").json()
    assert all("basicInformation" in record and "institutionName" in record for record in records)
    for shape in ("json-ld", "schema-org"):
        graph = Graph().parse(data=client.get(f"/open/v1/programmes?format={shape}").text, format="json-ld")
        assert len(graph) > 100, shape


def test_what_has_not_changed_is_not_sent_again(client, publish_again):
    first = client.get("/open/v1/programmes")
    etag = first.headers["etag"]
    again = client.get("/open/v1/programmes", headers={"If-None-Match": f'"old", W/{etag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert first.headers["access-control-allow-origin"] == "*"
    assert first.headers["cross-origin-resource-policy"] == "cross-origin"
    publish_again("000000/child-allowance", "児童手当(改)")
    changed = client.get("/open/v1/programmes", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert "児童手当(改)" in changed.text


def test_what_is_asked_for_differently_is_the_same_answer_and_packed_where_it_is_taken(client):
    plain = client.get("/open/v1/programmes", headers={"Accept-Encoding": "identity"})
    packed = client.get("/open/v1/programmes?unknown=1")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert packed.headers["etag"] == client.get("/open/v1/programmes").headers["etag"] != plain.headers["etag"]
    assert client.head("/open/v1/programmes").headers["etag"] == packed.headers["etag"]
    assert client.head("/open").status_code == 200
    assert client.head("/open").content == b""


def test_making_answers_is_limited_and_handing_out_kept_ones_is_not(client, monkeypatch):
    monkeypatch.setattr(answering, "made_for_one_address", RateLimit(2, 60))
    answering._kept.clear()
    assert [client.get(f"/open/v1/programmes?on=2026-11-{day}").status_code for day in (20, 21, 22)] == [200, 200, 429]
    assert {client.get("/open/v1/programmes?on=2026-11-20").status_code for _ in range(5)} == {200}


def test_a_wrong_code_is_refused_and_an_invented_town_is_left_out(client):
    refused = client.get("/open/v1/programmes?municipality=131122")
    assert refused.status_code == 422
    assert refused.headers["access-control-allow-origin"] == "*"
    assert (refused.json()["errors"][0]["found"], "131121" in refused.text) == ("131122", True)
    assert "登録されていません" in client.get("/open?municipality=131122").text
    assert "139904/" not in client.get("/open/v1/programmes?certainty=all").text
    assert "139904/" in client.get("/open/v1/programmes?municipality=139904").text
    assert "みはらし" not in client.get("/open/v1/changes.atom").text


@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")
def test_the_way_in_and_the_addresses_of_linked_data_lead_somewhere(client):
    index = client.get("/open/v1").json()
    for name in ("programmes", "changes", "openapi.json"):
        assert client.get(index[name].removeprefix("http://127.0.0.1:8000")).status_code == 200
    assert client.get("/open/programmes").url.path == "/open"
    graph = Graph().parse(
        data=client.get("/open/v1/programmes/131121/birth-cost-grant?format=schema-org").text, format="json-ld"
    )
    ours = {str(one) for one in graph.all_nodes() if str(one).startswith("http://127.0.0.1:8000/")}
    assert ours
    assert {client.get(address.removeprefix("http://127.0.0.1:8000")).status_code for address in ours} == {200}


def test_changes_since_a_cursor(client, publish_again):
    seen, cursor = [], None
    while True:
        answer = client.get("/open/v1/changes", params={"limit": 20, **({"since": cursor} if cursor else {})}).json()
        seen += answer["changes"]
        cursor = answer["next"]
        if not answer["more"]:
            break
    assert {"000000/child-allowance"} <= {one.get("programme") for one in seen}
    assert any(one.get("parameter") for one in seen)
    assert client.get("/open/v1/changes", params={"since": cursor}).json()["changes"] == []
    publish_again("000000/child-allowance", "児童手当(改)")
    later = client.get("/open/v1/changes", params={"since": cursor}).json()
    assert [one["programme"] for one in later["changes"]] == ["000000/child-allowance"]
    refused = client.get("/open/v1/changes", params={"since": "nonsense"})
    assert refused.status_code == 422


def test_the_feed_is_atom(client):
    feed = ElementTree.fromstring(client.get("/open/v1/changes.atom").content)
    entries = feed.findall(f"{ATOM}entry")
    assert entries
    assert all(entry.findtext(f"{ATOM}title") and entry.find(f"{ATOM}link").get("href") for entry in entries)
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == len(entries)


def test_a_days_dump_is_what_was_known_when_it_began_and_stays(client, publish_again):
    assert client.get("/open/v1/dumps").json()["latest"] is None
    refused = client.get(f"/open/v1/dumps/{DAY}.jsonl.gz")
    assert (refused.status_code, "the first one is of 2026-11-25" in refused.json()["detail"]) == (404, True)
    tomorrow = DAY + dt.timedelta(days=1)
    clock.shift_to(clock.at_japan_time(tomorrow, 9))
    address = client.get("/open/v1/dumps").json()["latest"]["address"]
    assert address.endswith(f"/open/v1/dumps/{tomorrow}.jsonl.gz")
    packed = client.get(f"/open/v1/dumps/{tomorrow}.jsonl.gz").content
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert lines[0]["licence"] == "CC-BY-4.0"
    assert {line["record"] for line in lines[1:]} == {"programme", "parameter"}
    publish_again("000000/child-allowance", "児童手当(改)")
    assert client.get(f"/open/v1/dumps/{tomorrow}.jsonl.gz").content == packed
    assert client.get(f"/open/v1/dumps/{tomorrow + dt.timedelta(days=1)}.jsonl.gz").status_code == 404


def test_pages_leaflet_and_code(client):
    listed = client.get("/open?municipality=131121").text
    assert "/open/programmes/131121/birth-cost-grant" in listed
    page = client.get("/open/programmes/000000/child-allowance").text
    for part in ("児童手当", "出典", "審査のうえ", "leaflet"):
        assert part in page
    leaflet = client.get("/open/programmes/000000/child-allowance/leaflet").text
    assert "/open/programmes/000000/child-allowance/qr.svg" in leaflet
    code = client.get("/open/programmes/000000/child-allowance/qr.svg")
    assert code.headers["content-type"] == "image/svg+xml"
    assert ElementTree.fromstring(code.content).tag.endswith("svg")
    assert client.get("/open/programmes/000000/no-such").status_code == 404
    assert client.get("/open?municipality=<script>").status_code == 200
