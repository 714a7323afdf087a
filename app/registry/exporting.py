"""Programmes written in the formats others read; what an encoding cannot hold is reported, never left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, Literal

import orjson

from app.platform.rendering import phrases
from app.registry.formats import cpsv_ap, schema_org, staff_table, support_csv, tokyo_json
from app.registry.formats.tables import Encoding, Lost, write_csv, write_xlsx
from app.registry.loading import Registry
from app.registry.programme import Programme

ExportFormat = Literal["tokyo-json", "support-csv", "staff-csv", "staff-xlsx", "cpsv-ap", "schema-org"]


def export(
    stream: BinaryIO,
    file_format: ExportFormat,
    programmes: Sequence[Programme],
    registry: Registry,
    *,
    encoding: Encoding = "utf-8-sig",
    base_url: str = "",
) -> list[Lost]:
    """Write programmes, one version each, in a format.

    Args:
        stream: takes the bytes.
        file_format: JSON formats are UTF-8; the encoding is that of CSV.
        programmes: one version of each programme.
        registry: names of municipalities, facts and parameters.
        encoding: of CSV: utf-8-sig (with its mark, for Excel), utf-8, cp932.
        base_url: the open-data address that JSON-LD names programmes by.

    Returns:
        Characters that did not fit, with their row and column; each stands as 〓 in the file.
    """
    if file_format == "tokyo-json":
        _write_array(stream, (tokyo_json.official_record(programme, registry) for programme in programmes))
        return []
    if file_format in ("cpsv-ap", "schema-org"):
        graph = (cpsv_ap if file_format == "cpsv-ap" else schema_org).graph(programmes, registry, base_url)
        stream.write(orjson.dumps(graph, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return []
    if file_format == "support-csv":
        rows = support_csv.rows(programmes, registry)
        return write_csv(stream, support_csv.columns(rows), rows, encoding)
    rows = staff_table.rows(programmes, registry)
    if file_format == "staff-xlsx":
        return write_xlsx(stream, staff_table.header(), rows, phrases("phrases/staff_table")["sheet"])
    return write_csv(stream, staff_table.header(), rows, encoding)


def _write_array(stream: BinaryIO, records: Iterable[Mapping[str, Any]]) -> None:
    stream.write(b"[")
    for position, record in enumerate(records):
        stream.write(b",\n" if position else b"\n")
        stream.write(orjson.dumps(record))
    stream.write(b"\n]\n")
