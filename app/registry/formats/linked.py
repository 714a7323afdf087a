"""What CPSV-AP and schema.org both say of a programme: its addresses, texts with their languages, tags, licence."""

from __future__ import annotations

from typing import Any

from app.registry.formats.drafts import TOKYO_REGISTRY, words
from app.registry.formats.findings import Document, Findings
from app.registry.formats.texts import email_address, plain
from app.registry.formats.vocabulary import TagList, official_vocabulary
from app.registry.formats.wording import LANGUAGES
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.references import facts_named_in
from app.rules.documents import Text

OUR_LICENCE = "https://creativecommons.org/licenses/by/4.0/"


def address_of(programme: Programme, base_url: str) -> str:
    """Return the address that names a programme: `BASE/programmes/CODE/id`."""
    return f"{base_url.rstrip('/')}/programmes/{programme.key}"


def municipality_address(code: str, base_url: str) -> str:
    """Return the address that names a municipality: `BASE/municipalities/CODE`."""
    return f"{base_url.rstrip('/')}/municipalities/{code}"


def tag_address(tag_list: TagList, code: str, base_url: str) -> str:
    """Return the address that names an official tag: `BASE/vocabulary/category/003`."""
    return f"{base_url.rstrip('/')}/vocabulary/{tag_list}/{code}"


def texts(text: Text) -> list[Document]:
    """Return a text in every language it has, tagged `ja`, `ja-simple` (やさしい日本語), `en`."""
    found = {"ja": text.ja, "ja-easy": text.ja_easy, "en": text.en}
    return [{"@value": said, "@language": LANGUAGES[name]} for name, said in found.items() if said]


def japanese(text: str) -> Document:
    """Return a text as Japanese."""
    return {"@value": text, "@language": "ja"}


def tags_of(programme: Programme, registry: Registry) -> dict[TagList, tuple[str, ...]]:
    """Return the official tags: those of the imported record, else those that follow from the programme."""
    vocabulary = official_vocabulary(registry.directory)
    record = _tokyo_record(programme)
    if record is not None:
        return vocabulary.read_tags(record.get("tag"), Findings())
    facts = set(facts_named_in(programme.model_dump(mode="json", by_alias=True, exclude_none=True)))
    return vocabulary.tags_for(programme.kind, programme.subject, facts)


def tag_name(tag_list: TagList, code: str, registry: Registry) -> str:
    """Return the name of an official tag."""
    return official_vocabulary(registry.directory).names(tag_list)[code]


def licence_of(programme: Programme) -> tuple[str, str]:
    """Return (licence, the credit it asks for): ours, or those an imported record came with."""
    kept = programme.official_record or {}
    return kept.get("licence", OUR_LICENCE), kept.get("credit", words()["export"]["official_credit"])


def email_of(programme: Programme) -> str | None:
    """Return the e-mail address of an imported record's contact, `(at)` read as @."""
    contact = (_tokyo_record(programme) or {}).get("contact")
    return email_address(plain(contact.get("contactEmail"))) if isinstance(contact, dict) else None


def cost_of(programme: Programme) -> str:
    """Return what an imported record says the family pays; our own documents do not hold it."""
    record = _tokyo_record(programme) or {}
    return "\n".join(filter(None, (plain(record.get("cost")), plain(record.get("costConditions")))))


def municipality_name(programme: Programme, registry: Registry) -> str:
    """Return the name of the body that offers a programme."""
    town = registry.municipalities.get(programme.municipality)
    return town.name if town else programme.municipality


def _tokyo_record(programme: Programme) -> dict[str, Any] | None:
    kept = programme.official_record or {}
    record = kept.get("record")
    return record if kept.get("format") == TOKYO_REGISTRY and isinstance(record, dict) else None
