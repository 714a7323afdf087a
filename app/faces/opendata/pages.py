"""Readable pages: the list, one programme, and a leaflet of it to print, with a QR code of its page."""

import io

import segno
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.faces.opendata.answering import conditional
from app.faces.opendata.contents import (
    SHAPES,
    Selection,
    amounts_and_dates_in_words,
    conditions_in_words,
    in_words,
    page_address,
)
from app.faces.opendata.programme_api import version_of
from app.faces.opendata.views import PREFIX
from app.platform import clock
from app.platform.database import app_session
from app.platform.rendering import phrases
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.versions import published_now
from app.rules.municipality_code import NATIONAL, is_prefecture
from app.web.access import Anyone
from app.web.pages import page

router = APIRouter(prefix="/open", dependencies=[Anyone], include_in_schema=False)


@router.get("")
def programmes(request: Request, municipality: str = "", kind: str = "") -> Response:
    """List the programmes in force today, of everywhere or for the people of one municipality."""
    registry = _registry()
    chosen = registry.municipalities.get(municipality)
    asked = Selection(clock.today(), chosen.code if chosen else None, kind or None, "all")
    found = asked.versions(registry)
    return page(
        request,
        "open/programmes.html",
        levels=_by_level(registry, found),
        count=len(found),
        municipalities=sorted(registry.municipalities.where_people_live(), key=lambda one: one.code),
        chosen=chosen,
        unknown=municipality if municipality and chosen is None else "",
        kind=kind,
        kinds=phrases("phrases/open")["kind"],
        words=phrases("phrases/open"),
        shapes=tuple(SHAPES),
        api=PREFIX,
    )


@router.get("/programmes/{municipality}/{programme}")
def programme(request: Request, municipality: str, programme: str) -> Response:
    """Show one programme for everybody: what, for whom, how much, until when, where, and where it was read."""
    registry = _registry()
    version = version_of(registry, f"{municipality}/{programme}", None)
    return page(
        request,
        "open/programme.html",
        **_shown(registry, version),
        everything=in_words(registry, version, "ja", clock.today()),
        versions=tuple(reversed(registry.programmes[version.key])),
        replacing=[others[-1] for others in registry.programmes.values() if others[-1].based_on == version.key],
        shapes=tuple(SHAPES),
        api=f"{PREFIX}/programmes/{version.key}",
    )


@router.get("/programmes/{municipality}/{programme}/leaflet")
def leaflet(request: Request, municipality: str, programme: str) -> Response:
    """Show one sheet of A4 to hand out, in plain words, with the QR code of the page."""
    registry = _registry()
    version = version_of(registry, f"{municipality}/{programme}", None)
    return page(request, "open/leaflet.html", **_shown(registry, version))


@router.get("/programmes/{municipality}/{programme}/qr.svg")
def qr(request: Request, municipality: str, programme: str) -> Response:
    """Return the QR code of a programme's page."""
    with app_session() as session:
        now = published_now(session)
    version = version_of(now.registry, f"{municipality}/{programme}", None)
    return conditional(request, now, "image/svg+xml", lambda: _qr(page_address(version.key)))


def _qr(address: str) -> bytes:
    drawn = io.BytesIO()
    segno.make(address, error="m", micro=False).save(drawn, kind="svg", scale=4, border=4, xmldecl=True, light="#fff")
    return drawn.getvalue()


def _registry() -> Registry:
    with app_session() as session:
        return published_now(session).registry


def _shown(registry: Registry, version: Programme) -> dict[str, object]:
    words = phrases("phrases/open")
    home = registry.municipalities.get(version.municipality)
    return {
        "version": version,
        "conditions": conditions_in_words(registry, version, "ja", clock.today()),
        "amounts_and_dates": amounts_and_dates_in_words(registry, version, "ja", clock.today()),
        "area": home.name if home else version.municipality,
        "kind": words["kind"][version.kind],
        "words": words,
        "address": page_address(version.key),
        "overdue": version.next_check_on is not None and version.next_check_on < clock.today(),
        "ended": version.valid.until is not None and version.valid.until < clock.today(),
    }


def _by_level(registry: Registry, found: list[Programme]) -> list[tuple[str, list[Programme]]]:
    """Group programmes by whose they are: municipalities first, then prefectures, then the nation."""
    order = sorted({one.municipality for one in found}, key=lambda code: (code == NATIONAL, is_prefecture(code), code))
    named = {code: registry.municipalities.get(code) for code in order}
    return [
        (town.name if town else code, [one for one in found if one.municipality == code])
        for code, town in named.items()
    ]
