"""Sealing binds a value to one place; a key can be rotated; nothing opens what was changed."""

import pytest

from app.platform.errors import Misconfigured
from app.platform.identifiers import new_id
from app.platform.sealing import blind_index, generate_key, seal, unseal
from app.platform.settings import settings


@pytest.fixture
def sealing_keys(monkeypatch):
    old, new = generate_key(), generate_key()

    def use(active: str, *known: str) -> None:
        every = {"old": old, "new": new}
        monkeypatch.setenv("TODOKE_SEALING__KEYS", str({key: every[key] for key in known}).replace("'", '"'))
        monkeypatch.setenv("TODOKE_SEALING__ACTIVE_KEY", active)
        monkeypatch.setenv("TODOKE_SEALING__INDEX_KEY", old)
        settings.cache_clear()

    use("old", "old")
    yield use
    settings.cache_clear()


def test_a_sealed_value_opens_only_in_its_place(sealing_keys):
    row, other = new_id(), new_id()
    sealed = seal("家族@example.jp", "contact_points", "address", row)
    assert unseal(sealed, "contact_points", "address", row) == "家族@example.jp"
    for place in (("contact_points", "address", other), ("contact_points", "name", row), ("partners", "address", row)):
        with pytest.raises(ValueError, match="does not belong"):
            unseal(sealed, *place)


@pytest.mark.parametrize("position", [0, 1, 5, 20, -1])
def test_changed_bytes_do_not_open(sealing_keys, position):
    row = new_id()
    sealed = bytearray(seal("value", "t", "c", row))
    sealed[position] ^= 1
    with pytest.raises((ValueError, Misconfigured)):
        unseal(bytes(sealed), "t", "c", row)


def test_sealing_twice_gives_different_bytes_and_the_index_equal_ones(sealing_keys):
    row = new_id()
    assert seal("same", "t", "c", row) != seal("same", "t", "c", row)
    assert blind_index("same", "email") == blind_index("same", "email") != blind_index("same", "line")


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key(sealing_keys):
    row = new_id()
    before = seal("value", "t", "c", row)
    sealing_keys("new", "old", "new")
    after = seal("value", "t", "c", row)
    assert unseal(before, "t", "c", row) == unseal(after, "t", "c", row) == "value"
    sealing_keys("new", "new")
    assert unseal(after, "t", "c", row) == "value"
    with pytest.raises(Misconfigured, match="sealing key 'old' is not set"):
        unseal(before, "t", "c", row)


def test_a_key_that_is_none_is_refused(sealing_keys, monkeypatch):
    monkeypatch.setenv("TODOKE_SEALING__KEYS", '{"old": "c2hvcnQ="}')
    settings.cache_clear()
    with pytest.raises(Misconfigured, match="32 bytes"):
        seal("value", "t", "c", new_id())


def test_ids_are_ordered_by_time_and_version_seven():
    ids = [new_id() for _ in range(50)]
    assert {value.version for value in ids} == {7}
    assert len(set(ids)) == 50
    assert ids == sorted(ids), "also within a millisecond"
