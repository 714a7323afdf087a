"""Files become drafts: one transaction, twice the same, nothing on a dry run, edits kept."""

import copy
import dataclasses
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from sqlmodel import select
from typer.testing import CliRunner

import app.households.tables  # noqa: F401 - the change queue names a table of theirs
from app.cli import main
from app.platform import clock
from app.platform.database import owner_session
from app.platform.errors import InvalidInput
from app.platform.settings import PROJECT_DIRECTORY, settings
from app.registry.drafts import put_drafts
from app.registry.exporting import export
from app.registry.formats import staff_table
from app.registry.formats.drafts import Known
from app.registry.formats.tables import read_csv, write_csv, write_xlsx
from app.registry.formats.vocabulary import official_vocabulary
from app.registry.imported_examples import changed_examples
from app.registry.importing import BATCH, import_file, open_drafts
from app.registry.loading import load_registry
from app.registry.tables import ProgrammeDraft
from app.registry.versions import publish, published
from tests.fixtures.official_records import dirty_records, record, spoiled, write_records


@pytest.fixture
def known(published_registry) -> Known:
    return Known(
        published_registry.municipalities, official_vocabulary(settings().registry_directory), dt.date(2026, 11, 24)
    )


def imported(path, known, file_format="tokyo-json", commit=True):
    with owner_session() as session:
        report = import_file(session, path, file_format, known, clock.now())
        session.commit() if commit else session.rollback()
    return report


def drafts():
    with owner_session() as session:
        return {row.programme_key: (row.revision, row.document) for row in session.exec(select(ProgrammeDraft))}


def run(*arguments):
    return CliRunner().invoke(main, ["registry", *map(str, arguments)])


def test_a_dirty_file_is_imported_and_the_second_time_nothing_changes(known, tmp_path):
    count = 2 * BATCH + 40
    path = write_records(tmp_path / "r.json", dirty_records(count))
    first = imported(path, known)
    assert first.rows == count
    assert first.refused == count // 100
    assert (first.created, first.changed, first.unchanged) == (count - first.refused, 0, 0)
    before = drafts()
    second = imported(path, known)
    assert (second.created, second.changed, second.unchanged) == (0, 0, first.created)
    assert second.nothing_new
    assert drafts() == before


def test_what_was_imported_is_exported_to_the_letter(known, tmp_path):
    records = list(dirty_records(60))
    imported(write_records(tmp_path / "r.json", records), known)
    with owner_session() as session:
        found = open_drafts(session)
        with (tmp_path / "out.json").open("wb") as stream:
            assert export(stream, "tokyo-json", found, published(session).registry) == []
    written = {one["basicInformation"]["psid"]: one for one in json.loads((tmp_path / "out.json").read_text())}
    assert written == {one["basicInformation"]["psid"]: one for one in records}


