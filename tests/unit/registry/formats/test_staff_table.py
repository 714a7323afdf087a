"""The table clerks edit: it changes nothing by itself, and what is edited goes where it belongs."""

import dataclasses
import io
import json

import pytest

from app.platform.errors import InvalidInput
from app.registry.formats import staff_table
from app.registry.formats.tables import read_csv, read_xlsx, write_csv, write_xlsx


@pytest.fixture(scope="module")
def documents(latest, registry):
    return {one.key: json.loads(json.dumps(registry.documents[one.key, one.version], default=str)) for one in latest}


@pytest.fixture(scope="module")
def holding(known, documents):
    return dataclasses.replace(known, current=documents.get)


@pytest.fixture(scope="module")
def exported(latest, registry):
    return staff_table.rows(latest, registry)


def a_new_row(**cells):
    return {
        "制度名": "架空の入学祝い",
        "市区町村": "世田谷区",
        "要約": "架空の制度です",
        "種類": "現物の給付",
        "URL": "https://example.invalid/gift",
        "確認日": "令和8年11月1日",
        "年齢上限": "７歳",
        "対象者": "区内に住む新1年生",
        "開始日": "R8.4.1",
        "締切": "２０２７／３／３１",
        "担当課": "架空学務課",
        "TEL": "０３（００００）０００１".replace("（", "-").replace("）", "-"),
        **cells,
    }


def problems(reading):
    return {(finding.level, finding.code, finding.field) for finding in reading.findings}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "cp932"])
def test_an_exported_csv_that_nobody_edits_changes_nothing(encoding, exported, documents, holding, tmp_path):
    path = tmp_path / "t.csv"
    with path.open("wb") as stream:
        write_csv(stream, staff_table.header(), exported, encoding)
    read = [staff_table.read(row.cells, row.row, holding) for row in read_csv(path)]
    assert [(one.document, one.findings) for one in read] == [(document, ()) for document in documents.values()]


def test_an_exported_workbook_that_nobody_edits_changes_nothing(exported, documents, holding, tmp_path):
    path = tmp_path / "t.xlsx"
    with path.open("wb") as stream:
        write_xlsx(stream, staff_table.header(), exported, "制度")
    read = [staff_table.read(row.cells, row.row, holding).document for row in read_xlsx(path)]
    assert read == list(documents.values())


def test_one_edited_cell_changes_one_field(exported, documents, holding):
    key = "131121/birth-cost-grant"
    row = next(row for row in exported if row["制度キー"] == key)
    before = documents[key]
    edited = staff_table.read({**row, "概要": "＝職員の文"}, 2, holding).document
    assert edited["summary"] == {**before["summary"], "ja": "＝職員の文"}
    assert {name for name in before if before[name] != edited[name]} == {"summary"}
    edited = staff_table.read(
        {**row, "電話番号": "０３―００００―０００２", "次に確かめる日": "令和9年4月1日"}, 2, holding
    ).document
    assert edited["application"]["contact"]["phone"] == "03-0000-0002"
    assert {name for name in before if before[name] != edited[name]} <= {"application", "next_check_on"}
    assert edited["criteria"] == before["criteria"]


def test_what_a_flat_table_cannot_say_stays(exported, documents, holding):
    key = "000000/child-allowance"
    row = next(row for row in exported if row["制度キー"] == key)
    reading = staff_table.read(
        {**row, "対象年齢(未満)": "3歳", "受付終了日": "2027-01-01", "対象者・条件": "だれでも"}, 2, holding
    )
    assert reading.document == documents[key]
    assert {code for _, code, _ in problems(reading)} == {
        "age_not_editable",
        "application_not_editable",
        "conditions_not_editable",
    }


