"""CPSV-AP 3.2.0 and schema.org: parsed by an RDF library, mandatory properties and their numbers checked."""

import copy
import json
import warnings

import pytest
from rdflib import RDF, Graph, Literal, Namespace, URIRef

from app.registry.formats import cpsv_ap, schema_org, tokyo_json
from app.registry.programme import Programme
from tests.fixtures.official_records import spoiled

BASE = "https://todoke.invalid/open/v1"
CPSV = Namespace("http://purl.org/vocab/cpsv#")
CV = Namespace("http://data.europa.eu/m8g/")
DCT = Namespace("http://purl.org/dc/terms/")
SKOS = Namespace("http://www.w3.org/2004/02/skos/core#")
ELI = Namespace("http://data.europa.eu/eli/ontology#")
TIME = Namespace("http://www.w3.org/2006/time#")
FOAF = Namespace("http://xmlns.com/foaf/0.1/")
ADMS = Namespace("http://www.w3.org/ns/adms#")
SCHEMA = Namespace("https://schema.org/")

MANDATORY = {
    CPSV.PublicService: {
        DCT.identifier: (1, 1),
        DCT.title: (1, None),
        DCT.description: (1, None),
        CV.hasCompetentAuthority: (1, None),
    },
    CV.PublicOrganisation: {SKOS.prefLabel: (1, None), DCT.spatial: (1, None)},
    CV.Requirement: {DCT.identifier: (1, 1), DCT.title: (1, None)},
    CPSV.Rule: {DCT.identifier: (1, 1), DCT.title: (1, None), DCT.description: (1, None)},
    CV.Evidence: {DCT.identifier: (1, 1), DCT.title: (1, None)},
    CV.Output: {DCT.identifier: (1, 1), DCT.title: (1, None)},
    CV.Event: {DCT.identifier: (1, 1), DCT.title: (1, None)},
    CV.Channel: {DCT.identifier: (1, 1)},
    CV.Cost: {DCT.identifier: (1, 1)},
}
CLASSES = {
    CV.hasCompetentAuthority: CV.PublicOrganisation,
    CV.holdsRequirement: CV.Requirement,
    CV.fulfils: CPSV.Rule,
    CV.hasSupportingEvidence: CV.Evidence,
    CV.hasChannel: CV.Channel,
    CV.contactPoint: CV.ContactPoint,
    CV.hasCost: CV.Cost,
    CV.hasLegalResource: ELI.LegalResource,
    CV.isGroupedBy: CV.Event,
    CV.thematicArea: SKOS.Concept,
    CV.openingHours: TIME.TemporalEntity,
    CPSV.follows: CPSV.Rule,
    CPSV.implements: ELI.LegalResource,
    CPSV.produces: CV.Output,
    CPSV.hasInput: CV.Evidence,
    DCT.audience: SKOS.Concept,
    DCT.language: DCT.LinguisticSystem,
    ADMS.status: SKOS.Concept,
}


def parsed(document) -> Graph:
    assert isinstance(document["@context"], dict), "nothing is fetched"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of rdflib about itself
        return Graph().parse(data=json.dumps(document, ensure_ascii=False), format="json-ld")


@pytest.fixture(scope="module")
def imported(known):
    return Programme.model_validate(tokyo_json.read(spoiled("(at)"), 1, known).document)


@pytest.fixture(scope="module")
def cpsv(latest, imported, registry):
    return parsed(cpsv_ap.graph([*latest, imported], registry, BASE))


def test_every_class_has_what_the_profile_demands(cpsv, latest):
    for kind, properties in MANDATORY.items():
        nodes = set(cpsv.subjects(RDF.type, kind))
        assert nodes, kind
        for node in nodes:
            for property_, (least, most) in properties.items():
                found = list(cpsv.objects(node, property_))
                assert len(found) >= least, (node, property_)
                assert most is None or len(found) <= most, (node, property_)
    assert len(set(cpsv.subjects(RDF.type, CPSV.PublicService))) == len(latest) + 1


def test_what_a_property_leads_to_is_of_its_class(cpsv):
    for property_, kind in CLASSES.items():
        ends = set(cpsv.objects(None, property_))
        assert ends, property_
        for end in ends:
            assert (end, RDF.type, kind) in cpsv, (property_, end)


