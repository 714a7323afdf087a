"""The official vocabulary fits the rest of the registry."""

from typing import get_args

import pytest

from app.platform.errors import Misconfigured
from app.registry.formats.drafts import words
from app.registry.formats.findings import Findings
from app.registry.formats.vocabulary import TAG_LISTS, official_vocabulary
from app.rules.rule import ProgrammeKind, Subject


def test_every_kind_and_subject_has_codes_and_a_name(known):
    vocabulary = known.vocabulary
    for kind in get_args(ProgrammeKind):
        assert kind in words()["kinds"]
        for subject in get_args(Subject):
            assert subject in words()["units"]
            tags = vocabulary.tags_for(kind, subject, [])
            for name in TAG_LISTS:
                assert tags[name] and set(tags[name]) <= set(vocabulary.names(name))
    assert set(vocabulary.kind_of_contents.values()) <= set(get_args(ProgrammeKind))


def test_facts_that_choose_a_code_exist(known, registry):
    assert [fact for fact in known.vocabulary.target_of_fact if fact not in registry.facts] == []


def test_the_lists_are_complete(known):
    counts = {name: len(known.vocabulary.names(name)) for name in TAG_LISTS}
    assert counts == {"category": 33, "target": 18, "contents": 8}


@pytest.mark.parametrize("raw", [None, "", [], {}, {"categoryCode": None}, {"categoryCode": [None, 3, {}]}, 7])
def test_any_tag_can_be_read(raw, known):
    assert set(known.vocabulary.read_tags(raw, Findings())) == set(TAG_LISTS)


def test_a_registry_without_it_is_told_so(tmp_path):
    with pytest.raises(Misconfigured, match=r"official\.yaml"):
        official_vocabulary(tmp_path)


def test_findings_have_words_for_every_code():
    """Every code that readers note stands in the catalogue, and no sentence is left that nobody says."""
    import re
    from pathlib import Path

    import app.registry

    folder = Path(app.registry.__file__).parent
    readers = [*folder.glob("formats/*.py"), folder / "importing.py", folder / "imported_examples.py"]
    source = "\n".join(path.read_text() for path in readers)
    said = set(re.findall(r'\.(?:error|doubt|repair)\(\s*"([a-z_]+)"', source))
    said |= set(re.findall(r'Finding\("\w+", "([a-z_]+)"', source))
    said |= set(re.findall(r'yield (?:path, )?"([a-z_]+)"', source))
    assert said <= set(words()["findings"])
    assert {code for code in words()["findings"] if f'"{code}"' not in source} == set()
