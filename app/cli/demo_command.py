"""`todoke demo`: everything on this machine, with stand-ins for the outside world."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import refuse


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the summary.")] = False,
    generated: Annotated[int, typer.Option(help="How many generated households.")] = 2_000,
    directory: Annotated[Path, typer.Option(help="Where the demo's servers keep their files.")] = Path(".todoke/demo"),
    write_ledger: Annotated[bool, typer.Option(help="Write the ledger instead of comparing with it.")] = False,
) -> None:
    """Match example families with real programmes and deliver to a sample app, a mail sink and a LINE-style server."""
    from app.cli.demo.show import DemoFailed, run
    from app.platform.errors import TodokeError

    try:
        run(directory, once=once, generated=generated, write_ledger=write_ledger)
    except (DemoFailed, TodokeError) as error:
        refuse(f"demo: {error}")
