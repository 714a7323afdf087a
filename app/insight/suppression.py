"""Small counts are not shown: below ten a figure could point at a family."""

LEAST_SHOWN = 10


def shown(count: int) -> str:
    """Return a count as people may see it; zero is as telling as one, so it is hidden too."""
    return f"{count:,}" if count >= LEAST_SHOWN else "10未満"