def test_a_dry_run_counts_and_writes_nothing(known, tmp_path):
    path = write_records(tmp_path / "r.json", [record(number) for number in (1, 2, 3)])
    assert imported(path, known, commit=False).created == 3
    assert drafts() == {}
    result = run("import", path, "--format", "tokyo-json", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "3 new drafts" in result.stdout and "nothing was written" in result.stdout
    assert drafts() == {}


def test_a_file_that_breaks_off_leaves_nothing_behind(known, tmp_path):
    path = write_records(tmp_path / "r.json", [record(number) for number in range(1, BATCH + 5)])
    path.write_text(path.read_text()[:-60])
    result = run("import", path, "--format", "tokyo-json")
    assert result.exit_code == 2
    assert "ends inside a record" in result.stderr and "nothing was written" in result.stderr
    assert drafts() == {}


def test_rows_that_cannot_be_used_are_reported_and_the_others_imported(known, tmp_path):
    twice = copy.deepcopy(record(1))
    path = write_records(tmp_path / "r.json", [record(1), spoiled("個人番号", 2), twice, record(5)])
    errors = tmp_path / "errors.csv"
    result = run("import", path, "--format", "tokyo-json", "--errors", errors, "--encoding", "cp932")
    assert result.exit_code == 2
    assert "4 rows read, 2 refused" in result.stdout
    lines = errors.read_bytes().decode("cp932").splitlines()
    assert lines[0] == "行番号,psid,自治体名,通称,エラー項目名,エラー内容"
    assert [line.split(",")[0] for line in lines[1:]] == ["2", "3"]
    assert "個人番号" in lines[1] and "1行目" in lines[2]
    assert len(drafts()) == 2
    workbook = tmp_path / "errors.xlsx"
    assert run("import", path, "--format", "tokyo-json", "--errors", workbook).exit_code == 2
    assert workbook.read_bytes()[:2] == b"PK"
    assert not list(tmp_path.glob(".errors*")), "nothing half-written beside them"


def test_edits_made_here_survive_a_changed_record(known, tmp_path):
    path = write_records(tmp_path / "r.json", [record(1)])
    imported(path, known)
    ((key, (_, document)),) = drafts().items()
    edited = {**document, "summary": {"ja": "職員が書き直した概要"}}
    with owner_session() as session:
        put_drafts(session, [edited], None, clock.now())
        session.commit()
    assert imported(path, known).nothing_new, "the same record leaves the edit alone"
    assert drafts()[key][1] == edited

    newer = record(1)
    newer["contact"]["contactPhone"] = "03-0000-7777"
    newer["updateDate"] = "2026-08-01"
    report = imported(write_records(tmp_path / "r2.json", [newer]), known)
    assert (report.changed, report.found["doubt", "edited_here"]) == (1, 1)
    now = drafts()[key][1]
    assert now["summary"] == {"ja": "職員が書き直した概要"}
    assert now["application"]["contact"]["phone"] == "03-0000-7777"
    assert now["official_record"]["record"] == newer
    assert now["valid"] == document["valid"], "still the same draft"
    with owner_session() as session, (tmp_path / "out.json").open("wb") as stream:
        export(stream, "tokyo-json", open_drafts(session), published(session).registry)
    (written,) = json.loads((tmp_path / "out.json").read_text())
    assert written == {**newer, "summary": "職員が書き直した概要"}


def test_a_programme_we_wrote_ourselves_takes_the_record_of_its_psid(known, tmp_path):
    folder = tmp_path / "registry"
    shutil.copytree(settings().registry_directory, folder)
    file = folder / "programmes" / "131121-setagaya" / "birth-cost-grant.yaml"
    psid = record(1)["basicInformation"]["psid"]
    file.write_text(file.read_text().replace("kind: cash\n", f'kind: cash\npsid: "{psid}"\n', 1))
    ours = load_registry(folder)
    with owner_session() as session:
        publish(session, ours, clock.now())
        session.commit()
    path = write_records(tmp_path / "r.json", [record(1)])
    assert imported(path, known).created == 1
    ((key, (_, document)),) = drafts().items()
    assert key == "131121/birth-cost-grant"
    assert document["official_record"]["record"] == record(1)
    rule = json.loads(json.dumps(ours.documents[key, ours.programmes[key][-1].version], default=str))
    assert {name: document[name] for name in rule} == rule, "the rule that runs stays ours"
    assert imported(path, known).nothing_new


def test_only_one_municipality(known, tmp_path):
    path = write_records(tmp_path / "r.json", dirty_records(20))
    report = imported(path, dataclasses.replace(known, municipality="131016"))
    assert report.created + report.left_out + report.refused == 20
    assert report.created and {key[:6] for key in drafts()} == {"131016"}


@pytest.mark.parametrize("file_format", ["staff-csv", "staff-xlsx"])
def test_the_published_registry_as_a_table_changes_nothing_until_somebody_edits_it(known, tmp_path, file_format):
    with owner_session() as session:
        registry = published(session).registry
    rows = staff_table.rows([versions[-1] for versions in registry.programmes.values()], registry)
    path = tmp_path / "table"

    def write():
        with path.open("wb") as stream:
            if file_format == "staff-csv":
                write_csv(stream, staff_table.header(), rows, "cp932")
            else:
                write_xlsx(stream, staff_table.header(), rows, "制度")

    write()
    report = imported(path, known, file_format)
    assert (report.created, report.changed, report.unchanged, report.refused) == (0, 0, len(rows), 0)
    row = next(row for row in rows if row["制度キー"] == "131121/birth-cost-grant")
    row["次に確かめる日"] = "令和９年１０月１日"
    write()
    report = imported(path, known, file_format)
    assert (report.created, report.changed, report.unchanged) == (1, 0, len(rows) - 1)
    assert drafts()["131121/birth-cost-grant"][1]["next_check_on"] == "2027-10-01"


def imported_table(known, path, rows):
    """The report, and each row's findings as (level, field, sentence)."""
    with path.open("wb") as stream:
        write_csv(stream, staff_table.header(), rows, "utf-8")
    found = []
    with owner_session() as session:
        report = import_file(
            session, path, "staff-csv", known, clock.now(), watch=lambda reading, share: found.append(reading)
        )
        session.commit()
    return report, [[(one.level, one.field, one.sentence()) for one in reading.findings] for reading in found]


@pytest.fixture
def table_rows(known):
    with owner_session() as session:
        registry = published(session).registry
    return staff_table.rows([versions[-1] for versions in registry.programmes.values()], registry)


def test_a_table_edit_that_the_programmes_examples_speak_against_is_a_doubt(known, table_rows, tmp_path):
    row = next(row for row in table_rows if row["制度キー"] == "131121/birth-cost-grant")
    report, (found,) = imported_table(known, tmp_path / "t.csv", [{**row, "有効終了日": "2026-06-30"}])
    assert report.created == 1, "a draft may still be written; it is not submitted yet"
    assert report.found["doubt", "examples_change"] == 1
    assert found[0] == (
        "doubt",
        "例1",
        "【確かめてください】例の答えが変わります: 2026-11-24は有効な期間の外",
    )
    assert {level for level, *_ in found} == {"doubt"}
    report, (found,) = imported_table(known, tmp_path / "t.csv", [{**row, "有効終了日": "2031-03-31"}])
    assert found == [], "an end after all examples changes none of their answers"


def test_an_answer_that_changes_is_said_in_japanese(published_registry):
    key = "000000/child-allowance"
    version = published_registry.programmes[key][-1]
    document = json.loads(json.dumps(published_registry.documents[key, version.version], default=str))
    assert changed_examples(published_registry, document, dt.date(2026, 11, 24)) == ()
    document["amount"] = [{"yen": 5, "per": "month"}]
    first = changed_examples(published_registry, document, dt.date(2026, 11, 24))[0]
    assert (first.level, first.code, first.field) == ("doubt", "examples_change", "例1")
    assert "の額が10000から5に" in first.sentence()
    assert not re.search(r"found|expect|verdict|child:", first.sentence())


def test_a_key_that_stands_twice_in_a_table_is_refused_once(known, table_rows, tmp_path):
    row = next(row for row in table_rows if row["制度キー"] == "131121/birth-cost-grant")
    new = {
        **dict.fromkeys(staff_table.header(), ""),
        "自治体名": "世田谷区",
        "制度名": "架空のお祝い",
        "概要": "架空",
        "種類": "お知らせ",
        "公式ページURL": "https://town.example/gift",
    }
    report, found = imported_table(known, tmp_path / "t.csv", [new, new, row, row])
    assert (report.refused, report.created, report.unchanged) == (2, 1, 1)
    sentence = "が{}行目にもあります。先のものだけを取り込みました"
    assert found == [
        [],
        [("error", "制度名", f"【取り込めません】同じ制度{sentence.format(2)}")],
        [],
        [("error", "制度キー", f"【取り込めません】同じ制度キー{sentence.format(4)}")],
    ]


def test_support_csv_goes_in_and_out(known, tmp_path):
    path = tmp_path / "support_system.csv"
    row = {
        "地方公共団体の名称": "世田谷区",
        "タイトル（制度名）": "架空の家賃助成",
        "対象者": "子育て世帯",
        "URL": "https://example.invalid/rent",
        "公開日": "2026/03/01",
        "別の列": "そのまま",
    }
    with path.open("wb") as stream:
        write_csv(stream, list(row), [row], "cp932")
    assert run("import", path, "--format", "support-csv").exit_code == 0
    assert "the same as before" in run("import", path, "--format", "support-csv").stdout
    out = tmp_path / "out.csv"
    result = run("export", "--format", "support-csv", "--from", "drafts", "--output", out, "--encoding", "utf-8")
    assert result.exit_code == 0, result.stderr
    (back,) = read_csv(out)
    assert {column: cell for column, cell in back.cells.items() if cell} == row


HOSTILE = [
    ("a.json", b"", "tokyo-json", "is empty"),
    ("a.json", b"<html>", "tokyo-json", "not a JSON array"),
    ("a.json", b"[" + b'{"a":' * 90, "tokyo-json", "nested deeper"),
    ("a.csv", b"", "support-csv", "is empty"),
    ("a.csv", "氏名,住所\n架空,架空\n".encode(), "support-csv", "expected タイトル"),
    ("a.csv", "氏名,住所\n架空,架空\n".encode("cp932"), "staff-csv", "expected 制度キー"),
    ("a.csv", "制度名,概要\n".encode(), "staff-csv", "holds no row"),
    ("a.xlsx", b"not a workbook", "staff-xlsx", "not an Excel workbook"),
]


def test_hostile_files_are_refused_with_a_sentence(known, tmp_path):
    for name, content, file_format, said in HOSTILE:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=said):
            imported(path, known, file_format)
    result = run("import", path, "--format", file_format)
    assert result.exit_code == 2
    assert said in result.stderr and "Traceback" not in result.stderr
    assert drafts() == {}


def test_the_command_stands_alone(known, todoke_environment, tmp_path):
    """In a process of its own, with no other room imported: file in, file out, progress on standard error."""
    path = write_records(tmp_path / "r.json", [record(number) for number in (1, 2)])
    command = [sys.executable, "-m", "app.cli", "registry"]
    options = {
        "capture_output": True,
        "text": True,
        "cwd": PROJECT_DIRECTORY,
        "env": {**os.environ, **todoke_environment},
    }
    done = subprocess.run([*command, "import", str(path), "--format", "tokyo-json"], check=False, **options)
    assert done.returncode == 0, done.stderr
    assert "2 new drafts" in done.stdout
    assert "2 rows" in done.stderr
    done = subprocess.run([*command, "export", "--format", "tokyo-json", "--from", "drafts"], check=True, **options)
    assert json.loads(done.stdout) == [record(1), record(2)]
