"""schema.org `GovernmentService` as JSON-LD, with the vocabulary as an inline context so that nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable

from app.registry.formats.findings import Document
from app.registry.formats.linked import (
    address_of,
    email_of,
    japanese,
    licence_of,
    municipality_address,
    municipality_name,
    tag_name,
    tags_of,
    texts,
)
from app.registry.formats.organisation_number import of_municipality
from app.registry.formats.wording import LANGUAGES, amount_text, persons_text
from app.registry.loading import Registry
from app.registry.programme import Programme

CONTEXT = {"@vocab": "https://schema.org/", "url": {"@type": "@id"}, "license": {"@type": "@id"}}


def graph(programmes: Iterable[Programme], registry: Registry, base_url: str) -> Document:
    """Return programmes as one JSON-LD graph; `base_url` is the open-data address, such as https://…/open/v1."""
    return {"@context": CONTEXT, "@graph": [_service(programme, registry, base_url) for programme in programmes]}


def _service(programme: Programme, registry: Registry, base_url: str) -> Document:
    licence, credit = licence_of(programme)
    tags = tags_of(programme, registry)
    amount = amount_text(programme, registry)
    body = _body(programme, registry, base_url)
    parts: Document = {
        "@id": address_of(programme, base_url),
        "@type": "GovernmentService",
        "identifier": programme.psid or programme.key,
        "name": texts(programme.name),
        "description": texts(programme.summary),
        "url": programme.sources[0].url,
        "serviceType": [japanese(tag_name("contents", code, registry)) for code in tags["contents"]],
        "category": [japanese(tag_name("category", code, registry)) for code in tags["category"]],
        "serviceOperator": {"@id": body["@id"]},
        "provider": body,
        "jurisdiction": _area(programme, registry, base_url),
        "areaServed": {"@id": municipality_address(programme.municipality, base_url)},
        "audience": {
            "@type": "Audience",
            "audienceType": [japanese(tag_name("target", code, registry)) for code in tags["target"]],
            "description": japanese(persons_text(programme, registry)),
        },
        "serviceOutput": {"@type": "Thing", "name": texts(programme.name), "description": japanese(amount)}
        if amount
        else None,
        "availableChannel": _channels(programme),
        "subjectOf": {
            "@type": "CreativeWork",
            "license": licence if licence.startswith("https://") else None,
            "creditText": japanese(credit),
            "dateModified": max(source.checked_on for source in programme.sources).isoformat(),
        },
    }
    return _without_empty(parts)


def _body(programme: Programme, registry: Registry, base_url: str) -> Document:
    return {
        "@id": f"{municipality_address(programme.municipality, base_url)}#government",
        "@type": "GovernmentOrganization",
        "identifier": of_municipality(programme.municipality) or programme.municipality,
        "name": japanese(municipality_name(programme, registry)),
    }


def _area(programme: Programme, registry: Registry, base_url: str) -> Document:
    return {
        "@id": municipality_address(programme.municipality, base_url),
        "@type": "AdministrativeArea",
        "identifier": programme.municipality,
        "name": japanese(municipality_name(programme, registry)),
    }


def _channels(programme: Programme) -> list[Document]:
    application = programme.application
    how, contact = (application.how, application.contact) if application else (None, None)
    channels: list[Document] = []
    if how is not None and how.online is not None and how.online.url:
        channels.append({"@type": "ServiceChannel", "serviceUrl": {"@id": how.online.url}})
    for way in (how.counter, how.post) if how is not None else ():
        if way is not None:
            channels.append(
                {"@type": "ServiceChannel", "description": texts(way), "availableLanguage": LANGUAGES["ja"]}
            )
    if contact is not None:
        point = {
            "@type": "ContactPoint",
            "name": texts(contact.desk),
            "telephone": contact.phone,
            "email": email_of(programme),
            "url": contact.url,
        }
        channels.append({"@type": "ServiceChannel", "servicePhone": point})
    return channels


def _without_empty(part: Document) -> Document:
    """Return a node without keys that say nothing, at any depth."""
    kept: Document = {}
    for key, value in part.items():
        if isinstance(value, list):
            value = [_without_empty(one) if isinstance(one, dict) else one for one in value]  # noqa: PLW2901
        written = _without_empty(value) if isinstance(value, dict) else value
        if written not in (None, "", [], {}):
            kept[key] = written
    return kept