def test_a_new_row_becomes_a_draft(known):
    reading = staff_table.read(a_new_row(), 2, known)
    assert reading.findings == ()
    document = reading.document
    assert document["municipality"] == "131121"
    assert document["id"].startswith("table-")
    assert document["certainty"] == "draft" and document["draft_reason"]
    assert document["valid"] == {"from": "2026-04-01"}
    assert document["subject"] == "child"
    assert document["criteria"] == {
        "all": [{"within": "child.birth_date", "until": "7y"}, {"judgement": {"ja": "区内に住む新1年生"}}]
    }
    assert document["application"]["deadlines"] == [{"occasion": "published", "on": "2027-03-31"}]
    assert document["application"]["contact"] == {"desk": {"ja": "架空学務課"}, "phone": "03-0000-0001"}
    assert document["sources"][0]["checked_on"] == "2026-11-01"
    again = staff_table.read(a_new_row(), 9, known)
    assert again.document == document, "the same row makes the same programme"


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"制度名": ""}, "needed"),
        ({"URL": ""}, "needed"),
        ({"種類": ""}, "needed"),
        ({"市区町村": "架空市"}, "municipality_unknown"),
        ({"団体コード": "131120", "市区町村": ""}, "municipality_unknown"),
        ({"開始日": "来年"}, "date_unreadable"),
        ({"種類": "ごほうび"}, "unknown_choice"),
        ({"年齢上限": "小学生"}, "age_unreadable"),
        ({"TEL": "なし"}, "phone_unreadable"),
        ({"担当課": "=1+1"}, "formula_found"),
        ({"対象者": "#REF!"}, "formula_found"),
        ({"対象者": "番号 123456789018"}, "my_number"),
        ({"URL": "javascript:alert(1)"}, "value_wrong"),
        ({"キー": "出産費助成"}, "key_wrong"),
    ],
)
def test_wrong_cells_refuse_the_row_and_name_the_column(cells, problem, known):
    reading = staff_table.read(a_new_row(**cells), 4, known)
    assert reading.refused
    found = [(code, field) for level, code, field in problems(reading) if level == "error"]
    assert problem in {code for code, _ in found}
    assert all(field for _, field in found)


def test_rows_of_another_municipality_are_refused(known):
    ours = dataclasses.replace(known, municipality="131130")
    assert ("error", "municipality_not_this", "団体コード") in problems(staff_table.read(a_new_row(), 2, ours))
    nameless = {name: cell for name, cell in a_new_row().items() if name != "市区町村"}
    assert staff_table.read(nameless, 2, ours).document["municipality"] == "131130"


def test_headers_are_known_by_alias_and_width():
    assert staff_table.columns_of(["ｷｰ", "ＵＲＬ", "制度名（英語）", "知らない列"]) == {
        "ｷｰ": "key",
        "ＵＲＬ": "page",
        "制度名（英語）": "name_en",
    }
    with pytest.raises(InvalidInput, match="mean the same"):
        staff_table.columns_of(["制度名", "名称"])
    with pytest.raises(InvalidInput, match="expected 制度キー"):
        staff_table.columns_of(["氏名", "住所"])


def test_markup_stays_text(known):
    document = staff_table.read(a_new_row(**{"要約": "<script>alert(1)</script>"}), 2, known).document
    assert document["summary"] == {"ja": "<script>alert(1)</script>"}


def test_an_error_file_has_the_six_columns(known):
    from app.registry.formats.findings import ERROR_COLUMNS, error_table

    readings = [staff_table.read(a_new_row(**{"開始日": "来年"}), 7, known)]
    header, row = error_table(readings)
    assert header == ERROR_COLUMNS == ("行番号", "psid", "自治体名", "通称", "エラー項目名", "エラー内容")
    assert row[0] == "7" and row[2] == "世田谷区" and row[3] == "架空の入学祝い" and row[4] == "開始日"
    assert "来年" in row[5]
    buffer = io.BytesIO()
    assert write_csv(buffer, header, [dict(zip(header, row, strict=True))], "cp932") == []


BIRTH_COST = "131121/birth-cost-grant"


@pytest.fixture
def birth_cost(exported):
    return next(row for row in exported if row["制度キー"] == BIRTH_COST)


