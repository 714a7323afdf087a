"""Rows with one code are equal in every column, and equal rows have one code."""

import numpy as np

from app.cli.alike import Alike

LOWEST = int(np.iinfo(np.int64).min)


def alike(columns, sequences):
    found = Alike(len(columns[0]))
    found.add(*columns)
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in sequences])))
    found.add_sequences(np.asarray([number for one in sequences for number in one], dtype=np.int64), offsets)
    return found.numbered()


def test_codes_tell_rows_apart_exactly_however_far_apart_their_values_are():
    chance = np.random.default_rng()
    far_apart = np.asarray([LOWEST, -(2**31), -1, 0, 7, 10**12, 2**62], dtype=np.int64)
    mine = chance.integers(0, 150, 400)
    columns = [chance.choice(far_apart, 150)[mine] for _ in range(6)]
    sequences = [chance.integers(0, 2, chance.integers(0, 3)).tolist() for _ in range(150)]
    sequences = [sequences[row] for row in mine]
    rows = list(zip(*[column.tolist() for column in columns], map(tuple, sequences), strict=True))
    first, kinds = alike(columns, sequences)
    assert [rows[place] for place in first[kinds]] == rows
    assert len(first) == len(set(rows)) <= 150


def test_equal_rows_are_one_kind_and_no_rows_are_none():
    same = Alike(3)
    same.add(np.full(3, LOWEST))
    assert [part.tolist() for part in same.numbered()] == [[0], [0, 0, 0]]
    assert [len(part) for part in Alike(0).numbered()] == [0, 0]
