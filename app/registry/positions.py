"""YAML read with the line of every value, so that an error can say where to look.

A document is read the way JSON would carry it: dates stay ISO text, `on`, `yes` and `no` stay words (they are keys
and answers here, not truth values), and a code with leading zeros stays text. Duplicate keys are errors.

Paths are written as people write them, `criteria.all[0].fact`, the same way as in `app.rules.documents`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_LAST_STEP = re.compile(r"(?:\.[^.\[\]]*|\[\d+\])$")


@dataclass(frozen=True, order=True)
class Complaint:
    """One thing that is wrong in one place of one file."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        """Return `file:line: path: message`, the shape editors and reviewers can jump to."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


@dataclass
class PositionedDocument:
    """One YAML document: its value as plain dicts, lists and scalars, and the line of each path."""

    file: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)

    def line_of(self, path: str) -> int:
        """Return the line (from 1) of a path; of its nearest known parent where the path itself is missing."""
        while path and path not in self.lines:
            shorter = _LAST_STEP.sub("", path)
            path = shorter if shorter != path else ""
        return self.lines.get(path, 1)

    def complain(self, path: str, message: str) -> None:
        """Note an error at a path."""
        self.complaints.append(Complaint(self.file, self.line_of(path), path, message))


class _Loader(yaml.CSafeLoader):
    """The safe loader with the scalars of YAML 1.2's JSON schema: null, true/false, numbers; the rest is text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


class _Refused(yaml.YAMLError):
    """Valid YAML that is not taken here."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem)
        self.problem, self.problem_mark = problem, mark


_DEEPEST = 100
_DIGITS = list("-0123456789")
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), _DIGITS)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$"), _DIGITS)


def read_documents(path: Path, *, name: str | None = None) -> list[PositionedDocument]:
    """Read every YAML document of a file (several are separated by `---`).

    A file that cannot be read or parsed comes back as one document with a complaint and the value None.
    """
    shown = name or str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        return [_unreadable(shown, 1, f"is not UTF-8 (byte {problem.start}); save it as UTF-8")]
    except OSError as problem:
        return [_unreadable(shown, 0, f"cannot be read: {problem.strerror}")]
    return parse_documents(text, file=shown)


def parse_documents(text: str, *, file: str) -> list[PositionedDocument]:
    """Parse the YAML documents of a text; see `read_documents`."""
    documents: list[PositionedDocument] = []
    try:
        _refuse_what_folds(text)
        loader = _Loader(text)
        while loader.check_node():
            document = PositionedDocument(file, None)
            node = loader.get_node()
            if node is not None:
                document.value = _Walk(loader, document).value(node, "")
            documents.append(document)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        said = getattr(problem, "problem", None) or getattr(problem, "reason", None) or str(problem)
        return [*documents, _unreadable(file, mark.line + 1 if mark else 1, f"is not valid YAML: {said}")]
    return documents


def _refuse_what_folds(text: str) -> None:
    """Refuse aliases, which can fold a huge or endless document into a few lines, and depth that exhausts the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("an alias (*) is not used here; write the value out", event.start_mark)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _Refused(f"it is nested too deeply; expected at most {_DEEPEST} levels", event.start_mark)


def _unreadable(file: str, line: int, message: str) -> PositionedDocument:
    return PositionedDocument(file, None, complaints=[Complaint(file, line, "", message)])


class _Walk:
    """One walk over the nodes of a document: plain values come out, lines and complaints are noted on the way."""

    def __init__(self, loader: _Loader, document: PositionedDocument) -> None:
        self.loader = loader
        self.document = document

    def value(self, node: yaml.Node, at: str) -> Any:
        """Turn a node into plain values."""
        self.document.lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, f"{at}[{place}]") for place, child in enumerate(node.value)]
        try:
            return self.loader.construct_object(node, deep=True)
        except yaml.YAMLError as problem:
            self.document.complain(at, f"cannot be read: {getattr(problem, 'problem', problem)}")
            return None

    def _mapping(self, node: yaml.MappingNode, at: str) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.complaints.append(Complaint(self.document.file, line, at, "a key must be a word"))
                continue
            key = str(key_node.value)
            path = f"{at}.{key}" if at else key
            if key in mapping:
                message = f"the key is written twice (first on line {self.document.lines[path]}); keep one"
                self.document.complaints.append(Complaint(self.document.file, line, path, message))
                continue
            self.document.lines[path] = line
            mapping[key] = self.value(value_node, path)
        return mapping
