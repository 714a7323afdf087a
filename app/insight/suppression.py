"""Small counts are not shown: below ten a figure could point at a family."""

from app.platform.rendering import phrases
from app.platform.small_counts import LEAST_SHOWN


def shown(count: int) -> str:
    """Return a count as people may see it; zero is as telling as one, so it is hidden too."""
    if count >= LEAST_SHOWN:
        return f"{count:,}"
    return str(phrases("phrases/figures")["fewer"]).format(least=LEAST_SHOWN)
