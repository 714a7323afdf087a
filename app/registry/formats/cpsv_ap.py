"""CPSV-AP 3.2.0 (Core Public Service Vocabulary Application Profile) as JSON-LD with its context inside.

Mandatory in 3.2.0 and always written: of a `cpsv:PublicService` one identifier, titles, descriptions and competent
authorities; of a `cv:PublicOrganisation` labels and `dct:spatial`; of requirement, rule, evidence, output, event one
identifier and titles; of a rule descriptions too; of a channel, cost and evidence type one identifier. Titles and
descriptions are language-tagged, as the profile's shapes want.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.registry.formats.drafts import words
from app.registry.formats.findings import Document
from app.registry.formats.linked import (
    address_of,
    cost_of,
    email_of,
    japanese,
    licence_of,
    municipality_address,
    municipality_name,
    tag_address,
    tag_name,
    tags_of,
    texts,
)
from app.registry.formats.organisation_number import of_municipality
from app.registry.formats.vocabulary import TagList
from app.registry.formats.wording import amount_text, deadlines_text, persons_text
from app.registry.loading import Registry
from app.registry.programme import Programme

CONTEXT = {
    "adms": "http://www.w3.org/ns/adms#",
    "cpsv": "http://purl.org/vocab/cpsv#",
    "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "time": "http://www.w3.org/2006/time#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_TERRITORY = "http://data.europa.eu/88u/dataset/atu-type"
_JAPANESE = "http://publications.europa.eu/resource/authority/language/JPN"
_LAW = "https://laws.e-gov.go.jp/law/"


class _Graph:
    """Nodes by their address; the same law, town or tag stands in it once."""

    def __init__(self, registry: Registry, base_url: str) -> None:
        self.registry, self.base_url = registry, base_url
        self.nodes: dict[str, Document] = {}

    def add(self, address: str, types: str | list[str], **parts: object) -> Document:
        """Add a node (keys with `_` for `:`), without empty parts, and return the reference to it."""
        written = {key.replace("_", ":", 1): part for key, part in parts.items() if part not in (None, "", [])}
        self.nodes.setdefault(address, {"@id": address, "@type": types, **written})
        return {"@id": address}

    def concept(self, tag_list: TagList, code: str) -> Document:
        """Add an official tag as a concept."""
        label = japanese(tag_name(tag_list, code, self.registry))
        return self.add(tag_address(tag_list, code, self.base_url), "skos:Concept", skos_prefLabel=label)


def graph(programmes: Iterable[Programme], registry: Registry, base_url: str) -> Document:
    """Return programmes as one JSON-LD graph; `base_url` is the open-data address, such as https://…/open/v1."""
    made = _Graph(registry, base_url)
    language = made.add(_JAPANESE, "dct:LinguisticSystem")
    for programme in programmes:
        _service(made, programme, language)
    return {"@context": CONTEXT, "@graph": list(made.nodes.values())}


def _service(made: _Graph, programme: Programme, language: Document) -> None:
    at = address_of(programme, made.base_url)
    licence, credit = licence_of(programme)
    tags = tags_of(programme, made.registry)
    laws = _laws(made, programme, at)
    evidence = _evidence(made, programme, at)
    rule = made.add(
        f"{at}#rule", "cpsv:Rule", dct_identifier=f"{programme.key}#rule", dct_language=language, cpsv_implements=laws,
        dct_title=japanese(words()["export"]["rule_title"].format(name=programme.name.ja)),
        dct_description=japanese(persons_text(programme, made.registry)),
    )  # fmt: skip
    territory = _territory(made, programme)
    made.add(
        at, "cpsv:PublicService",
        dct_identifier=programme.psid or programme.key,
        dct_title=texts(programme.name),
        dct_description=texts(programme.summary),
        cv_hasCompetentAuthority=_authority(made, programme, territory),
        dct_spatial=territory,
        dct_language=language,
        dct_license={"@id": licence} if licence.startswith("https://") else japanese(licence),
        dct_rights=japanese(credit),
        adms_status=_status(made, programme),
        dct_audience=[made.concept("target", code) for code in tags["target"]],
        cv_thematicArea=[made.concept("category", code) for code in tags["category"]],
        cv_isGroupedBy=[_event(made, code) for code in tags["category"]],
        cpsv_follows=rule,
        cv_holdsRequirement=_requirements(made, programme, at, rule, evidence),
        cpsv_hasInput=evidence,
        cv_hasLegalResource=laws,
        cpsv_produces=_output(made, programme, at),
        cv_hasCost=_cost(made, programme, at),
        cv_hasChannel=_channels(made, programme, at, evidence),
        cv_contactPoint=_contact(made, programme, at),
        foaf_page=[
            made.add(source.url, "foaf:Document", dct_title=japanese(source.title)) for source in programme.sources
        ],
    )  # fmt: skip


def _territory(made: _Graph, programme: Programme) -> Document:
    code = programme.municipality
    name = municipality_name(programme, made.registry)
    address = municipality_address(code, made.base_url)
    return made.add(address, ["dct:Location", _TERRITORY], dct_identifier=code, skos_prefLabel=japanese(name))


def _authority(made: _Graph, programme: Programme, territory: Document) -> Document:
    code = programme.municipality
    return made.add(
        f"{municipality_address(code, made.base_url)}#government",
        "cv:PublicOrganisation",
        dct_identifier=of_municipality(code) or code,
        skos_prefLabel=japanese(municipality_name(programme, made.registry)),
        dct_spatial=territory,
    )


