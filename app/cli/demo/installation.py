"""One machine's Todoke: embedded servers, database, workers, beat and web, as real processes."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from app.platform import processes, schema
from app.platform.database import dispose_engines
from app.platform.embedded import EmbeddedServers
from app.platform.sealing import generate_key
from app.platform.settings import PROJECT_DIRECTORY, settings

_DATABASE = "todoke"
_USUAL_PORT = 8000


class Installation:
    """Everything that runs, between `with` and its end; nothing is left behind, however this process ends.

    Attributes:
        environment: settings of all processes as environment variables, also set in this process.
        url: where the pages are.
    """

    def __init__(self, directory: Path, extra: Mapping[str, str] | None = None, *, fresh: bool = True) -> None:
        self.directory = directory
        self.extra = dict(extra or {})
        self.fresh = fresh
        self.environment: dict[str, str] = {}
        self._running = ExitStack()
        self._web_socket: socket.socket | None = None

    def __enter__(self) -> Self:
        if self.fresh:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            servers = self._running.enter_context(EmbeddedServers(self.directory / "servers"))
            self._running.callback(dispose_engines)
            self._web_socket = self._running.enter_context(_listening_socket())
            self.url = f"http://127.0.0.1:{self._web_socket.getsockname()[1]}"
            admin = servers.database_url("postgres")
            schema.prepare_roles(admin)
            schema.prepare_database(admin, _DATABASE)
            schema.upgrade(servers.database_url("todoke_owner", _DATABASE))
            self._set_environment(servers)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def start_worker(self, name: str, queues: str, processes_at_once: int) -> subprocess.Popen[bytes]:
        """Start a Celery worker on some queues."""
        arguments = ["-m", "celery", "-A", "workers.celery_app", "worker", "-Q", queues, "-n", f"{name}@todoke"]
        arguments += ["-c", str(processes_at_once), "--loglevel", "INFO"]
        return self._start(name, arguments)

    def start_beat(self) -> subprocess.Popen[bytes]:
        """Start the process that rings by the clock."""
        return self._start("beat", ["-m", "celery", "-A", "workers.celery_app", "beat", "--loglevel", "INFO"])

    def start_web(self) -> subprocess.Popen[bytes]:
        """Start the pages and APIs."""
        assert self._web_socket is not None
        descriptor = self._web_socket.fileno()
        arguments = ["-m", "uvicorn", "app.main:create_app", "--factory", "--fd", str(descriptor), "--no-access-log"]
        return self._start("web", arguments, keep_open=(descriptor,))

    def _start(self, name: str, arguments: list[str], keep_open: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        process = processes.start(
            [sys.executable, *arguments],
            log=self.directory / f"{name}.log",
            environment={**os.environ, **self.environment},
            directory=PROJECT_DIRECTORY,
            keep_open=keep_open,
        )
        self._running.callback(processes.stop, process)
        return process

    def _set_environment(self, servers: EmbeddedServers) -> None:
        self.environment = {
            "TODOKE_DATABASE__URL": servers.database_url("todoke_app", _DATABASE),
            "TODOKE_DATABASE__WORKER_URL": servers.database_url("todoke_worker", _DATABASE),
            "TODOKE_DATABASE__OWNER_URL": servers.database_url("todoke_owner", _DATABASE),
            "TODOKE_REDIS__URL": servers.broker_url(),
            **self._sealing_keys(),
            "TODOKE_CLOCK__OFFSET_FILE": str(self.directory.resolve() / "clock"),
            "TODOKE_PUBLIC_URL": self.url,
            "TODOKE_SECURE_COOKIES": "false",
            **self.extra,
        }
        for name in [name for name in os.environ if name.startswith("TODOKE_")]:
            del os.environ[name]
        os.environ.update(self.environment)
        settings.cache_clear()

    def _sealing_keys(self) -> dict[str, str]:
        """Return this installation's keys: made once, kept beside its data, readable by its owner alone."""
        path = self.directory / "keys.json"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(json.dumps({"sealing": generate_key(), "index": generate_key()}))
        made = json.loads(path.read_text())
        return {
            "TODOKE_SEALING__KEYS": json.dumps({"local": made["sealing"]}),
            "TODOKE_SEALING__ACTIVE_KEY": "local",
            "TODOKE_SEALING__INDEX_KEY": made["index"],
        }


def _listening_socket() -> socket.socket:
    """Return a listening socket on the usual port, or on any free one."""
    for port in (_USUAL_PORT, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen(128)
        listener.set_inheritable(True)
        return listener
    raise RuntimeError("no free port on 127.0.0.1")
