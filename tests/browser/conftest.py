"""A real browser, and the real application on a port of its own.

Chromium comes from the system where it has one; otherwise from npm (`@sparticuz/chromium`, a headless shell with the
libraries it needs), unpacked into `.cache/` by the Node that Playwright brings. The Japanese font comes from PyPI.
"""

import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pylopdf_fonts_jp
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from app.faces.parent import contact_pages, entering_pages, sign_in_pages
from app.insight import funnel
from app.main import create_app
from app.matching.sweep import drain
from app.notices.announce import announce
from app.platform.settings import PROJECT_DIRECTORY, settings
from app.web import assets
from app.web.rate_limits import RateLimit

CACHE = PROJECT_DIRECTORY / ".cache" / "browser"
PACKED = PROJECT_DIRECTORY / "node_modules" / "@sparticuz" / "chromium" / "bin"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_UNPACK = (
    "const fs=require('fs'),zlib=require('zlib'),[from,to]=process.argv.slice(1);"
    "require('stream').pipeline(fs.createReadStream(from),zlib.createBrotliDecompress(),fs.createWriteStream(to),"
    "error=>{if(error){console.error(error);process.exit(1)}})"
)


def chromium_executable() -> tuple[Path, dict[str, str]]:
    """Return the browser and the environment it needs beyond ours; a message says what to run where there is none."""
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if system and not os.environ.get("TODOKE_TEST_PACKED_CHROMIUM"):
        return Path(system), {}
    return packed_chromium()


def packed_chromium() -> tuple[Path, dict[str, str]]:
    """Unpack the npm package once and return its headless shell with the path of its libraries."""
    assert PACKED.is_dir(), "no Chromium: install the system's package, or run: npm ci --ignore-scripts"
    executable, libraries = CACHE / "chromium", CACHE / "libraries"
    if not (CACHE / "complete").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        libraries.mkdir(parents=True)
        _decompress(PACKED / "chromium.br", executable)
        executable.chmod(0o755)
        archive = CACHE / "libraries.tar"
        _decompress(PACKED / "al2023.tar.br", archive)
        with tarfile.open(archive) as packed:
            packed.extractall(libraries, filter="data")
        archive.unlink()
        (CACHE / "complete").touch()
    folders = {str(path.parent) for path in libraries.rglob("*.so*")}
    return executable, {"LD_LIBRARY_PATH": os.pathsep.join(sorted(folders))}


def font_directory() -> Path:
    """Return a folder for XDG_DATA_HOME that holds a Japanese font."""
    target = PROJECT_DIRECTORY / ".cache" / "fonts-home" / "fonts"
    target.mkdir(parents=True, exist_ok=True)
    for font in Path(pylopdf_fonts_jp.__file__).parent.glob("NotoSans*.otf"):
        if not (target / font.name).exists():
            shutil.copyfile(font, target / font.name)
    return target.parent


def _decompress(source: Path, target: Path) -> None:
    node = compute_driver_executable()[0]
    subprocess.run([node, "-e", _UNPACK, str(source), str(target)], check=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a module. While it is there its event loop runs in this thread, so no longer."""
    executable, environment = chromium_executable()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=ARGUMENTS,
            env={**os.environ, **environment, "XDG_DATA_HOME": str(font_directory())},
        )
        yield browser
        browser.close()


@pytest.fixture
def address(todoke_environment, monkeypatch) -> Iterator[str]:
    """The application on a free port, as the demo serves it: without TLS, and without a broker."""
    assets.copy_assets()
    for name, value in {"TODOKE_REDIS__URL": "", "TODOKE_SECURE_COOKIES": "false"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    settings.cache_clear()


@pytest.fixture
def work(published_registry) -> Callable[[], None]:
    """Do what the workers would do now."""

    def run() -> None:
        drain()
        announce()
        funnel.count("131121")

    return run


class Watched:
    """A page whose every request, script error and blocked rule is written down."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        self.outside: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def follow(self, control: Locator) -> None:
        """Click something that leads to another page, and wait for that page."""
        with self.page.expect_navigation():
            control.click()

    def judge(self, name: str, width: int) -> None:
        """Hold the page that is open to WCAG by axe, to its width, and to our own origin."""
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} px"
        found = Axe().run(self.page).response["violations"]
        assert [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found] == [], name
        assert self.outside == []
        assert self.complaints == []

    def focused(self) -> str:
        """Text of what has the focus now; fails where the focus cannot be seen."""
        seen = self.page.evaluate(
            """() => {
              const element = document.activeElement, holder = element.closest("label") ?? element;
              const style = [element, holder].map((one) => getComputedStyle(one));
              const ring = style.some((one) => one.outlineStyle !== "none" && parseFloat(one.outlineWidth) >= 2);
              return {text: (element.innerText || element.value || element.name || element.tagName).trim(), ring};
            }"""
        )
        assert seen["ring"], f"the focus on {seen['text']!r} cannot be seen"
        return seen["text"]

    def tab_to(self, text: str, most: int = 60) -> None:
        """Press Tab until the focus is on something that begins with this text."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if self.focused().startswith(text):
                return
        raise AssertionError(f"no way to {text!r} with the keyboard")

    def _heard(self, message) -> None:
        # Chromium reports the status of a refused form as an error of its own; the test asserts that page itself.
        if message.type in ("error", "warning") and "status of 422" not in message.text:
            self.complaints.append(message.text)

    def _asked(self, request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.address).netloc:
            self.outside.append(request.url)


@pytest.fixture
def watch(chromium, address) -> Iterator[Callable[..., Watched]]:
    """Open a fresh browser context and watch its page."""
    contexts = []

    def make(width: int = 1280, **more: object) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": 800}, locale="ja-JP", **more)
        context.set_default_timeout(10_000)
        contexts.append(context)
        return Watched(context.new_page(), address)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(autouse=True)
def no_limits_of_earlier_tests() -> None:
    """Every test starts as if nobody had tried anything yet."""
    for module in (entering_pages, sign_in_pages, contact_pages):
        for limit in vars(module).values():
            if isinstance(limit, RateLimit):
                limit._tries.clear()
