"""How a stand-in is run: on a thread with its own event loop, on a port that the system chooses."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jinja2
from aiohttp import web

LOOPBACK = "127.0.0.1"
_START_SECONDS = 10.0


class Service(Protocol):
    """Something that listens. It is started and stopped inside one event loop."""

    async def start(self) -> None:
        """Begin to listen; the addresses are known when this returns."""

    async def stop(self) -> None:
        """Stop listening and let go of every connection."""


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """Run services on a thread of their own; nothing of them is left when the block ends.

    Raises:
        RuntimeError: a service did not start.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    started: list[Service] = []
    try:
        for service in services:
            asyncio.run_coroutine_threadsafe(service.start(), loop).result(_START_SECONDS)
            started.append(service)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_stop(started), loop).result(_START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _stop(services: list[Service]) -> None:
    for service in reversed(services):
        await service.stop()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


class HttpListener:
    """One HTTP server on the loopback interface.

    Args:
        handler: called for every request; routing is the stand-in's own business.
        port: 0 lets the system choose.
    """

    def __init__(self, handler: Any, port: int = 0) -> None:
        self._handler = handler
        self._wanted_port = port
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen; `url` is known afterwards."""
        # The low-level server: an application with middlewares and a router costs a third of the requests a second.
        server = web.Server(self._handler, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self._wanted_port, backlog=1024)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://{LOOPBACK}:{port}"

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


def answer_json(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json", charset="utf-8")


def answer_page(template: str, **values: object) -> web.Response:
    """Return one of the pages in `app/sandbox/pages`."""
    text = _pages().get_template(template).render(values)
    # Nothing that arrived may run: no script at all, and frames only from the page itself (srcdoc).
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; img-src data:"
    return web.Response(text=text, content_type="text/html", headers={"content-security-policy": policy})


async def read_json(request: web.BaseRequest) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        web.HTTPBadRequest: the body is something else.
    """
    try:
        content = json.loads(await request.read() or b"{}")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise web.HTTPBadRequest(text="found no JSON object in the body; expected one")
    return content


@cache
def _pages() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
