"""Every way a file can be wrong is refused with its file, its line, what was found and what was expected."""

import shutil
from pathlib import Path

import pytest

from app.registry.loading import RegistryError, load_registry

ALLOWANCE = "programmes/000000-national/child-allowance.yaml"
REGISTRATION = "programmes/000000-national/birth-registration.yaml"
GRANT = "programmes/131121-setagaya/birth-cost-grant.yaml"
KITA = "programmes/131172-kita/child-allowance.yaml"
LIMITS = "parameters/child-rearing-allowance-limits.yaml"
COEFFICIENTS = "parameters/child-rearing-allowance-coefficients.yaml"
FACTS = "vocabulary/facts.yaml"
TOWNS = "vocabulary/municipalities.yaml"

BROKEN = {
    "unknown fact": (
        REGISTRATION,
        "within: child.birth_date\n",
        "within: child.birthdate\n",
        ["criteria.within", "'child.birthdate'", "did you mean child.birth_date"],
    ),
    "child's fact at household level": (
        ALLOWANCE,
        "when: {fact: guardian.civil_servant, is: true}",
        "when: {some: guardian, where: {fact: child.in_institution, is: true}}",
        ["take_up[0].when", "child.in_institution"],
    ),
    "unknown parameter": (
        GRANT,
        "parameter: setagaya-birth-cost-grant}",
        "parameter: setagaya-birth-grant}",
        ["amount[0].yen.parameter", "'setagaya-birth-grant'", "did you mean setagaya-birth-cost-grant"],
    ),
    "a limit table without its row": (
        "programmes/130001-tokyo/child-development-allowance.yaml",
        "{parameter: child-development-allowance-limit, by: guardian.dependants}",
        "{parameter: child-development-allowance-limit}",
        ["criteria.all[2].under", "by exactly where the parameter is a table"],
    ),
    "unknown key": (GRANT, "kind: cash", "kind: cash\ncolour: red", ["colour", "only the documented keys"]),
    "unknown kind": (GRANT, "kind: cash", "kind: money", ["kind", "'money'"]),
    "unknown criterion": (GRANT, "- {resident_on: child.birth_date}", "- {lives_on: child.birth_date}", ["criteria.all[1]", "lives_on"]),
    "text for a truth value": (
        "programmes/130001-tokyo/infant-medical-subsidy.yaml",
        "household.public_assistance, is: false",
        "household.public_assistance, is: no",
        ["criteria.all[1].is", "'no'", "a bool"],
    ),
    "unknown fact that contradicts": (
        ALLOWANCE,
        "contradicted_by: {fact: child.in_institution, is: true}",
        "contradicted_by: {fact: child.in_instituton, is: true}",
        ["unmodelled[1].contradicted_by.fact", "did you mean child.in_institution"],
    ),
    "reversed window": (REGISTRATION, "from: 0d\n", "from: 4m\n", ["criteria", "4m … 3m"]),
    "reversed validity": (GRANT, "valid: {from: 2024-04-01}", "valid: {from: 2024-04-01, until: 2024-03-31}", ["valid", "2024-03-31"]),
    "a wrong date": (GRANT, "valid: {from: 2024-04-01}", "valid: {from: 2024-04-31}", ["valid.from", "'2024-04-31'", "a date such as"]),
    "a wrong span": (REGISTRATION, "until: 3m", "until: three months", ["criteria.until", "'three months'", "such as 2m"]),
    "missing source": (
        REGISTRATION,
        'sources:\n  - {url: "https://www.moj.go.jp/ONLINE/FAMILYREGISTER/5-1.html", title: 法務省「出生届」, checked_on: 2026-07-17}\n',
        "",
        ["sources", "required"],
    ),
    "source without a day of checking": (GRANT, ", checked_on: 2026-11-21}", "}", ["sources[0].checked_on", "required"]),
    "source over http": (GRANT, '- {url: "https://www.city', '- {url: "http://www.city', ["sources[0].url", "^https"]),
    "parameter without source": (
        "parameters/setagaya.yaml",
        'source: {url: "https://www.city.setagaya.lg.jp/mokuji/kodomo/001/002/d00203064.html", title: 世田谷区「世田谷区出産費助成制度」, checked_on: 2026-11-21}',
        "note: なし",
        ["periods[0]", "no full source"],
    ),
    "duplicate key": (GRANT, "kind: cash", "kind: cash\nkind: service", ["kind", "written twice", "first on line"]),
    "wrong code for the folder": (GRANT, 'municipality: "131121"', 'municipality: "131130"', ["municipality", "'131130'", "'131121'"]),
    "wrong check digit": (TOWNS, 'code: "131121"', 'code: "131122"', ["municipalities[13].code", "131122", "131121"]),
    "code that is listed twice": (TOWNS, 'code: "131130"', 'code: "131121"', ["131121 is listed twice"]),
    "id that is not the file name": (GRANT, "id: birth-cost-grant", "id: birth-grant", ["id", "'birth-grant'", "'birth-cost-grant'"]),
    "draft without a reason": (GRANT, "certainty: verified", "certainty: draft", ["draft_reason"]),
    "unmodelled without a reason": (
        ALLOWANCE,
        "    reason: ふつうに一緒に暮らす親子は満たしており、聞いても答えが変わることがまれなため\n",
        "",
        ["unmodelled[0].reason", "required"],
    ),
    "no parent to be based on": (KITA, "based_on: 000000/child-allowance", "based_on: 000000/child-allowances", ["based_on", "child-allowances"]),
    "a parent not yet in force": (KITA, "valid: {from: 2024-10-01}", "valid: {from: 2024-09-30}", ["based_on", "in force on 2024-09-30"]),
    "tab for indentation": (GRANT, "  how:", "\thow:", ["not valid YAML"]),
    "alias": (GRANT, "kind: cash", "kind: &kind cash\npsid: *kind", ["alias"]),
    "parameter defined twice": (LIMITS, "id: child-rearing-allowance-partial-limit", "id: child-rearing-allowance-full-limit", ["defined twice"]),
    "inexact number": (COEFFICIENTS, 'value: "0.0264029"', "value: 0.0264029", ["periods[2].value", "0.0264029", "exact decimal"]),
    "periods out of order": (COEFFICIENTS, "valid_from: 2025-04-01", "valid_from: 2024-04-01", ["periods in order"]),
    "fact of an unknown type": (FACTS, "child.birth_date:\n  type: date", "child.birth_date:\n  type: day", ["child.birth_date.type", "'day'"]),
    "deadline before its event": (REGISTRATION, "within: 14d", "within: -14d", ["application.deadlines[0]", "after its event"]),
    "unknown programme": (GRANT, "- {resident_on: child.birth_date}", "- {receives: child-alowance}", ["criteria.all[1].receives", "did you mean"]),
}  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path, registry_data: Path) -> Path:
    """A registry of its own, small so that reading it is quick: only the programmes that a case breaks."""
    target = tmp_path / "registry_data"
    for folder in ("vocabulary", "parameters"):
        shutil.copytree(registry_data / folder, target / folder)
    for file in {file for file, *_ in BROKEN.values() if file.startswith("programmes/")}:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(registry_data / file, target / file)
    return target