def said(reading):
    return [(finding.field, finding.sentence()) for finding in reading.findings]


@pytest.mark.parametrize(
    "column", ["制度名", "概要", "種類", "誰の権利か", "有効開始日", "公式ページURL", "公式ページ名", "確認日"]
)
def test_what_every_programme_says_cannot_be_cleared(column, birth_cost, holding):
    reading = staff_table.read({**birth_cost, column: ""}, 2, holding)
    assert reading.refused
    assert said(reading) == [(column, "【取り込めません】空にできません")]


@pytest.mark.parametrize(("cells", "column"), [({"種類": ""}, "種類"), ({"URL": ""}, "URL"), ({"要約": ""}, "要約")])
def test_a_new_programme_says_what_it_lacks_and_nothing_else(cells, column, known):
    assert said(staff_table.read(a_new_row(**cells), 2, known)) == [
        (column, f"【取り込めません】「{column}」が必要です")
    ]
    without = {name: cell for name, cell in a_new_row().items() if name != column}
    assert len(said(staff_table.read(without, 2, known))) == 1


def test_a_new_row_in_an_exported_table_leaves_empty_what_it_does_not_know(known):
    row = dict.fromkeys(staff_table.header(), "")
    row |= {
        "自治体名": "世田谷区",
        "制度名": "架空",
        "概要": "架空",
        "種類": "お知らせ",
        "公式ページURL": "https://a.example",
    }
    reading = staff_table.read(row, 2, known)
    assert reading.findings == ()
    assert reading.document["valid"] == {"from": "2026-11-22"}
    assert reading.document["subject"] == "household"


@pytest.mark.parametrize(
    ("column", "cell", "sentence"),
    [
        (
            "公式ページURL",
            "http://town.example",
            "「http://town.example」は使えません。https:// で始まる住所にしてください",
        ),
        ("電子申請URL", "town.example", "「town.example」は使えません。https:// で始まる住所にしてください"),
        ("問い合わせ先URL", "なし", "「なし」は使えません。https:// で始まる住所にしてください"),
        ("PSID", "UM15", "「UM15」は使えません。psid3.0+法人番号13桁+番号+UM番号にしてください"),
        (
            "有効終了日",
            "2001-04-01",
            "有効終了日を有効開始日と同じ日か後の日にしてください",
        ),
        (
            "電話番号",
            "3-0000-0001",
            "電話番号として読めません(3-0000-0001)。先頭の0が消えていませんか(セルの書式を文字列にしてください)",
        ),
        (
            "電話番号",
            "300000001",
            "電話番号として読めません(300000001)。先頭の0が消えていませんか(セルの書式を文字列にしてください)",
        ),
        ("電話番号", "内線12", "電話番号として読めません(内線12)。03-1234-5678 のように書いてください"),
        ("有効終了日", "46000", "日付として読めません(46000)。日付の表示形式にしてください"),
        ("次に確かめる日", "来年", "日付として読めません(来年)。2026-04-01 のように書いてください"),
    ],
)
def test_a_clerk_reads_the_column_and_what_belongs_there_in_japanese(column, cell, sentence, birth_cost, holding):
    assert said(staff_table.read({**birth_cost, column: cell}, 2, holding)) == [
        (column, f"【取り込めません】{sentence}")
    ]


def test_every_place_of_a_table_has_a_column_and_every_expectation_a_place():
    from app.registry.formats.drafts import general_place, words
    from app.registry.formats.staff_fields import FIELDS, PLACES, column_at

    assert set(PLACES.values()) <= set(FIELDS) | set(staff_table.IDENTITY)
    assert column_at(general_place("sources[0].url")) == "page"
    assert column_at(general_place("criteria.all[1].judgement.ja")) == "conditions"
    assert column_at(general_place("application.deadlines[0].on")) == "closes"
    assert column_at("amount.yen") == "key"
    assert not [text for text in words()["expectations"].values() if "String" in text or "\\" in text]
