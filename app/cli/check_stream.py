"""JSON lines answered as a stream: batches of lines go to two worker processes and come back as lines, in order.

Each worker has one batch at a time, so that memory holds a few batches however long the stream is. A worker reads from
a pipe and ends when the pipe does: whatever ends this process, no worker stays behind.
"""

from __future__ import annotations

import datetime as dt
import gc
import multiprocessing
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from app.cli.answers import check_lines, phrases_of
from app.cli.household_input import LARGEST_BATCH, growing, read_lines
from app.cli.options import complain
from app.rules.accepting import Acceptance
from app.rules.population import Population

if TYPE_CHECKING:
    from app.registry.loading import Registry

WORKERS = 2
Lines = list[tuple[int, bytes]]
Answered = tuple[bytes, list[str]]
"""Lines of JSON, and what was wrong with the lines that could not be read."""


@dataclass(frozen=True)
class Question:
    """What every line is asked: the same for all workers."""

    on: dt.date
    named: tuple[str, ...] | None
    source: str


class Checker:
    """Answers batches of lines with one registry."""

    def __init__(self, registry: Registry, question: Question) -> None:
        self._registry, self._question = registry, question
        self._phrases = phrases_of(registry, "ja")
        self._acceptance = Acceptance(registry.facts)

    def answer(self, lines: Lines) -> Answered:
        """The answers to some lines, one line each, and the complaints about the others."""
        complaints, found = self.answers(lines)
        return b"".join(found), complaints

    def answers(self, lines: Lines) -> tuple[list[str], Iterator[bytes]]:
        """(the complaints about the lines that cannot be read, the answers to the others, hundreds together)."""
        documents: list[Any] = []
        complaints: list[str] = []
        for number, line in lines:
            document = self._quickly(number, line)
            if document is None:
                batch = read_lines([(number, line)], self._question.source, self._registry.facts)
                complaints += map(str, batch.complaints)
                documents += [household.document() for household in batch.households]
            else:
                documents.append(document)
        if not documents:
            return complaints, iter(())
        population = Population.from_documents(documents, self._registry.facts)
        towns = [document.get("municipality") for document in documents]
        question = self._question
        found = check_lines(self._registry, population, towns, question.on, question.named, self._phrases)
        return complaints, found

    def _quickly(self, number: int, line: bytes) -> dict[str, Any] | None:
        """The document of a line that is in order; None where `read_lines` must look at it."""
        try:
            document = orjson.loads(line)
        except ValueError:
            return None
        # A key that is written twice stands once in the document: then the line has more colons after quotes than keys.
        if self._acceptance.keys_of(document) != _written_keys(line):
            return None
        return document if document.get("id") is not None else {**document, "id": str(number)}


_KEY = re.compile(rb'"[ \t\r\n]*:')
_SPACED_COLONS = (b" :", b"\t:", b"\r:", b"\n:")


def _written_keys(line: bytes) -> int:
    """How many keys a line of JSON has at most; exact where no text holds a quote before a colon."""
    if any(colon in line for colon in _SPACED_COLONS):
        return len(_KEY.findall(line))
    return line.count(b'":')


def answered(registry: Registry, question: Question, lines: Iterator[tuple[int, bytes]]) -> Iterator[Answered]:
    """Yield the answers to a stream in its order; workers are started only when there is work for them."""
    batches = growing(lines)
    checker = Checker(registry, question)
    for some in batches:
        if len(some) >= LARGEST_BATCH:
            yield from _by_workers(registry.directory, question, _chain(some, batches))
            return
        yield checker.answer(some)


def _chain(first: Lines, rest: Iterator[Lines]) -> Iterator[Lines]:
    yield first
    yield from rest


def _by_workers(folder: Path, question: Question, batches: Iterator[Lines]) -> Iterator[Answered]:
    with _workers(folder, question) as connections:
        waiting: list[Connection] = []
        for connection in connections:
            _send_next(connection, batches, waiting)
        for connection in cycle(connections):
            if not waiting:
                return
            assert waiting.pop(0) is connection
            try:
                # First what is known, then the next lines: they may be long in coming, and others' answers wait.
                yield b"", connection.recv()
                while found := connection.recv_bytes():
                    yield found, []
            except EOFError:
                complain(["a worker process ended before its lines were answered; the answers printed are complete"])
                raise SystemExit(1) from None
            _send_next(connection, batches, waiting)


def _send_next(connection: Connection, batches: Iterator[Lines], waiting: list[Connection]) -> None:
    some = next(batches, None)
    if some is not None:
        connection.send(some)
        waiting.append(connection)


@contextmanager
def _workers(folder: Path, question: Question) -> Iterator[list[Connection]]:
    """Start workers; they have ended when the block does, however it ends.

    Ctrl-C ends this process at once, and with its pipes the workers: as an exception it could be lost where Python
    ignores exceptions, and the stream would go on.
    """
    context = multiprocessing.get_context("spawn")
    connections, processes = [], []
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        for _ in range(WORKERS):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, folder, question), daemon=True)
            process.start()
            theirs.close()
            connections.append(mine)
            processes.append(process)
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.terminate()
            process.join()
        signal.signal(signal.SIGINT, before)


def _work(connection: Connection, folder: Path, question: Question) -> None:
    """Answer batches until the pipe ends. Ctrl-C is for the process that started this one."""
    from app.registry.loading import load_registry

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    checker = Checker(load_registry(folder), question)
    # What is kept for good is never rubbish, and looking through it for every batch costs more than the answers.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        while True:
            complaints, found = checker.answers(connection.recv())
            connection.send(complaints)
            for some in found:
                if some:
                    connection.send_bytes(some)
            connection.send_bytes(b"")
            gc.collect()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def print_answers(answers: Iterable[Answered]) -> bool:
    """Print answers at once, complaints on standard error; True where everything could be read.

    Raises:
        BrokenPipeError: the reader of standard output is gone; nothing more is done.
    """
    spoilt = False
    for found, complaints in answers:
        sys.stdout.flush()
        sys.stdout.buffer.write(found)
        sys.stdout.buffer.flush()
        complain(complaints)
        spoilt = spoilt or bool(complaints)
    return not spoilt
