"""What operators hold back at once, and let go again."""

from typing import Annotated

import typer

from app.cli.options import load_tables, refuse
from app.platform.errors import TodokeError
from app.platform.halt_kinds import HaltKind

halt = typer.Typer(
    help="Hold back a programme, a channel, a partner or a municipality; nothing is lost.", no_args_is_help=True
)

Kind = Annotated[HaltKind, typer.Argument(help="What is held back.")]
Name = Annotated[str, typer.Argument(help="Programme key, channel, partner id or municipality code.")]


@halt.command("begin")
def begin(kind: Kind, name: Name, reason: Annotated[str, typer.Option(help="Why, for those who come after.")]) -> None:
    """Hold something back from now on: nothing about it is planned, released or sent."""
    from app.safeguards import halts

    load_tables()
    try:
        stopped = halts.halt(kind, name, reason)
    except TodokeError as error:
        refuse(error.message)
    print(f"halted: {kind} {name}; {stopped} queued messages wait. To let go: todoke halt end {kind} {name}")


@halt.command("end")
def end(kind: Kind, name: Name) -> None:
    """Let go what was held back."""
    from app.platform import bell
    from app.safeguards import halts

    load_tables()
    try:
        going_on = halts.resume(kind, name)
    except TodokeError as error:
        refuse(error.message)
    bell.flush()
    print(f"goes on: {kind} {name}; {going_on} messages that waited are due")


@halt.command("list")
def list_halts() -> None:
    """Print what is held back now, since when and why."""
    from sqlmodel import col, select

    from app.platform.database import owner_session
    from app.platform.halts import Halt

    with owner_session() as session:
        rows = session.exec(select(Halt).where(col(Halt.resumed_at).is_(None)).order_by(col(Halt.halted_at))).all()
    for row in rows:
        print(f"{row.kind} {row.name}\tsince {row.halted_at.isoformat(timespec='seconds')}\t{row.reason}")
    if not rows:
        print("nothing is held back")
