"""支援制度(給付金)情報: columns by name, unknown ones kept, rows come back as they were."""

import csv
import io

import pytest

from app.registry.formats import support_csv
from app.registry.formats.tables import read_csv, write_csv
from app.registry.programme import Programme


def a_row(**cells):
    row = {
        "地方公共団体の名称": "世田谷区",
        "タイトル（制度名）": "架空の家賃助成",
        "サブタイトル（通称名）": "架空助成",
        "支援制度種別": "給付",
        "対象者": "区内に住む\n子育て世帯",
        "制度概要": "架空の制度です",
        "給付金額": "月1万円",
        "受付開始日": "2026/04/01",
        "受付終了日": "令和9年3月31日",
        "利用・申請方法": "窓口",
        "URL": "https://example.invalid/rent",
        "申請方法URL": "https://example.invalid/apply",
        "問い合わせ先": "架空住宅課",
        "連絡先電話番号": "０３−００００−００００",
        "公開日": "2026-03-01",
        "だれも知らない列": "=1+1",
    }
    return {**row, **cells}


def codes(reading):
    return {finding.code for finding in reading.findings}


def test_a_row_becomes_a_draft(known):
    reading = support_csv.read(a_row(), 2, known)
    assert reading.findings == ()
    document = reading.document
    assert document["municipality"] == "131121"
    assert document["criteria"] == {"judgement": {"ja": "区内に住む\n子育て世帯"}}
    assert document["application"]["opens"] == {"on": "2026-04-01"}
    assert document["application"]["deadlines"][0]["on"] == "2027-03-31"
    assert document["application"]["contact"]["phone"] == "03-0000-0000"
    assert document["official_record"]["extras"] == {"だれも知らない列": "=1+1"}
    assert "世田谷区" in document["official_record"]["credit"]


def test_rows_come_back_as_they_were(known, registry):
    document = support_csv.read(a_row(), 2, known).document
    assert support_csv.rows([Programme.model_validate(document)], registry) == [a_row()]


def test_a_changed_programme_is_its_row_with_the_changes(known, registry):
    document = support_csv.read(a_row(), 2, known).document
    document["name"] = {"ja": "架空の家賃補助"}
    document["application"]["deadlines"][0]["on"] = "2027-02-28"
    (row,) = support_csv.rows([Programme.model_validate(document)], registry)
    assert row == a_row(**{"タイトル（制度名）": "架空の家賃補助", "受付終了日": "2027-02-28"})


def test_headers_of_another_width_are_the_same(known):
    narrow = {key.replace("（", "(").replace("）", ")"): value for key, value in a_row().items()}
    wide = support_csv.read(a_row(), 2, known).document
    assert support_csv.read(narrow, 2, known).document["id"] == wide["id"]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"タイトル（制度名）": ""}, "name_missing"),
        ({"地方公共団体の名称": "架空市"}, "municipality_unknown"),
        ({"URL": "", "申請方法URL": ""}, "page_missing"),
        ({"内容": "1234 5678 9018"}, "my_number"),
    ],
)
def test_rows_that_cannot_be_used(cells, code, known):
    reading = support_csv.read(a_row(**cells), 5, known)
    assert reading.refused
    assert code in codes(reading)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_table_goes_round_in_every_encoding(encoding, latest, registry, known, tmp_path):
    rows = [*support_csv.rows(latest[:20], registry), a_row()]
    header = support_csv.columns(rows)
    assert header[: len(support_csv.HEADER)] == support_csv.HEADER and header[-1] == "だれも知らない列"
    buffer = io.BytesIO()
    lost = write_csv(buffer, header, rows, encoding)
    path = tmp_path / "support.csv"
    path.write_bytes(buffer.getvalue())
    back = [row.cells for row in read_csv(path)]
    if encoding == "cp932":
        same = [{key: text.encode("cp932", "replace") for key, text in row.items()} for row in rows]
        assert (
            lost
            or [
                {key: text.encode("cp932") for key, text in row.items() if key in was}
                for row, was in zip(back, rows, strict=True)
            ]
            == same
        )
    else:
        assert lost == []
        assert [
            {key: text for key, text in row.items() if key in was} for row, was in zip(back, rows, strict=True)
        ] == rows
    raw = list(csv.reader(io.StringIO(buffer.getvalue().decode(encoding))))
    assert raw[-1][-1] == "'=1+1", "no spreadsheet takes it for a formula"
