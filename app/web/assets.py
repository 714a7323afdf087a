"""Copies the front-end files that we serve ourselves out of `node_modules` (after `npm ci`).

    python -m app.web.assets

They are never committed: npm's lock names them by version and integrity hash.
"""

import shutil
import sys
from pathlib import Path

from app.platform.errors import Misconfigured
from app.platform.settings import PROJECT_DIRECTORY

VENDOR_DIRECTORY = Path(__file__).parent / "static" / "vendor"
FILES = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
    "tokens.css": "@digital-go-jp/design-tokens/dist/tokens.css",
    "tokens.LICENSE.txt": "@digital-go-jp/design-tokens/LICENSE",
}


def copy_assets(modules: Path = PROJECT_DIRECTORY / "node_modules", target: Path = VENDOR_DIRECTORY) -> list[Path]:
    """Copy the files and return where they are now.

    Raises:
        Misconfigured: npm has not put them there.
    """
    missing = [source for source in FILES.values() if not (modules / source).is_file()]
    if missing:
        raise Misconfigured(f"not found in {modules.name}: {', '.join(missing)}; run: npm ci --ignore-scripts")
    target.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(modules / source, target / name)) for name, source in FILES.items()]


def require_assets(target: Path = VENDOR_DIRECTORY) -> None:
    """Stop a server that would serve pages without their style.

    Raises:
        Misconfigured: the files were not copied yet.
    """
    missing = [name for name in FILES if not (target / name).is_file()]
    if missing:
        raise Misconfigured(
            f"front-end files are missing: {', '.join(missing)}; run: npm ci && python -m app.web.assets"
        )


if __name__ == "__main__":
    for copied in copy_assets():
        sys.stdout.write(f"{copied.relative_to(PROJECT_DIRECTORY)}\n")
