"""Who may call a route. Every route declares one of these as a dependency; an architecture test holds it.

    @router.get("/home")
    def home(request: Request, actor: Household) -> Response: ...

    @router.get("/help", dependencies=[Anyone])

`Household`, `Staff` and `Partner` give the signed-in `Actor`; `Anyone` lets everybody in. Each of them checks the CSRF
token of unsafe methods. The two kinds of route that a browser form never calls use `without_form` with the name of
their own proof: the one-click unsubscribe (a secret in its address) and the partner API (its credential).
"""

from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request

from app.accounts.permissions import Actor, Kind
from app.accounts.sign_in import find_actor
from app.platform.database import app_session
from app.web.browser import session_token
from app.web.csrf import csrf_checked

SIGN_IN_PAGES: dict[Kind, str] = {"household": "/sign-in", "staff": "/staff/sign-in", "partner": "/partner/sign-in"}


class SignInNeeded(Exception):
    """Nobody, or somebody of another face, is signed in; shown as the face's sign-in page."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.page = SIGN_IN_PAGES[kind]


class Access:
    """A declaration of who may call a route. `proof` says in one word what lets a caller in."""

    def __init__(self, proof: str) -> None:
        self.proof = proof


class _Everybody(Access):
    def __call__(self, _form: Annotated[None, Depends(csrf_checked)]) -> None:
        return None


class _WithoutForm(Access):
    def __call__(self) -> None:
        return None


class _SignedIn(Access):
    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.kind = kind

    def __call__(self, request: Request, _form: Annotated[None, Depends(csrf_checked)]) -> Actor:
        actor = signed_in(request)
        if actor is None or actor.kind != self.kind:
            raise SignInNeeded(self.kind)
        return actor


def signed_in(request: Request) -> Actor | None:
    """Return who is signed in with this browser, looked up once a request."""
    if not hasattr(request.state, "actor"):
        token = session_token(request)
        request.state.actor = None
        if token:
            with app_session() as session:
                request.state.actor = find_actor(session, token)
    return request.state.actor


def without_form(proof: str) -> Any:
    """Declare a route that no form of ours calls: `proof` names the secret or credential that lets a caller in.

    The route itself checks that proof; CSRF is not checked because no cookie gives it any power.
    """
    return Depends(_WithoutForm(proof))


Anyone = Depends(_Everybody("anyone"))
Household = Annotated[Actor, Depends(_SignedIn("household"))]
Staff = Annotated[Actor, Depends(_SignedIn("staff"))]
Partner = Annotated[Actor, Depends(_SignedIn("partner"))]