def test_titles_and_descriptions_have_a_language(cpsv):
    for property_ in (DCT.title, DCT.description, SKOS.prefLabel):
        for text in cpsv.objects(None, property_):
            assert isinstance(text, Literal) and text.language in {"ja", "ja-simple", "en"}, (property_, text)
    service = URIRef(f"{BASE}/programmes/000000/child-allowance")
    assert {title.language for title in cpsv.objects(service, DCT.title)} == {"ja", "ja-simple", "en"}


def test_laws_are_named_by_e_gov(cpsv):
    service = URIRef(f"{BASE}/programmes/000000/child-allowance")
    assert URIRef("https://laws.e-gov.go.jp/law/346AC0000000073") in set(cpsv.objects(service, CV.hasLegalResource))


def test_licences_are_ours_or_those_of_the_record(cpsv, imported):
    ours = URIRef(f"{BASE}/programmes/000000/child-allowance")
    theirs = URIRef(f"{BASE}/programmes/{imported.key}")
    by = URIRef("https://creativecommons.org/licenses/by/4.0/")
    assert set(cpsv.objects(ours, DCT.license)) == set(cpsv.objects(theirs, DCT.license)) == {by}
    assert "GovTech東京" in str(cpsv.value(theirs, DCT.rights))
    assert "GovTech東京" not in str(cpsv.value(ours, DCT.rights))


def test_an_imported_contact_has_an_address_one_can_write_to(cpsv, imported):
    contact = URIRef(f"{BASE}/programmes/{imported.key}#contact")
    assert str(cpsv.value(contact, CV.email)) == "care@example.invalid"
    cost = cpsv.value(URIRef(f"{BASE}/programmes/{imported.key}"), CV.hasCost)
    assert "3,000円" in str(cpsv.value(cost, DCT.description))


def test_days_to_apply_are_dates(cpsv, imported):
    when = URIRef(f"{BASE}/programmes/{imported.key}#when")
    assert str(cpsv.value(cpsv.value(when, TIME.hasBeginning), TIME.inXSDDate)) == "2026-04-01"
    assert str(cpsv.value(cpsv.value(when, TIME.hasEnd), TIME.inXSDDate)) == "2027-03-31"


def test_nothing_is_fetched_and_nothing_dangles(latest, registry):
    for module in (cpsv_ap, schema_org):
        document = module.graph(latest[:3], registry, BASE)
        assert isinstance(document["@context"], dict)
        addresses = {node["@id"] for node in document["@graph"]}
        assert len(addresses) == len(document["@graph"]), "every node stands once"


def test_documents_are_left_as_they_are(imported, registry):
    before = copy.deepcopy(imported.model_dump())
    cpsv_ap.graph([imported], registry, BASE)
    schema_org.graph([imported], registry, BASE)
    assert imported.model_dump() == before


@pytest.fixture(scope="module")
def schema(latest, imported, registry):
    return parsed(schema_org.graph([*latest, imported], registry, BASE))


def test_every_service_says_who_where_and_how(schema, latest):
    services = set(schema.subjects(RDF.type, SCHEMA.GovernmentService))
    assert len(services) == len(latest) + 1
    for service in services:
        for property_ in (SCHEMA.identifier, SCHEMA.name, SCHEMA.description, SCHEMA.url, SCHEMA.provider,
                          SCHEMA.serviceOperator, SCHEMA.jurisdiction, SCHEMA.areaServed, SCHEMA.audience,
                          SCHEMA.serviceType, SCHEMA.category, SCHEMA.subjectOf):  # fmt: skip
            assert schema.value(service, property_, any=True) is not None, (service, property_)
        assert isinstance(schema.value(service, SCHEMA.url), URIRef)
        work = schema.value(service, SCHEMA.subjectOf)
        assert schema.value(work, SCHEMA.license) == URIRef("https://creativecommons.org/licenses/by/4.0/")


def test_amounts_and_desks_are_there(schema):
    service = URIRef(f"{BASE}/programmes/000000/child-allowance")
    output = schema.value(service, SCHEMA.serviceOutput)
    assert "月額30,000円" in str(schema.value(output, SCHEMA.description))
    assert schema.value(service, SCHEMA.availableChannel, any=True) is not None
