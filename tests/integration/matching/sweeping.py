"""A process that sweeps, as a worker does; it may be told to die in the middle of a chunk.

    python -m tests.integration.matching.sweeping CHUNK [CHUNKS_UNTIL_DEATH]

Dies with -9 inside the transaction of a chunk, when its rights are stored and its cursor has moved but nothing is
committed. Prints the municipality and the number of households of each run that it did.
"""

import os
import signal
import sys

from app.cli.options import load_tables
from app.matching import sweep, sweeps


def main() -> None:
    load_tables()
    sweep.CHUNK, sweep.SIGN_SECONDS = int(sys.argv[1]), 0
    if len(sys.argv) > 2:
        die_in(int(sys.argv[2]))
    for run in sweep.drain():
        print(run.municipality_code, run.households)


def die_in(chunks: int) -> None:
    moved, move_on = [], sweeps.move_on

    def move_on_or_die(*arguments):
        move_on(*arguments)
        moved.append(arguments)
        if len(moved) == chunks:
            os.kill(os.getpid(), signal.SIGKILL)

    sweeps.move_on = move_on_or_die


if __name__ == "__main__":
    main()
