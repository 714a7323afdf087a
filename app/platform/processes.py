"""Child processes that end with their parent, however the parent ends."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PARENT_DEATH_SIGNAL = 1
_libc = ctypes.CDLL(None, use_errno=True)


def start(
    arguments: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str],
    on_parent_death: signal.Signals = signal.SIGTERM,
    before: Callable[[], None] | None = None,
    directory: str | Path = "/",
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; its output goes to the end of `log`.

    Call from a thread that lives as long as the process: the kernel ties its end to the thread that started it.

    Args:
        on_parent_death: the signal it gets when this process is gone, even by kill -9.
        before: run in the child before the program.
        keep_open: file descriptors that it inherits.
    """
    parent = os.getpid()

    def prepare() -> None:
        os.setsid()
        if before is not None:
            before()
        _libc.prctl(_PARENT_DEATH_SIGNAL, int(on_parent_death))
        if os.getppid() != parent:  # it died before we asked to be told
            os.kill(os.getpid(), on_parent_death)

    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            [str(argument) for argument in arguments],
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=prepare,  # noqa: PLW1509
            pass_fds=keep_open,
        )


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM, seconds: float = 30) -> None:
    """Ask a process to end, and end it if it does not."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
