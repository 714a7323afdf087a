"""What a town tells everybody who lives there: written by one person, approved by another, sent once."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import OnlyMunicipality, load_tables, refuse

if TYPE_CHECKING:
    from app.notices.tables import Bulletin

bulletin = typer.Typer(
    help="Information for everybody in an area, disasters included: two people, sent once.", no_args_is_help=True
)

BulletinId = Annotated[uuid.UUID, typer.Argument(help="The bulletin's id, as list prints it.")]
By = Annotated[str, typer.Option(help="Who does it, such as staff:防災課.")]


@bulletin.command("write")
def write(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML; see docs/operations.md.")], by: By
) -> None:
    """Read a bulletin from a file; what is wrong with its words is refused, all of it at once."""
    import yaml

    from app.notices import bulletins
    from app.platform.errors import TodokeError

    load_tables()
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            refuse(f"{file}: found {type(document).__name__}; expected a mapping with area, title, body …")
        written = bulletins.write(document, by)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        refuse(f"{file}: {error}")
    except TodokeError as error:
        refuse(*(f"{file}: {line}" for line in error.message.splitlines()))
    print(f"written: {written.id}; a second person: todoke bulletin approve {written.id} --by …")


@bulletin.command("approve")
def approve(bulletin_id: BulletinId, by: By) -> None:
    """Approve what somebody else wrote."""
    from app.notices import bulletins
    from app.platform.errors import TodokeError

    load_tables()
    try:
        bulletins.approve(bulletin_id, by)
    except TodokeError as error:
        refuse(error.message)
    print(f"approved: {bulletin_id}; to send: todoke bulletin send {bulletin_id} --by …")


@bulletin.command("send")
def send(bulletin_id: BulletinId, by: By) -> None:
    """Send an approved bulletin, once; the workers tell everybody in its area."""
    from app.notices import bulletins
    from app.platform import bell
    from app.platform.errors import TodokeError

    load_tables()
    try:
        sent = bulletins.send(bulletin_id, by)
    except TodokeError as error:
        refuse(error.message)
    bell.flush()
    print(f"sending: {bulletin_id}, {'at once' if sent.urgent else 'between 8:00 and 21:00'} from {sent.valid_from}")


@bulletin.command("cancel")
def cancel(bulletin_id: BulletinId, by: By, reason: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Withdraw a bulletin: what is queued is called back, and inboxes show it as withdrawn. Nobody is told of it."""
    from app.notices import bulletins
    from app.platform import bell
    from app.platform.errors import TodokeError

    load_tables()
    try:
        bulletins.cancel(bulletin_id, by, reason)
    except TodokeError as error:
        refuse(error.message)
    bell.flush()
    print(f"withdrawn: {bulletin_id}; to tell families that it was wrong, write one that corrects it")


@bulletin.command("list")
def list_bulletins(municipality: OnlyMunicipality = None) -> None:
    """Print bulletins, the newest first: id, state, area, days and title."""
    from app.notices import bulletins

    load_tables()
    rows = bulletins.listed(area=municipality)
    for row in rows:
        print(_line(row))
    if not rows:
        print("there is no bulletin")


def _line(row: "Bulletin") -> str:
    urgent = " urgent" if row.urgent else ""
    days = f"{row.valid_from} to {row.valid_until}"
    return f"{row.id}\t{row.state}{urgent}\t{row.municipality_code}\t{days}\t{row.title}"
