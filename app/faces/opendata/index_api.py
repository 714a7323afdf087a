"""Where to begin: what there is below `/open/v1`, and what the addresses inside linked data lead to."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.faces.opendata.answering import of_contents
from app.faces.opendata.contents import SHAPES, api_address, heading
from app.faces.opendata.views import PREFIX
from app.platform.errors import NotFound
from app.web.access import Anyone

router = APIRouter(dependencies=[Anyone], include_in_schema=False)
_PARTS = (
    "programmes",
    "municipalities",
    "vocabulary",
    "parameters",
    "changes",
    "changes.atom",
    "dumps",
    "openapi.json",
)


@router.get(PREFIX)
@router.get(f"{PREFIX}/")
def index(request: Request) -> Response:
    """Name the parts of the API, the formats of programmes, the licence."""
    parts = {name: api_address(name) for name in _PARTS}
    return of_contents(request, "application/json", orjson.dumps({**heading(), **parts, "formats": list(SHAPES)}))


@router.get("/open/programmes")
@router.get("/open/programmes/")
def programmes() -> Response:
    """Lead to the list."""
    return RedirectResponse("/open", status_code=303)


@router.get("/open/municipalities/{code}")
def municipality(code: str) -> Response:
    """Lead to the programmes of a municipality, whose address linked data names."""
    if not (code.isascii() and code.isdigit()):
        raise NotFound(f"found no municipality {code!r}; expected a six-digit code")
    return RedirectResponse(f"/open?municipality={code}", status_code=303)


@router.get("/open/vocabulary/{tag_list}/{code}")
def tag(tag_list: str, code: str) -> Response:
    """Lead to the vocabulary, which every tag that linked data names belongs to."""
    return RedirectResponse(f"{PREFIX}/vocabulary", status_code=303)