def _status(made: _Graph, programme: Programme) -> Document:
    address = f"{made.base_url.rstrip('/')}/vocabulary/certainty/{programme.certainty}"
    return made.add(address, "skos:Concept", skos_prefLabel=japanese(words()["export"]["status"][programme.certainty]))


def _event(made: _Graph, code: str) -> Document:
    name = japanese(tag_name("category", code, made.registry))
    # The shapes ask for cv:Event; a reader without inference does not know that a life event is one.
    address = f"{tag_address('category', code, made.base_url)}#event"
    return made.add(address, ["cv:LifeEvent", "cv:Event"], dct_identifier=f"category-{code}", dct_title=name)


def _requirements(
    made: _Graph, programme: Programme, at: str, rule: Document, evidence: list[Document]
) -> list[Document]:
    title = japanese(persons_text(programme, made.registry))
    first = made.add(
        f"{at}#requirement", "cv:Requirement", dct_identifier=f"{programme.key}#requirement", dct_title=title,
        cv_fulfils=rule, cv_hasSupportingEvidence=evidence,
    )  # fmt: skip
    return [first, *(
        made.add(
            f"{at}#requirement-{place}", "cv:Requirement", cv_fulfils=rule,
            dct_identifier=f"{programme.key}#requirement-{place}", dct_title=texts(condition),
        )
        for place, condition in enumerate(programme.unmodelled, 1)
    )]  # fmt: skip


def _evidence(made: _Graph, programme: Programme, at: str) -> list[Document]:
    papers = programme.application.documents if programme.application else ()
    return [
        made.add(f"{at}#evidence-{place}", "cv:Evidence", dct_identifier=f"{programme.key}#evidence-{place}",
                 dct_title=texts(paper))
        for place, paper in enumerate(papers, 1)
    ]  # fmt: skip


def _laws(made: _Graph, programme: Programme, at: str) -> list[Document]:
    found: list[Document] = []
    for place, law in enumerate(programme.legal_basis, 1):
        whole = None
        if law.e_gov_law_id:
            whole = made.add(
                f"{_LAW}{law.e_gov_law_id}", "eli:LegalResource",
                dct_identifier=law.e_gov_law_id, dct_title=japanese(law.name),
            )  # fmt: skip
        if whole is not None and not law.article:
            found.append(whole)
            continue
        title = japanese(" ".join(filter(None, (law.name, law.article))))
        found.append(made.add(f"{at}#law-{place}", "eli:LegalResource", dct_title=title, dct_relation=whole))
    return found


def _output(made: _Graph, programme: Programme, at: str) -> Document:
    amount = amount_text(programme, made.registry)
    return made.add(
        f"{at}#output", "cv:Output", dct_identifier=f"{programme.key}#output", dct_title=texts(programme.name),
        dct_description=japanese(amount) if amount else None,
        dct_type=made.concept("contents", tags_of(programme, made.registry)["contents"][0])
        if tags_of(programme, made.registry)["contents"] else None,
    )  # fmt: skip


def _cost(made: _Graph, programme: Programme, at: str) -> Document | None:
    said = cost_of(programme)
    if not said:
        return None
    return made.add(f"{at}#cost", "cv:Cost", dct_identifier=f"{programme.key}#cost", dct_description=japanese(said))


def _channels(made: _Graph, programme: Programme, at: str, evidence: list[Document]) -> list[Document]:
    application = programme.application
    how = application.how if application else None
    if how is None:
        return []
    ways = {
        "online": (japanese(words()["export"]["online"]), how.online.url) if how.online else None,
        "counter": (texts(how.counter), None) if how.counter else None,
        "post": (texts(how.post), None) if how.post else None,
    }
    when = _when(made, programme, at)
    return [
        made.add(
            f"{at}#channel-{name}", "cv:Channel", dct_identifier=f"{programme.key}#channel-{name}",
            dct_description=way[0], foaf_page={"@id": way[1]} if way[1] else None, cv_openingHours=when,
            cpsv_hasInput=evidence,
        )
        for name, way in ways.items() if way is not None
    ]  # fmt: skip


def _when(made: _Graph, programme: Programme, at: str) -> Document | None:
    application = programme.application
    opens = application.opens.on if application and application.opens else None
    closes = next((one.on for one in application.deadlines if one.on), None) if application else None
    said = deadlines_text(programme, made.registry)
    if opens is None and closes is None and not said:
        return None
    ends = {
        name: {"@type": "time:Instant", "time:inXSDDate": {"@value": day.isoformat(), "@type": "xsd:date"}}
        for name, day in (("time_hasBeginning", opens), ("time_hasEnd", closes)) if day
    }  # fmt: skip
    return made.add(f"{at}#when", "time:TemporalEntity", dct_description=japanese(said) if said else None, **ends)


def _contact(made: _Graph, programme: Programme, at: str) -> Document | None:
    contact = programme.application.contact if programme.application else None
    if contact is None:
        return None
    hours = None
    if contact.hours:
        hours = made.add(f"{at}#hours", "time:TemporalEntity", dct_description=texts(contact.hours))
    return made.add(
        f"{at}#contact", "cv:ContactPoint", dct_title=texts(contact.desk), cv_telephone=contact.phone,
        cv_email=email_of(programme), cv_openingHours=hours,
        cv_contactPage=made.add(contact.url, "foaf:Document") if contact.url else None,
    )  # fmt: skip
