"""The registry carries no lint errors: what families read is there in every language, examples show both sides."""

from app.cli.answers import phrases_of, words_of
from app.registry.linting import lint
from app.registry.loading import Registry
from tests.registry.test_registry_data import WRITTEN_ON


def test_nothing_in_the_registry_is_an_error(registry: Registry) -> None:
    found = lint(registry, WRITTEN_ON, phrases_of(registry, "ja"), words_of("lint"))
    assert [one.sentence for one in found if one.level == "error"] == []
