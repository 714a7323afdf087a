"""Every programme carries its own tests, and they hold."""

from itertools import pairwise
from pathlib import Path

import pytest

from app.registry.examples import run_examples
from app.registry.loading import Registry
from app.rules.criteria import AllOf, AnyOf, Judgement

PROGRAMMES = sorted((Path(__file__).parents[2] / "registry_data/programmes").glob("*/*.yaml"))


@pytest.mark.parametrize("path", PROGRAMMES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_examples_of_a_programme_hold(registry: Registry, path: Path) -> None:
    key = f"{path.parent.name[:6]}/{path.stem}"
    assert sum(len(version.examples) for version in registry.programmes[key]) >= 2
    assert run_examples(registry, (key,)) == []


def test_every_example_says_what_happens_on_both_sides(registry: Registry) -> None:
    for version in registry.versions:
        verdicts = {expected.verdict for example in version.examples for expected in example.expect.values()}
        assert "ineligible" in verdicts, version.key
        best = "eligible" if _can_be_sure(version.criteria) else "undetermined"
        assert best in verdicts, version.key


def _can_be_sure(node: object) -> bool:
    """Whether a tree can ever hold for certain; what a person has to judge leaves it open at best."""
    if isinstance(node, AllOf):
        return all(map(_can_be_sure, node.all))
    if isinstance(node, AnyOf):
        return any(map(_can_be_sure, node.any))
    return not isinstance(node, Judgement)


def test_every_edge_in_time_has_an_example_within_a_day_of_it(registry: Registry) -> None:
    """Windows counted in days and weeks are where real notices went wrong; each is tried at its opening."""
    for key in ("000000/rsv-maternal-vaccination", "000000/rota-first-dose", "000000/pregnancy-support-benefit-second"):
        examples = registry.programmes[key][0].examples
        days = sorted({example.on for example in examples})
        assert any((later - earlier).days == 1 for earlier, later in pairwise(days)), key
