"""What broke and was set aside, and letting a programme out of quarantine."""

from typing import Annotated

import typer

from app.cli.options import load_tables, refuse

quarantine = typer.Typer(help="Programmes whose rules broke, and households set aside.", no_args_is_help=True)


@quarantine.command("list")
def list_quarantine() -> None:
    """Print the programmes in quarantine and the households that could not be evaluated, by their ids only."""
    from app.matching.quarantine import quarantined, set_aside
    from app.platform.database import worker_session

    load_tables()
    with worker_session() as session:
        programmes, households = quarantined(session), set_aside(session)
    for programme in programmes:
        since = programme.since.isoformat(timespec="seconds")
        print(f"{programme.programme_key}\t{since}\t{programme.error_class}\t{programme.error_text}")
    for household in households:
        since = household.since.isoformat(timespec="seconds")
        place = f"{household.error_class}\t{household.error_text}"
        print(f"household {household.household_id}\t{household.programme_key}\t{since}\t{place}")
    typer.echo(f"{len(programmes)} programmes in quarantine, {len(households)} households set aside", err=True)


@quarantine.command("lift")
def lift_quarantine(
    programme: Annotated[str, typer.Argument(help="Such as 131121/birth-cost-grant.")],
) -> None:
    """Let a programme out of quarantine; it is evaluated for everybody again."""
    from app.matching.quarantine import lift
    from app.platform import bell
    from app.platform.database import worker_session
    from app.platform.errors import NotFound

    load_tables()
    with worker_session() as session:
        try:
            lift(session, programme)
        except NotFound as error:
            refuse(str(error))
        session.commit()
    bell.ring(bell.MATCH)
    bell.flush()
    print(f"{programme} is out of quarantine; its evaluation is queued")
