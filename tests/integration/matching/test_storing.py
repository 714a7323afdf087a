"""Storing in sets leaves the rows that storing one by one would leave."""

import datetime as dt
import json
import random
import uuid
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.matching.entitlements import COMPARED, LeftAlone, store
from app.matching.evaluation import Right
from app.matching.tables import Entitlement
from app.platform import clock
from app.platform.database import Context, owner_session, worker_session
from app.platform.identifiers import new_id

TOWN = "131121"
DAY = dt.date(2026, 11, 24)
PROGRAMMES = ("000000/one", "000000/two", f"{TOWN}/three")


@pytest.fixture
def families(todoke_environment):
    ids = sorted(new_id() for _ in range(5))
    with owner_session() as session:
        for household_id in ids:
            session.execute(
                text("INSERT INTO households (id, municipality_code, consent_epoch, stopped_subjects)"
                     " VALUES (:id, :code, 0, '{}')"),
                {"id": household_id, "code": TOWN},
            )  # fmt: skip
        session.commit()
    return ids


def a_right(household_id, programme=PROGRAMMES[0], **changes):
    right = Right(household_id, programme, DAY, "child:c1", "eligible", DAY, None, DAY, None, None, {"reason": {}})
    return replace(right, **changes)


def some_rights(chance, families):
    """Rights and open questions as an evaluation may say them: on each subject one question, rights on other days."""
    found = []
    for household_id in families:
        for programme in PROGRAMMES:
            days = [DAY + dt.timedelta(days=number) for number in chance.sample(range(4), chance.randint(0, 3))]
            for number, day in enumerate(days):
                question = number == 0 and chance.random() < 0.5
                found.append(
                    a_right(
                        household_id, programme, valid_from=day, announce_on=day,
                        verdict="undetermined" if question else "eligible",
                        answer={"missing": chance.choice(["a\tb", "c\\d", '"', "\n", "は"]), "yen": chance.choice([1, None])},
                        deadline_on=chance.choice([None, DAY]), valid_until=chance.choice([None, dt.date(2045, 3, 31)]),
                        programme_version=chance.choice([DAY, dt.date(2025, 4, 1)]),
                    )
                )  # fmt: skip
    return found


def apply_one_by_one(rows, rights, ids, programmes, left_alone):
    """The plain reference: rows by id, changed in place; returns (added, changed, removed, touched)."""

    def key(one):
        beginning = one["valid_from"] if one["verdict"] == "eligible" else None
        return one["household_id"], one["programme_key"], one["subject"], beginning

    wanted = {key(fields(right)): fields(right) for right in rights}
    begins = {(*key(one)[:3], one["valid_from"]) for one in wanted.values() if one["verdict"] == "eligible"}
    changed, removed, touched = 0, 0, set()
    for row in list(rows.values()):
        looked_at = row["household_id"] in ids and (programmes is None or row["programme_key"] in programmes)
        if not looked_at or row["programme_key"] in left_alone.programmes:
            continue
        if (row["household_id"], row["programme_key"]) in left_alone.pairs:
            continue
        right = wanted.pop(key(row), None)
        if right is None:
            del rows[row["id"]]
            removed += 1
        else:
            asked = row["verdict"] == "undetermined"
            moves = asked and (*key(row)[:3], row["valid_from"]) in begins
            if not moves and all(row[name] == right[name] for name in COMPARED):
                continue
            if asked and row["answer"] != right["answer"]:
                row.update(announced_at=None, announce_on=right["announce_on"])
            row.update({name: right[name] for name in (*COMPARED, *(("valid_from",) if moves else ()))})
            changed += 1
        touched.add(row["household_id"])
    for number, right in enumerate(wanted.values()):
        rows[f"new {number} {uuid.uuid4()}"] = {**right, "announced_at": None}
    return len(wanted), changed, removed, touched


def fields(right):
    return {name: getattr(right, name) for name in Right.__slots__}


def stored():
    with owner_session() as session:
        rows = session.exec(select(Entitlement)).all()
        return {row.id: {**{name: getattr(row, name) for name in Right.__slots__}, "id": row.id,
                         "announced_at": row.announced_at} for row in rows}  # fmt: skip


def without_id(rows):
    return sorted(
        json.dumps({name: value for name, value in row.items() if name != "id"}, default=str, sort_keys=True)
        for row in rows
    )


@pytest.mark.parametrize("seed", range(4))
def test_sets_leave_what_one_by_one_leaves(families, seed):
    chance = random.Random(seed)
    for _ in range(6):
        ids = set(chance.sample(families, chance.randint(1, 5)))
        programmes = None if chance.random() < 0.5 else chance.sample(PROGRAMMES, 2)
        left_alone = LeftAlone(
            chance.sample(PROGRAMMES, chance.randint(0, 1)),
            [(chance.choice(families), chance.choice(PROGRAMMES))] if chance.random() < 0.5 else [],
        )
        rights = [
            right for right in some_rights(chance, sorted(ids))
            if (programmes is None or right.programme_key in programmes)
            and right.programme_key not in left_alone.programmes
            and (right.household_id, right.programme_key) not in left_alone.pairs
        ]  # fmt: skip
        expected, before = stored(), stored()
        added, changed, removed, touched = apply_one_by_one(expected, rights, ids, programmes, left_alone)
        with worker_session(Context(municipality=TOWN)) as session:
            found = store(session, TOWN, ids, rights, programmes, left_alone=left_alone, readers=("notices", "another"))
            session.commit()
        after = stored()
        assert (found.added, found.changed, found.removed) == (added, changed, removed)
        assert without_id(after.values()) == without_id(expected.values())
        assert set(after) & set(before) == {one for one in expected if isinstance(one, uuid.UUID)}
        with owner_session() as session:
            looks = session.execute(text("DELETE FROM changes RETURNING reader, household_id")).all()
            session.execute(
                text("UPDATE entitlements SET announced_at = :now WHERE random() < 0.5"), {"now": clock.now()}
            )
            session.commit()
        assert sorted(looks) == sorted((reader, one) for reader in ("another", "notices") for one in touched)


def test_a_question_makes_room_for_a_right_that_begins_on_its_day(families):
    """The question was to be asked from that day; now it is known that a right begins then, and today is open."""
    later = DAY + dt.timedelta(days=3)
    question = a_right(families[0], verdict="undetermined", valid_from=later)
    with worker_session(Context(municipality=TOWN)) as session:
        store(session, TOWN, [families[0]], [question])
        session.commit()
    (first,) = stored().values()
    rights = [replace(question, valid_from=DAY), a_right(families[0], valid_from=later)]
    with worker_session(Context(municipality=TOWN)) as session:
        store(session, TOWN, [families[0]], rights)
        session.commit()
    rows = {row["verdict"]: row for row in stored().values()}
    assert (rows["undetermined"]["id"], rows["undetermined"]["valid_from"]) == (first["id"], DAY)
    assert rows["eligible"]["valid_from"] == later
