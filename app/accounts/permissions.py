"""Who acts, and what an actor may do.

An `Actor` is a plain value that faces hand to services. Roles belong to a post; what each may do stands in one table.
"""

import uuid
from dataclasses import dataclass
from typing import Literal

from app.accounts.roles import Role
from app.platform.database import Context
from app.platform.errors import NotPermitted

Kind = Literal["household", "staff", "partner"]

ROLE_RIGHTS: dict[Role, frozenset[str]] = {
    "viewer": frozenset({"programmes:read", "figures:read"}),
    "editor": frozenset({"programmes:read", "figures:read", "programmes:edit"}),
    "approver": frozenset({"programmes:read", "figures:read", "programmes:approve"}),
    "administrator": frozenset(
        {"programmes:read", "figures:read", "programmes:edit", "programmes:approve", "accounts:edit"}
    ),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person: a guardian of one household, a post in one municipality, or a partner's developer."""

    kind: Kind
    session_id: uuid.UUID
    municipality_code: str = ""
    household_id: uuid.UUID | None = None
    guardian: str | None = None
    staff_id: uuid.UUID | None = None
    partner_id: uuid.UUID | None = None

    @property
    def context(self) -> Context:
        """On whose rows this actor's transactions act: exactly its own."""
        if self.kind == "household":
            return Context(municipality=self.municipality_code, household=self.household_id)
        if self.kind == "staff":
            return Context(municipality=self.municipality_code, staff=self.staff_id)
        return Context(partner=self.partner_id)

    @property
    def name(self) -> str:
        """How records name who did something: `guardian:g1`, `staff:…` or `partner:…`."""
        if self.kind == "household":
            return f"guardian:{self.guardian}"
        return f"{self.kind}:{self.staff_id or self.partner_id}"


def require(role: str, right: str) -> None:
    """Let pass who may do this.

    Raises:
        NotPermitted: the role does not hold the right.
    """
    holding = [name for name, rights in ROLE_RIGHTS.items() if right in rights]
    if role not in holding:
        holders = ", ".join(holding)
        raise NotPermitted(f"found role {role!r}; expected one of: {holders}, which hold {right!r}")
