"""Formats in and out: what other registries, offices and catalogues write and read, turned into our documents and back.

    organisation_number  法人番号 of a local government
    vocabulary           the official tag codes and laws (registry_data/vocabulary/official.yaml)
    findings             what was repaired, doubted or refused in one row; the six-column error file
    texts                dates, widths, links, telephone numbers, 個人番号 as they stand in real files
    drafts               a draft programme out of what one row says
    json_stream          records of a large JSON file, one at a time
    tables               CSV and Excel: bounded reading, guarded writing
    tokyo_reading        子育て支援制度レジストリ (JSON), in      tokyo_json   the same, out
    support_csv          支援制度(給付金)情報 (CSV), in and out
    staff_table          the flat table clerks edit, in and out
    wording              amounts, deadlines and conditions as texts
    linked               what CPSV-AP and schema.org say of a programme, before either writes it
    cpsv_ap, schema_org  JSON-LD, out

Belongs here: pure functions between a foreign shape and a programme document; no session, no clock.
Not here: writing drafts (`app.registry.importing`), files and streams of the command line (`app.cli`).
To add a format, write one module with `read(record, row, known) -> RowReading` and/or a pure writer, and name it in
`app.registry.importing.READERS` or `app.registry.exporting.WRITERS`.
"""
