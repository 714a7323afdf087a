"""`todoke demo` and `todoke run`: everything on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import refuse

Directory = Annotated[Path, typer.Option(help="Where the embedded servers keep their files.")]


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the summary.")] = False,
    generated: Annotated[int, typer.Option(help="How many generated households.")] = 2_000,
    directory: Directory = Path(".todoke/demo"),
    write_ledger: Annotated[bool, typer.Option(help="Write the ledger instead of comparing with it.")] = False,
) -> None:
    """Match example families with real programmes and deliver to a sample app, a mail sink and a LINE-style server."""
    from app.cli.demo.show import DemoFailed, run
    from app.platform.errors import TodokeError

    _end_in_order()
    try:
        run(directory, once=once, generated=generated, write_ledger=write_ledger)
    except (DemoFailed, TodokeError) as error:
        refuse(f"demo: {error}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def run(directory: Directory = Path(".todoke/run")) -> None:
    """Run an empty Todoke with the registry published, kept between runs; mail and pushes go to stand-ins."""
    from app.cli.demo.show import run_empty
    from app.platform.errors import TodokeError

    _end_in_order()
    try:
        run_empty(directory)
    except TodokeError as error:
        refuse(f"run: {error}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _end_in_order() -> None:
    """Take SIGTERM like Ctrl-C, so that every server and worker is stopped in order; both even when run in the back."""
    import signal

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
