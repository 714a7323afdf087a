"""The published registry as pages read it: kept in this process and read again only after something was published."""

from sqlmodel import Session

from app.registry.loading import Registry
from app.registry.versions import Published, published

_known: dict[str, Published] = {}


def registry_now(session: Session) -> Registry:
    """Return what is published at this moment."""
    _known["registry"] = published(session, _known.get("registry"))
    return _known["registry"].registry
