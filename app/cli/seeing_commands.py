"""What operators look at: whether it gets on, and why one family heard of something or did not."""

import uuid
from typing import Annotated

import typer

from app.cli.options import load_tables, refuse


def explain_way(
    household: Annotated[uuid.UUID, typer.Argument(help="The household's id.")],
    programme: Annotated[str, typer.Argument(metavar="PROGRAMME", help="CODE/id such as 000000/child-allowance.")],
) -> None:
    """Say why a family heard of a programme, or why it did not: rule, family, right, notice, message."""
    from app.insight.why import why
    from app.platform.errors import TodokeError
    from app.platform.rendering import phrases

    load_tables()
    try:
        found = why(household, programme)
    except TodokeError as error:
        refuse(error.message)
    print(found.conclusion)
    names = phrases("phrases/why")["stages"]
    for stage in found.stages:
        print(f"\n{names[stage.name]}")
        for line in (*stage.found, *([f"→ {stage.ends}"] if stage.ends else [])):
            print(f"  {line}")


def show_health() -> None:
    """Say whether what is due gets done; status 1 where it does not."""
    from app.insight.progress import stalled
    from app.platform import clock
    from app.platform.database import worker_session

    with worker_session() as session:
        causes = stalled(session, clock.real_now())
    for cause in causes:
        print(cause)
    if causes:
        raise typer.Exit(1)
    print("what is due gets done")
