"""What is read back, explained and given as a reason: no id, no path, no key, in all languages, for all programmes."""

import re

import pytest

from app.cli.answers import phrases_of
from app.registry.examples import example_household
from app.registry.loading import Registry
from app.rules.details import Detail
from app.rules.explain import lines
from app.rules.population import Population
from app.rules.read_back import full_read_back

PATH = re.compile(r"\b(household|guardian|child|pregnancy|co_resident|residence|amount|criteria)\.[a-z_]+")
LEFT_OVER = re.compile(r"[{}]|\bFalse\b|\bTrue\b|\b[a-z]+_[a-z_]+\b|\bfractions?\b")
ENGLISH_KEYS = re.compile(r"\bNone\b|(?<![A-Za-z0-9./-])[a-z]{3,}(-[a-z0-9]+)+(?![A-Za-z.])|[a-z_]+\.[a-z_]+|\b(child|guardian|pregnancy|household):")
LANGUAGES = ("ja", "ja-easy", "en")


def defects(sentence: str, language: str) -> list[str]:
    without_addresses = re.sub(r"https?://\S+|[\w.]+@[\w.]+|\b[a-z0-9-]+(\.[a-z0-9-]+)*\.(jp|com|org)\b\S*", "", sentence)
    found = [match.group() for match in (PATH.search(without_addresses), LEFT_OVER.search(without_addresses)) if match]
    if language != "en" and (match := ENGLISH_KEYS.search(without_addresses)):
        found.append(match.group())
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_read_back_prints_no_id_no_path_and_no_key(registry: Registry, language: str) -> None:
    phrases = phrases_of(registry, language)
    for version in registry.versions:
        compiled = registry.rulebook.on(version.key, version.valid.from_)
        assert compiled is not None
        for on in (version.valid.from_, version.sources[0].checked_on):
            for _, sentence in full_read_back(compiled, phrases, on):
                assert sentence.strip(), version.key
                assert defects(sentence, language) == [], f"{version.key}: {sentence}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_explanations_and_reasons_print_no_id_no_path_and_no_key(registry: Registry, language: str) -> None:
    phrases = phrases_of(registry, language)
    for version in registry.versions:
        for example in version.examples[:2]:
            population = Population.from_documents([example_household(registry, example)], registry.facts)
            compiled = registry.rulebook.on(version.key, example.on)
            if compiled is None or compiled.rule.version != version.version:
                continue
            detail = Detail(registry.rulebook, population, 0, example.on)
            for row in range(population.people[compiled.subject].size):
                told = [sentence for _, sentence in lines(detail.explanation(version.key, row, phrases))]
                for sentence in told:
                    assert defects(sentence, language) == [], f"{version.key}: {sentence}"


@pytest.mark.parametrize("household", ["two-children-tokyo", "single-parent", "unknown-income", "expecting-twins"])
def test_reasons_of_the_example_households(registry: Registry, household: str) -> None:
    from app.registry.positions import read_documents
    from app.rules.household import read_household
    from app.rules.inquiry import answers_on

    document = read_documents(registry.household_file(household))[0].value
    population = Population.from_documents([read_household(document, registry.facts, household)], registry.facts)
    for language in LANGUAGES:
        phrases = phrases_of(registry, language)
        (answered,) = answers_on(registry.rulebook, population, registry.versions[0].sources[0].checked_on,
                                 tuple(registry.programmes), phrases)  # fmt: skip
        for answer in answered.answers:
            for sentence in (answer.reason or "", *answer.checked):
                assert defects(sentence, language) == [], f"{answer.programme}: {sentence}"
            assert (answer.reason or "").count("。") <= 2 or language == "en", answer.reason


@pytest.mark.parametrize(("key", "told"), [
    ("000000/child-rearing-allowance", ["もう一度知らせる: 1週前", "制度の名前を言わない"]),
    ("000000/child-allowance", ["30日前に知らせる", "もう一度知らせる: 1週、1日前"]),
    ("130001/consultation-child-illness", ["家庭には知らせない"]),
])
def test_read_back_says_how_families_are_told(registry: Registry, key: str, told: list[str]) -> None:
    sentences = [sentence for _, sentence in full_read_back(registry.rulebook.versions[key][-1], phrases_of(registry, "ja"))]
    section = "\n".join(sentences[sentences.index("家庭への知らせ方") + 1 :])
    for part in told:
        assert part in section
    sensitive = registry.rulebook.versions[key][-1].rule.sensitive and "知らせない" not in section
    assert ("制度の名前を言わない" in section) == sensitive
