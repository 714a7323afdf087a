"""A municipality's variant takes over what it does not say, field by field."""

from tests.conftest import registry

REGISTRY = registry()


def test_what_is_not_written_comes_from_the_original() -> None:
    original = REGISTRY.programmes["000000/child-allowance"][0]
    variant = REGISTRY.programmes["131172/child-allowance"][0]
    assert variant.name == original.name
    assert variant.criteria == original.criteria
    assert variant.amount == original.amount
    assert variant.application is not None
    assert original.application is not None
    assert variant.application.documents == original.application.documents
    assert variant.application.pays_from == original.application.pays_from


def test_what_is_written_replaces_the_original() -> None:
    original = REGISTRY.programmes["000000/child-allowance"][0]
    variant = REGISTRY.programmes["131172/child-allowance"][0]
    assert variant.application is not None
    assert original.application is not None
    anchors = [deadline.anchor for deadline in variant.application.deadlines]
    assert anchors == ["child.birth_date", "residence.from"]
    assert variant.application.contact != original.application.contact


def test_sources_and_examples_are_never_taken_over() -> None:
    original = REGISTRY.programmes["000000/child-allowance"][0]
    variant = REGISTRY.programmes["131172/child-allowance"][0]
    assert variant.sources != original.sources
    assert variant.examples != original.examples
    assert variant.based_on == original.key


def test_that_the_original_is_a_draft_says_nothing_about_the_variant() -> None:
    original = REGISTRY.programmes["130001/birthday-support"][0]
    variant = REGISTRY.programmes["131237/birthday-support"][0]
    assert (original.certainty, variant.certainty, variant.draft_reason) == ("draft", "verified", None)
