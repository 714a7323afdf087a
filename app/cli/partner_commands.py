"""What operators do on behalf of a partner whose endpoint did not receive what it should have."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.options import load_tables, refuse

if TYPE_CHECKING:
    from sqlmodel import Session

    from app.partners.tables import PartnerEndpoint

Done = TypeVar("Done")

partner = typer.Typer(help="On behalf of a partner: send again what an endpoint did not receive.", no_args_is_help=True)


def read_instant(parameter: typer.CallbackParam, text: str) -> str:
    """Check that a text is an instant with its time zone, or leave saying what was expected."""
    try:
        zone = dt.datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        expected = "an instant with its time zone, such as 2026-11-20T09:00:00+09:00"
        refuse(f"{parameter.opts[0]}: found {text}; expected {expected}")
    return text


EndpointId = Annotated[uuid.UUID, typer.Argument(metavar="ENDPOINT", help="Its id, as `partner list` shows it.")]
Since = Annotated[
    str,
    typer.Option(metavar="INSTANT", callback=read_instant, help="With its time zone, 14 days back at most."),
]


@partner.command("list")
def list_partners() -> None:
    """Print every partner and its endpoints: ids, state, address without its query."""
    from sqlmodel import col, select

    from app.delivery.owner_mails import shown_address
    from app.partners.endpoints import endpoints_of, state_of
    from app.partners.tables import Partner
    from app.platform.clock import real_now
    from app.platform.database import worker_session

    load_tables()
    with worker_session() as session:
        for one in session.exec(select(Partner).order_by(col(Partner.id))):
            print(f"{one.id}\t{one.app_name}\t{one.name}")
            for endpoint in endpoints_of(session, one.id):
                print(f"  {endpoint.id}\t{state_of(endpoint, real_now())}\t{shown_address(endpoint.url)}")


@partner.command("recover")
def recover(endpoint: EndpointId, since: Since) -> None:
    """Queue again what an endpoint failed to take since an instant; 10,000 deliveries at most in one call."""
    from app.faces.partner.sending import recover_since
    from app.platform import bell

    done = _for_partner(endpoint, lambda session, row: recover_since(session, row, dt.datetime.fromisoformat(since)))
    bell.ring_dispatch()
    bell.flush()
    print(f"{done.queued} queued again; not sent: {done.expired} expired, {done.stopped} stopped for a family's sake")
    if done.left:
        print(f"{done.left} more failed: run the command again")


@partner.command("replay")
def replay(endpoint: EndpointId, since: Since) -> None:
    """Have the workers tell an endpoint what it was never told since an instant."""
    from app.faces.partner.sending import replay_since
    from app.platform import bell

    replay_id = _for_partner(
        endpoint, lambda session, row: replay_since(session, row, dt.datetime.fromisoformat(since)).id
    )
    bell.ring(bell.REPLAY)
    bell.flush()
    print(f"replay {replay_id} is open; workers do it within minutes, and the endpoint's page shows how far they are")


def _for_partner(endpoint_id: uuid.UUID, work: "Callable[[Session, PartnerEndpoint], Done]") -> "Done":
    """Do something for an endpoint in its partner's own context, and keep it; what is refused is said."""
    from app.partners.endpoints import endpoint_by_id
    from app.partners.tables import PartnerEndpoint
    from app.platform.database import Context, app_session, worker_session
    from app.platform.errors import TodokeError

    load_tables()
    with worker_session() as session:
        found = session.get(PartnerEndpoint, endpoint_id)
    if found is None:
        refuse(f"found no endpoint {endpoint_id}; expected an id that `partner list` shows")
    try:
        with app_session(Context(partner=found.partner_id)) as session:
            done = work(session, endpoint_by_id(session, found.partner_id, endpoint_id))
            session.commit()
    except TodokeError as error:
        refuse(error.message)
    return done
