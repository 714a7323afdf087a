"""What operators do for one household: protection, a loss, a new way in. Each act is by somebody, and says why."""

import datetime as dt
import uuid
from typing import Annotated

import typer

from app.cli.options import refuse

care = typer.Typer(help="Protection, losses and sign-in of one household, by its id.", no_args_is_help=True)

HouseholdId = Annotated[uuid.UUID, typer.Argument(help="The household's id.")]
By = Annotated[str, typer.Option(help="Who does it, such as staff:子ども家庭課.")]


@care.command("protect")
def protect_household(household: HouseholdId, by: By, reason: Annotated[str, typer.Option(help="Why.")] = "") -> None:
    """Raise the protection flag: from now on nobody known before hears anything."""
    from app.platform.errors import TodokeError
    from app.safeguards.protection import protect

    try:
        ended = protect(household, by=by, reason=reason or None)
    except TodokeError as error:
        refuse(f"protect: {error}")
    print("protected" if ended else "protected; a request that had begun before was still open after three seconds")


@care.command("clear-protection")
def clear_protection_of_household(
    household: HouseholdId,
    by: By,
    second_person: Annotated[str, typer.Option(help="The second person; not the first one.")],
    reason: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Lower the protection flag, by two people with a reason."""
    from app.households.protection import clear_protection
    from app.platform.database import Context, app_session
    from app.platform.errors import TodokeError

    try:
        with app_session(Context(household=household)) as session:
            clear_protection(session, household, by=by, second_person=second_person, reason=reason)
            session.commit()
    except TodokeError as error:
        refuse(f"clear-protection: {error}")
    print("no longer protected")


@care.command("stop")
def stop_person(
    household: HouseholdId,
    subject: Annotated[str, typer.Argument(help="child:c1, pregnancy:p1 …")],
    by: By,
    reason: Annotated[str, typer.Option(help="death, stillbirth or miscarriage.")],
) -> None:
    """End every push about one person; what is due stays readable."""
    from app.platform.errors import TodokeError
    from app.safeguards.bereavement import stop_pushes_about

    try:
        ended = stop_pushes_about(household, subject, reason=reason, by=by)
    except TodokeError as error:
        refuse(f"stop: {error}")
    print(
        f"nobody hears about {subject} any more" + ("" if ended else "; a request that had begun before was still open")
    )


@care.command("move")
def move_household(
    household: HouseholdId,
    to: Annotated[str, typer.Argument(help="Code of the new municipality; 000000 where it is not known.")],
    moved_on: Annotated[dt.datetime, typer.Argument(formats=["%Y-%m-%d"], help="The first day there, past or ahead.")],
    by: By,
    subject: Annotated[str, typer.Option(help="household, or one person such as child:c1.")] = "household",
) -> None:
    """Tell a move between municipalities; what ends and what to apply for again becomes one notice."""
    from app.platform.errors import TodokeError
    from app.safeguards.moving import move

    try:
        told = move(household, to, moved_on.date(), by=by, subject=subject)
    except TodokeError as error:
        refuse(f"move: {error}")
    print(f"move {told.move_id}" if told.move_id else "within one town: nothing changes hands")


@care.command("sign-in")
def sign_in_link(household: HouseholdId, guardian: Annotated[str, typer.Option(help="g1, g2 …")] = "g1") -> None:
    """Print a single-use sign-in link, to be handed over in person: the new way in after protection."""
    from app.accounts.sign_in import create_link
    from app.households.tables import Household
    from app.platform.database import Context, app_session
    from app.platform.settings import settings

    with app_session(Context(household=household)) as session:
        row = session.get(Household, household)
        if row is None:
            refuse(f"sign-in: there is no household {household}")
        token = create_link(session, household_id=household, guardian=guardian, municipality_code=row.municipality_code)
        session.commit()
    print(f"{settings().public_url}/sign-in/{token}")
