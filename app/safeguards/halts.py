"""Halting and resuming: an operator holds back a programme, a channel, a partner or a municipality, and lets it go."""

from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from app.delivery.halting import hold_back, let_go
from app.notices.recall import compose_what_is_halted
from app.platform import bell, clock, halts
from app.platform.database import owner_session
from app.platform.errors import NotFound
from app.platform.halt_kinds import HaltKind

#: Where the names of each kind are found.
_KNOWN: Final = {
    HaltKind.PROGRAMME: "SELECT key FROM programmes ORDER BY 1",
    HaltKind.CHANNEL: "SELECT unnest(ARRAY['email', 'line', 'webhook'])",
    HaltKind.PARTNER: "SELECT CAST(id AS text) FROM partners ORDER BY 1",
    HaltKind.MUNICIPALITY: "SELECT DISTINCT municipality_code FROM households ORDER BY 1",
}
_NAMED_AT_MOST: Final = 12


def halt(kind: HaltKind, name: str, reason: str) -> int:
    """Hold something back from now on; return how many queued messages that stopped.

    It is in force before anything else is touched. Messages that tell of a halted programme are composed anew without
    it by the next release.

    Raises:
        NotFound: there is nothing of that name.
        Conflict: it is halted already.
    """
    stopped = 0
    with owner_session() as session:
        _expect_known(session, kind, name)
        halts.begin(session, kind, name, reason, clock.real_now())
        session.commit()
        while held := hold_back(session, clock.now()):
            session.commit()
            stopped += held
    bell.ring(bell.RELEASE)
    return stopped


def resume(kind: HaltKind, name: str) -> int:
    """End a halt and let go what waited; return how many queued messages go on.

    What is told of a programme by then is composed anew: its rule or text may have been put right meanwhile.

    Raises:
        NotFound: it is not halted.
    """
    with owner_session() as session:
        halts.end(session, kind, name, clock.real_now())
        session.commit()
    compose_what_is_halted()
    with owner_session() as session:
        going_on = let_go(session, clock.now())
        session.commit()
    bell.ring_dispatch()
    bell.ring(bell.ANNOUNCE)
    bell.ring(bell.RELEASE)
    return going_on


def _expect_known(session: Session, kind: HaltKind, name: str) -> None:
    known = list(session.execute(text(_KNOWN[kind])).scalars())
    if name not in known:
        some = ", ".join(known[:_NAMED_AT_MOST]) or "none is known yet"
        raise NotFound(f"{kind}: found {name!r}; expected one of {len(known)}: {some}")
