"""Foreign registries and office tables: import a file as drafts, export programmes in the formats others read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from app.cli.options import (
    OnlyMunicipality,
    Programmes,
    RegistryFolder,
    complain,
    default_folder,
    known_programmes,
    open_registry,
    read_day,
    refuse,
)

if TYPE_CHECKING:
    from app.registry.formats.drafts import Known
    from app.registry.formats.findings import RowReading
    from app.registry.importing import ImportReport, Watch
    from app.registry.loading import Registry
    from app.registry.programme import Programme

CsvEncoding = Annotated[
    Literal["utf-8", "utf-8-sig", "cp932"] | None,
    typer.Option("--encoding", help="Of CSV: utf-8, utf-8-sig (with its mark) or cp932.", show_default="found out"),
]


def import_programmes(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")],
    file_format: Annotated[
        Literal["tokyo-json", "support-csv", "staff-csv", "staff-xlsx"],
        typer.Option("--format", help="How it is written."),
    ],
    municipality: OnlyMunicipality = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report; write nothing.")] = False,
    errors: Annotated[Path | None, typer.Option(help="Every finding, six columns: .csv or .xlsx.")] = None,
    encoding: CsvEncoding = None,
    folder: RegistryFolder = None,
) -> None:
    """Read a file row by row and keep what it says as drafts, in one transaction; again, it changes nothing.

    Rows that cannot be used are reported, the others imported; then the exit status is 2. Without a database a dry run
    only reads.
    """
    from app.platform import clock
    from app.platform.database import owner_session
    from app.platform.errors import TodokeError
    from app.platform.settings import settings
    from app.registry.importing import import_file

    known = _known(folder, municipality)
    stored = bool(settings().database.owner_url)
    if not stored and not dry_run:
        refuse("TODOKE_DATABASE__OWNER_URL is not set; expected the address as todoke_owner, or --dry-run")
    try:
        with _error_file(errors, encoding) as note, _progress(file.name) as moved:
            watch = _watch(note, moved)
            if not stored:
                report = import_file(None, file, file_format, known, clock.now(), encoding=encoding, watch=watch)
            else:
                with owner_session() as session:
                    report = import_file(session, file, file_format, known, clock.now(), encoding=encoding, watch=watch)
                    session.rollback() if dry_run else session.commit()
    except TodokeError as problem:
        refuse(f"{problem} (nothing was written)")
    _print_report(report, dry_run=dry_run, stored=stored)
    if report.refused:
        raise typer.Exit(2)


def export_programmes(
    file_format: Annotated[
        Literal["tokyo-json", "support-csv", "staff-csv", "staff-xlsx", "cpsv-ap", "schema-org"],
        typer.Option("--format", help="How to write them."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file.", show_default="standard output")
    ] = None,
    programme: Programmes = None,
    municipality: OnlyMunicipality = None,
    source: Annotated[
        Literal["files", "published", "drafts"], typer.Option("--from", help="registry_data, or the database.")
    ] = "files",
    on: Annotated[str | None, typer.Option("--on", metavar="YYYY-MM-DD", help="The versions of this day.")] = None,
    encoding: CsvEncoding = None,
    folder: RegistryFolder = None,
) -> None:
    """Write programmes in a format others read; characters that do not fit are 〓 in the file and named here."""
    from app.platform.settings import settings
    from app.registry.exporting import export

    base_url = f"{settings().public_url}/open/v1"
    registry, programmes = _programmes_of(source, folder, on)
    if municipality is not None:
        programmes = [one for one in programmes if one.municipality == municipality]
    if programme:
        wanted = known_programmes(registry, programme) if source != "drafts" else tuple(programme)
        programmes = [one for one in programmes if one.key in (wanted or ())]
    if not programmes:
        refuse("found no programme to write; expected one that --from, --programme, --municipality and --on leave over")
    with _output(output) as stream:
        lost = export(stream, file_format, programmes, registry, encoding=encoding or "utf-8-sig", base_url=base_url)
    complain(f"row {one.row}, {one.column}: {one.characters} is not in {encoding}; written as 〓" for one in lost)


def _known(folder: Path | None, municipality: str | None) -> Known:
    from app.platform.clock import today
    from app.registry.formats.drafts import Known
    from app.registry.formats.vocabulary import official_vocabulary
    from app.registry.loading import RegistryError, load_vocabulary

    directory = folder or default_folder()
    try:
        municipalities, _ = load_vocabulary(directory)
    except RegistryError as error:
        refuse(*error.complaints)
    if municipality is not None and municipality not in municipalities:
        refuse(f"--municipality: found {municipality}; expected one of vocabulary/municipalities.yaml")
    return Known(municipalities, official_vocabulary(directory), today(), municipality)


def _programmes_of(source: str, folder: Path | None, on: str | None) -> tuple[Registry, list[Programme]]:
    day = read_day(on, "--on")
    if source == "files":
        registry = open_registry(folder)
        versions = [registry.version_on(key, day) for key in sorted(registry.programmes)]
        return registry, [version for version in versions if version is not None]
    from app.platform.database import owner_session
    from app.registry.importing import open_drafts
    from app.registry.versions import published

    with owner_session() as session:
        registry = published(session).registry
        if source == "drafts":
            return registry, open_drafts(session)
    versions = [registry.version_on(key, day) for key in sorted(registry.programmes)]
    return registry, [version for version in versions if version is not None]


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _replacing(path) as stream:
        yield stream


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write beside a file and put it in place at the end, so that it is never seen half-written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as stream:
            yield stream
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _error_file(path: Path | None, encoding: Any) -> Iterator[list[RowReading] | None]:
    """Collect the rows that have findings and write them when all went well; None where nobody asked for a file."""
    if path is None:
        yield None
        return
    from app.registry.formats.findings import ERROR_COLUMNS
    from app.registry.formats.tables import write_csv, write_xlsx

    if path.suffix.lower() not in (".csv", ".xlsx"):
        refuse(f"--errors: found {path.name}; expected a name that ends with .csv or .xlsx")
    noted: list[RowReading] = []
    yield noted
    rows = (dict(zip(ERROR_COLUMNS, cells, strict=True)) for reading in noted for cells in reading.error_rows())
    with _replacing(path) as stream:
        if path.suffix.lower() == ".xlsx":
            write_xlsx(stream, ERROR_COLUMNS, rows, "errors")
        else:
            write_csv(stream, ERROR_COLUMNS, rows, encoding or "utf-8-sig")


@contextmanager
def _progress(name: str) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]} rows"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task(name, total=1.0, rows=0)
        rows = 0

        def moved(share: float) -> None:
            nonlocal rows
            rows += 1
            if rows % 20 == 0 or share >= 1:
                bar.update(task, completed=share, rows=rows)

        yield moved
        bar.update(task, completed=1.0, rows=rows)


def _watch(noted: list[RowReading] | None, moved: Any) -> Watch:
    from dataclasses import replace

    def watch(reading: RowReading, share: float) -> None:
        moved(share)
        if noted is not None and reading.findings:
            noted.append(replace(reading, document=None))
        elif reading.refused:
            complain(" | ".join(cells) for cells in reading.error_rows())

    return watch


def _print_report(report: ImportReport, *, dry_run: bool, stored: bool) -> None:
    for (level, code), count in sorted(report.found.items()):
        print(f"{level} {code}: {count} rows")
    others = f", {report.left_out} of other municipalities left out" if report.left_out else ""
    print(f"{report.rows} rows read, {report.refused} refused{others}")
    if not stored:
        print("no database: nothing was compared or written")
        return
    counts = f"{report.created} new drafts, {report.changed} changed, {report.unchanged} unchanged"
    outcome = "dry run: nothing was written" if dry_run else "written"
    print(f"{counts}; {'the same as before' if report.nothing_new else outcome}")
