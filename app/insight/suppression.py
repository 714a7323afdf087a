"""Small counts are not shown: below ten a figure could point at a family."""

from app.platform.rendering import phrases

LEAST_SHOWN = 10


def shown(count: int) -> str:
    """Return a count as people may see it; zero is as telling as one, so it is hidden too."""
    if count >= LEAST_SHOWN:
        return f"{count:,}"
    return str(phrases("phrases/figures")["fewer"]).format(least=LEAST_SHOWN)
