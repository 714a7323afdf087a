"""The official tag codes and laws, read from `registry_data/vocabulary/official.yaml`, and what follows from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from app.platform.errors import Misconfigured
from app.registry.formats.findings import Findings
from app.registry.positions import read_documents
from app.rules.documents import Document

Code = Annotated[str, Field(pattern=r"^\d{3}$")]
TagList = Literal["category", "target", "contents"]
TAG_LISTS: tuple[TagList, ...] = ("category", "target", "contents")
UNCLASSIFIED = "000"


class OfficialVocabulary(Document):
    """The three code lists, the laws by name, and how our own words map to codes."""

    category: dict[Code, str]
    target: dict[Code, str]
    contents: dict[Code, str]
    kind_of_contents: dict[Code, str]
    contents_of_kind: dict[str, Code]
    category_of_kind: dict[str, Code]
    category_of_subject: dict[str, Code]
    target_of_subject: dict[str, Code]
    target_of_fact: dict[str, Code]
    laws: dict[str, Annotated[str, Field(pattern=r"^\d{3}[A-Z]+\d{8,12}$")]]

    def names(self, tag_list: TagList) -> Mapping[str, str]:
        """Return one list: code → name."""
        lists: dict[TagList, dict[str, str]] = {
            "category": self.category, "target": self.target, "contents": self.contents,
        }  # fmt: skip
        return lists[tag_list]

    def read_tags(self, raw: Any, findings: Findings) -> dict[TagList, tuple[str, ...]]:
        """Read the `tag` of a record whatever state its codes are in; a code goes to the list it belongs to."""
        tags = raw if isinstance(raw, Mapping) else {}
        found: dict[TagList, list[str]] = {name: [] for name in TAG_LISTS}
        for name in TAG_LISTS:
            for code in _codes(tags.get(f"{name}Code"), f"tag.{name}Code", findings):
                home = self._home(code, name)
                if home is None:
                    findings.doubt("unknown_code", f"tag.{name}Code", found=code)
                    continue
                if home != name:
                    findings.repair("code_in_wrong_list", f"tag.{name}Code", found=code, list=f"{home}Code")
                found[home].append(code)
        return {name: tuple(dict.fromkeys(codes)) for name, codes in found.items()}

    def _home(self, code: str, wanted: TagList) -> TagList | None:
        if code in self.names(wanted):
            return wanted
        return next((name for name in TAG_LISTS if code in self.names(name)), None)

    def tags_for(self, kind: str, subject: str, facts: Iterable[str]) -> dict[TagList, tuple[str, ...]]:
        """Return the codes of a programme of our own: by kind, by whose right it is, by the facts it asks for."""
        category = [self.category_of_subject[subject], self.category_of_kind.get(kind)]
        target = [self.target_of_subject[subject], *(self.target_of_fact.get(fact) for fact in sorted(facts))]
        return {
            "category": tuple(dict.fromkeys(code for code in category if code)),
            "target": tuple(dict.fromkeys(code for code in target if code)),
            "contents": (self.contents_of_kind[kind],),
        }


def _codes(raw: Any, field: str, findings: Findings) -> list[str]:
    elements = raw if isinstance(raw, list) else [] if raw in (None, "") else [raw]
    codes: list[str] = []
    for element in elements:
        text = unicodedata.normalize("NFKC", str(element if element is not None else ""))
        parts = [part.strip() for part in re.split(r"[,、;\s]+", text) if part.strip()]
        codes += [part.zfill(3) if part.isdigit() else part for part in parts]
        if parts and [str(element)] != codes[-len(parts) :]:
            findings.repair("code_written_otherwise", field, found=repr(element), read=" ".join(codes[-len(parts) :]))
    return codes


@lru_cache(maxsize=4)
def official_vocabulary(registry_directory: Path) -> OfficialVocabulary:
    """Read the official vocabulary of a registry folder, once.

    Raises:
        Misconfigured: the file is missing or not of this shape.
    """
    documents = read_documents(registry_directory / "vocabulary" / "official.yaml", name="vocabulary/official.yaml")
    if len(documents) != 1 or documents[0].complaints:
        raise Misconfigured(f"{documents[0].complaints[0] if documents else 'vocabulary/official.yaml is empty'}")
    return OfficialVocabulary.model_validate(documents[0].value)