def test_the_copy_is_sound_before_it_is_broken(copy: Path) -> None:
    assert load_registry(copy).programmes


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_place(copy: Path, case: str) -> None:
    file, before, after, expected = BROKEN[case]
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert before in text, "the case no longer fits the file it breaks"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")

    with pytest.raises(RegistryError) as refused:
        load_registry(copy)

    complaints = [complaint for complaint in refused.value.complaints if complaint.file == file]
    assert complaints, f"nothing was said about {file}: {refused.value}"
    said = "\n".join(map(str, complaints))
    for part in expected:
        assert part in said
    assert all(complaint.line >= 1 for complaint in complaints)


def test_the_line_is_the_line_of_the_mistake(copy: Path) -> None:
    path = copy / GRANT
    lines = path.read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if "resident_on" in line)
    lines[place] = "    - {resident_on: child.born_on}"
    path.write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(RegistryError) as refused:
        load_registry(copy)

    assert [complaint.line for complaint in refused.value.complaints] == [place + 1]


def test_several_mistakes_in_several_files_come_together(copy: Path) -> None:
    for file, before, after in (
        (GRANT, "kind: cash", "kind: money"),
        (REGISTRATION, "within: child.birth_date\n", "within: child.birthdate\n"),
        (COEFFICIENTS, 'value: "0.0264029"', "value: 0.0264029"),
    ):
        path = copy / file
        path.write_text(path.read_text(encoding="utf-8").replace(before, after, 1), encoding="utf-8")

    with pytest.raises(RegistryError) as refused:
        load_registry(copy)

    assert {GRANT, REGISTRATION, COEFFICIENTS} <= {complaint.file for complaint in refused.value.complaints}


def test_a_file_that_is_not_utf8_is_refused(copy: Path) -> None:
    (copy / GRANT).write_bytes("id: 出産費".encode("cp932"))

    with pytest.raises(RegistryError, match="not UTF-8"):
        load_registry(copy)


def test_a_folder_of_an_unknown_town_is_refused(copy: Path) -> None:
    (copy / "programmes/131121-setagaya").rename(copy / "programmes/131121-setagya")

    with pytest.raises(RegistryError, match="expected 131121-setagaya"):
        load_registry(copy)


def test_something_else_than_a_registry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="is not a registry"):
        load_registry(tmp_path)


def test_versions_must_follow_one_another(copy: Path) -> None:
    path = copy / GRANT
    text = path.read_text(encoding="utf-8")
    later = text.replace("valid: {from: 2024-04-01}", "valid: {from: 2026-04-01}")
    path.write_text(f"{text}---\n{later}", encoding="utf-8")

    with pytest.raises(RegistryError, match="the version from 2024-04-01 has no until"):
        load_registry(copy)


def test_two_versions_that_follow_one_another_are_both_kept(copy: Path) -> None:
    path = copy / GRANT
    text = path.read_text(encoding="utf-8")
    earlier = text.replace("valid: {from: 2024-04-01}", "valid: {from: 2024-04-01, until: 2026-03-31}")
    later = text.replace("valid: {from: 2024-04-01}", "valid: {from: 2026-04-01}")
    path.write_text(f"{earlier}---\n{later}", encoding="utf-8")

    versions = load_registry(copy).programmes["131121/birth-cost-grant"]

    assert [version.version for version in versions] == ["2024-04-01", "2026-04-01"]
