"""What the registry knows of a family's own municipality, so that a page can say what is missing."""

from app.registry.loading import Registry


def own_programmes(registry: Registry, code: str) -> int:
    """Return how many programmes of this municipality itself are published; those of the nation do not count."""
    return sum(1 for key in registry.programmes if key.split("/", maxsplit=1)[0] == code)
