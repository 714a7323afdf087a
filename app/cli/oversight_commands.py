"""What operators look after: campaigns that wait for a decision, the audit, work that is overdue."""

import uuid
from typing import Annotated

import typer

from app.cli.options import OnlyMunicipality, load_tables, refuse

campaign = typer.Typer(help="Campaigns: what a publication may send.", no_args_is_help=True)

CampaignId = Annotated[uuid.UUID, typer.Argument(help="The campaign's id, as `campaign list` shows it.")]
By = Annotated[str, typer.Option(help="Who decides, such as operator:当番.")]
Comment = Annotated[str, typer.Option(help="Why, for the record.")]


@campaign.command("list")
def list_campaigns() -> None:
    """List the campaigns that hold something back: id, state, why, programme, figures (rounded, none below ten)."""
    from sqlmodel import col, select

    from app.matching.campaigns import HOLDING
    from app.matching.oversight_tables import Campaign
    from app.platform.database import worker_session

    load_tables()
    with worker_session() as session:
        statement = select(Campaign).where(col(Campaign.state).in_(HOLDING)).order_by(col(Campaign.begun_at))
        for one in session.exec(statement):
            print(one.id, one.state, one.question or "-", one.programme_key, one.figures or "")


@campaign.command("approve")
def approve(which: CampaignId, by: By, comment: Comment = "") -> None:
    """Let a paused campaign go on; a large one begins with a few families."""
    _decide(which, "approved", by, comment)


@campaign.command("reject")
def reject(which: CampaignId, by: By, comment: Comment = "") -> None:
    """Keep a paused campaign back until the programme is published anew."""
    _decide(which, "rejected", by, comment)


def _decide(which: uuid.UUID, decision: str, by: str, comment: str) -> None:
    from app.matching.campaigns import decide
    from app.platform import bell, clock
    from app.platform.database import worker_session
    from app.platform.errors import TodokeError

    load_tables()
    try:
        with worker_session() as session:
            state = decide(session, which, decision, clock.now(), by=by, comment=comment)
            session.commit()
    except TodokeError as error:
        refuse(f"campaign: {error}")
    bell.ring(bell.ANNOUNCE)
    print(state)


def audit(
    municipality: OnlyMunicipality = None,
    repair: Annotated[bool, typer.Option("--repair", help="Queue what differs to be matched again.")] = False,
) -> None:
    """Evaluate everybody anew and compare with the stored rows; exit 1 where anything differs. Prints ids only."""
    from app.matching.audit import audit as audit_municipality
    from app.matching.sweep import municipalities_with_households
    from app.platform import bell

    load_tables()
    differing = set()
    for code in [municipality] if municipality else municipalities_with_households():
        found = audit_municipality(code, repair=repair)
        print(
            f"{code}: {found.households} households, {found.skipped} skipped, {len(found.differences)} differences",
            flush=True,
        )
        for one in found.differences:
            print(code, one.household_id, one.programme_key, one.subject, one.kind, *one.fields)
            differing.add(one.household_id)
    if differing and repair:
        bell.ring(bell.MATCH)
        print(f"{len(differing)} households queued to be matched again")
    raise typer.Exit(bool(differing))


def watch() -> None:
    """Say which scheduled work is overdue; exit 1 where any is."""
    from app.matching.watch import overdue
    from app.platform.clock import real_now
    from app.platform.database import worker_session

    load_tables()
    with worker_session() as session:
        causes = overdue(session, real_now())
    for cause in causes:
        print(f"{cause.name}: last sign of work {cause.since.isoformat(timespec='seconds')}, expected {cause.expected}")
    raise typer.Exit(bool(causes))
