"""The embedded servers: side by side, one owner per folder, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from app.platform.embedded import EmbeddedServers
from app.platform.errors import Misconfigured

HOLD = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner may have switched it off for its children
from app.platform.embedded import EmbeddedServers
with EmbeddedServers(pathlib.Path(sys.argv[1]), durable=False) as servers:
    print(servers.postgres.pid, servers.valkey.pid, flush=True)
    time.sleep(60)
"""


def running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def query(servers: EmbeddedServers, statement: str):
    engine = create_engine(servers.database_url("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def test_two_copies_run_side_by_side_and_one_folder_has_one_owner(tmp_path):
    with (
        EmbeddedServers(tmp_path / "a", durable=False) as first,
        EmbeddedServers(tmp_path / "b", durable=False) as second,
    ):
        assert query(first, "SELECT 1") == query(second, "SELECT 1") == 1
        with pytest.raises(Misconfigured, match="in use by another running copy"):
            EmbeddedServers(tmp_path / "a").__enter__()
        pids = [server.pid for copy in (first, second) for server in (copy.postgres, copy.valkey)]
    assert not [pid for pid in pids if running(pid)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_running_however_the_owner_ends(tmp_path, how):
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert all(running(pid) for pid in pids)
    owner.send_signal(how)
    owner.wait(20)
    owner.stdout.close()
    give_up_at = time.monotonic() + 10
    while any(running(pid) for pid in pids) and time.monotonic() < give_up_at:
        time.sleep(0.05)
    assert not [pid for pid in pids if running(pid)]


def test_committed_rows_survive_a_kill_of_postgres(tmp_path):
    with EmbeddedServers(tmp_path) as servers:
        query(servers, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        assert servers.postgres is not None
        os.kill(servers.postgres.pid, signal.SIGKILL)
        servers.postgres.wait(10)
    with EmbeddedServers(tmp_path) as servers:
        assert query(servers, "SELECT count(*) FROM kept") == 1000
