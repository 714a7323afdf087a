"""The registry carries no lint errors: what families read is there in every language, examples show both sides."""

from app.cli.answers import phrases_of, words_of
from app.registry.linting import lint
from app.registry.loading import Registry
from tests.registry.test_registry_data import WRITTEN_ON


def test_nothing_in_the_registry_is_an_error(registry: Registry) -> None:
    found = lint(registry, WRITTEN_ON, phrases_of(registry, "ja"), words_of("lint"))
    assert [one.sentence for one in found if one.level == "error"] == []


def test_a_vaccination_or_checkup_is_reminded_of_once(registry: Registry) -> None:
    """Its first notice comes when its time begins; more than one reminder besides is noise (towns' own rules aside)."""
    steps = {
        version.key: len(version.notify.remind_before_deadline)
        for version in registry.versions
        if version.notify is not None and version.kind in ("vaccination", "checkup") and version.municipality == "000000"
    }
    assert len(steps) >= 20
    assert {key: number for key, number in steps.items() if number > 1} == {}
