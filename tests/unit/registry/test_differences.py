"""Differences in words: between versions, between days, and between a changed template and a local programme."""

import copy
import dataclasses
import datetime as dt

from app.registry.differences import difference, document_on, template_difference, wording
from app.registry.statements import statements
from app.rules.parameters import Parameter, Parameters
from tests.conftest import registry

NATIONAL, KITA = "000000/child-allowance", "131172/child-allowance"
DAY = dt.date(2026, 11, 24)


def changed(document, **parts):
    return {**copy.deepcopy(document), **parts}


def by_field(found):
    return {one.field: one for one in found}


def test_nothing_differs_from_itself():
    document = document_on(registry(), NATIONAL, DAY)
    assert difference((registry(), document, DAY), (registry(), document, DAY)) == []


def test_every_kind_of_change_is_told():
    document = document_on(registry(), NATIONAL, DAY)
    after = changed(
        document,
        criteria={"fiscal_year_end": "child.birth_date", "of_age": 15},
        amount=[{"yen": 12000, "per": "month"}],
        valid={"from": "2027-04-01"},
        sensitive=True,
        name={**document["name"], "ja": "児童手当(新)"},
    )
    after["application"]["deadlines"][0]["within"] = "20d"
    told = by_field(difference((registry(), document, DAY), (registry(), after, DAY)))
    assert "18歳に達する日以後" in told["criteria"].before[0]
    assert "15歳に達する日以後" in told["criteria"].after[0]
    assert any("12,000円" in line for line in told["amount"].after)
    assert any("生まれた順に数えて" in line for line in told["amount"].before)
    assert told["valid.from"].after == ("2027年4月1日",)
    assert (told["name.ja"].label, told["name.ja"].after) == ("名称(日本語)", ("児童手当(新)",))
    assert "20日以内" in told["application.deadlines"].after[0]
    assert "15日以内" in told["application.deadlines"].before[0]
    assert told["sensitive"].after == ("はい",)
    assert told["(limits).child-allowance-under-three"].after == ()


def test_a_limit_that_changes_between_two_days_is_told_to_the_yen():
    known = registry()
    name = "child-allowance-from-three"
    raw = copy.deepcopy(known.parameter_documents[name])
    raw["periods"][-1]["value"] = 11_000
    others = [known.parameters[one] for one in known.parameter_documents if one != name]
    later = dataclasses.replace(known, parameters=Parameters([*others, Parameter.model_validate(raw)]))
    document = document_on(known, NATIONAL, DAY)
    (told,) = difference((known, document, DAY), (later, document, DAY))
    assert (told.before, told.after) == (("10,000円",), ("11,000円",))


def test_what_reads_the_same_is_shown_as_it_is_written():
    document = document_on(registry(), NATIONAL, DAY)
    after = copy.deepcopy(document)
    after["examples"][0]["note"] = "書き足した"
    (told,) = difference((registry(), document, DAY), (registry(), after, DAY))
    assert told.field == "examples"
    assert "書き足した" in told.after[0]


def test_a_changed_template_meets_a_local_programme():
    known = registry()
    old, local = document_on(known, NATIONAL, DAY), document_on(known, KITA, DAY)
    new = changed(old, amount=[{"yen": 12000, "per": "month"}])
    new["application"]["deadlines"] = new["application"]["deadlines"][:1]
    found = template_difference((known, old, DAY), (known, new, DAY), (known, local, DAY))
    assert [one.field for one in found.taken] == ["amount"]
    assert [one.field for one in found.conflicts] == ["application.deadlines"]
    assert any("引っ越してきた" in line or "転入" in line for line in found.local["application.deadlines"])
    assert "application.contact.desk.ja" in {one.field for one in found.own}
    assert found.document["amount"] == new["amount"]
    assert found.document["application"]["deadlines"] == local["application"]["deadlines"]
    assert (found.document["municipality"], found.document["sources"]) == ("131172", local["sources"])


def test_every_programme_of_the_registry_is_said_in_words():
    known = registry()
    words = wording(known)
    assert len(known.versions) > 20
    for version in known.versions:
        said = statements(known, known.documents[version.key, version.version], version.valid.from_, words)
        unnamed = {one.label for path, one in said.items() if one.label == ".".join(path)}
        assert not unnamed, version.key
        for one in said.values():
            assert all("{" not in line or one.label in ("公式レジストリの記録",) for line in one.lines), (
                version.key,
                one,
            )
