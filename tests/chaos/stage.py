"""The installation that a chaos run breaks: real servers, a database that writes down what happens, families, partners.

The database gets triggers that log each change of state with the transaction's commit timestamp. They are the run's
alone: no migration and no production code knows of them.
"""

import itertools
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from app.households.enrolment import Enrolment, enrol
from app.households.synthetic import synthetic_households
from app.partners.endpoints import register_endpoint
from app.partners.registration import register_partner
from app.platform import bell, clock, schema
from app.platform.database import Context, app_session, dispose_engines, owner_session
from app.platform.embedded import EmbeddedServers
from app.platform.identifiers import new_id
from app.platform.sealing import generate_key
from app.platform.settings import PROJECT_DIRECTORY, settings
from app.registry.loading import load_registry
from app.registry.versions import publish
from app.safeguards.linking import link
from tests.chaos.evidence import append, lines

DATABASE: Final = "chaos"
PURPOSES: Final = (
    "matching:basic", "matching:income", "matching:single_parent", "matching:disability_health",
    "channel:email", "channel:line",
)  # fmt: skip
MUNICIPALITIES: Final = ("131121", "131041", "131211", "132047")
#: How each partner's endpoint behaves; the first of every partner is healthy or slow, others come on top of it.
PARTNERS: Final = (
    ("healthy", "hang"), ("healthy", "error"), ("slow", "throttle"), ("healthy", "trickle"), ("healthy", "big", "gone"),
)  # fmt: skip

_AUDIT: Final = """
CREATE TABLE chaos_changes (number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    by text NOT NULL DEFAULT current_setting('application_name'), id uuid NOT NULL, before text, after text NOT NULL,
    token_before uuid, token uuid, lease_before timestamptz, lease timestamptz, reason text, decided jsonb);
CREATE TABLE chaos_gates (number bigserial PRIMARY KEY, household uuid NOT NULL, epoch int NOT NULL,
    municipality text NOT NULL, protected_at timestamptz, stopped text[] NOT NULL);
CREATE TABLE chaos_links (number bigserial PRIMARY KEY, subject text NOT NULL, partner uuid NOT NULL,
    household uuid NOT NULL, revoked boolean NOT NULL);
GRANT INSERT ON chaos_changes, chaos_gates, chaos_links TO todoke_app, todoke_worker;
GRANT USAGE ON SEQUENCE chaos_changes_number_seq, chaos_gates_number_seq, chaos_links_number_seq
    TO todoke_app, todoke_worker;
CREATE FUNCTION chaos_decided() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_changes (id, after, decided)
    VALUES (NEW.id, NEW.state, to_jsonb(NEW) - 'message_sealed' - 'address_sealed');
    RETURN NULL; END $$;
CREATE FUNCTION chaos_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_changes (id, before, after, token_before, token, lease_before, lease, reason)
    VALUES (NEW.id, OLD.state, NEW.state, OLD.claim_token, NEW.claim_token, OLD.lease_until, NEW.lease_until, NEW.last_error);
    RETURN NULL; END $$;
CREATE FUNCTION chaos_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_gates (household, epoch, municipality, protected_at, stopped)
    VALUES (NEW.id, NEW.consent_epoch, NEW.municipality_code, NEW.protected_at, NEW.stopped_subjects);
    RETURN NULL; END $$;
CREATE FUNCTION chaos_link() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_links (subject, partner, household, revoked)
    VALUES (NEW.subject_id, NEW.partner_id, NEW.household_id, NEW.revoked_at IS NOT NULL);
    RETURN NULL; END $$;
CREATE TRIGGER chaos_decided AFTER INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION chaos_decided();
CREATE TRIGGER chaos_changed AFTER UPDATE ON deliveries FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.claim_token IS DISTINCT FROM NEW.claim_token)
    EXECUTE FUNCTION chaos_changed();
CREATE TRIGGER chaos_gate AFTER INSERT OR UPDATE ON households FOR EACH ROW EXECUTE FUNCTION chaos_gate();
CREATE TRIGGER chaos_link AFTER INSERT OR UPDATE ON partner_links FOR EACH ROW EXECUTE FUNCTION chaos_link();
"""

#: The logs as the evidence has them; a row's commit timestamp is that of the transaction that wrote it (xmin).
_LOGS: Final = {
    "changes": """SELECT number, id, extract(epoch FROM at) AS at, by, before, after, token_before, token,
        extract(epoch FROM pg_xact_commit_timestamp(xmin)) AS committed_at,
        extract(epoch FROM lease_before) AS lease_before, extract(epoch FROM lease) AS lease, reason,
        decided->>'event_id' AS event, decided->>'event_type' AS event_type, decided->>'lane' AS lane,
        decided->>'channel' AS channel, decided->>'municipality_code' AS municipality,
        decided->>'household_id' AS household, decided->>'partner_id' AS partner,
        decided->>'endpoint_id' AS endpoint, decided->>'contact_point_id' AS contact,
        (decided->>'consent_epoch')::int AS epoch, coalesce(decided->'subjects', '[]') AS subjects,
        extract(epoch FROM (decided->>'contact_confirmed_at')::timestamptz) AS contact_confirmed_at
        FROM chaos_changes ORDER BY number""",
    "gates": """SELECT number, household, epoch, municipality, extract(epoch FROM protected_at) AS protected_at, stopped,
        extract(epoch FROM pg_xact_commit_timestamp(xmin)) AS committed_at FROM chaos_gates ORDER BY number""",
    "links": "SELECT subject, partner, household, revoked FROM chaos_links ORDER BY number",
}
_FLOATS: Final = {"at", "committed_at", "lease_before", "lease", "protected_at", "contact_confirmed_at"}


@dataclass
class Stage:
    """What the run plays on.

    Attributes:
        folder: where the logs and the evidence go.
        partners: their ids, in the order of `PARTNERS`.
        endpoints: as in the evidence.
    """

    folder: Path
    servers: EmbeddedServers
    partners: list[UUID] = field(default_factory=list)
    endpoints: dict[str, dict[str, str]] = field(default_factory=dict)

    def admin(self, *statements: str) -> None:
        """Run statements as the server's administrator, each by itself."""
        engine = create_engine(self.servers.database_url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Read as the administrator, whom row-level security does not bind."""
        url = make_url(self.servers.database_url("postgres", DATABASE))
        with create_engine(url, poolclass=NullPool).connect() as connection:
            return [dict(row) for row in connection.execute(text(statement)).mappings()]

    def write_evidence(self, patient: Sequence[str]) -> None:
        """Write the database's logs and the stage beside the other logs of the run."""
        for name, statement in _LOGS.items():
            with (self.folder / f"{name}.jsonl").open("w") as log:
                for row in self.query(statement):
                    for column in _FLOATS & row.keys():
                        row[column] = float(row[column]) if row[column] is not None else None
                    log.write(json.dumps(row, default=str, separators=(",", ":")) + "\n")
        left = self.query(
            "SELECT (SELECT count(DISTINCT household_id) FROM changes WHERE reader = 'matching') AS unevaluated"
        )[0]
        overdue = self.query(
            "SELECT count(*) AS notices FROM notices n JOIN households h ON h.id = n.household_id"
            f" WHERE n.state = 'planned' AND n.release_at < timestamptz '{clock.now().isoformat()}' - interval '2 minutes'"
            " AND NOT EXISTS (SELECT FROM changes c WHERE c.household_id = n.household_id)"
        )[0]
        addresses: dict[str, list[str]] = defaultdict(list)
        for line in lines(self.folder / "addresses.jsonl"):
            addresses[line["household"]].append(line["address"])
        known = {
            "endpoints": self.endpoints,
            "addresses": addresses,
            "patient": list(patient),
            "unevaluated": left["unevaluated"],
            "overdue_notices": overdue["notices"],
        }
        (self.folder / "stage.json").write_text(json.dumps(known))


@contextmanager
def stage(folder: Path, extra: dict[str, str]) -> Iterator[Stage]:
    """Set up servers and an audited, migrated database; point this process and its children at them.

    Args:
        folder: of the run; made anew.
        extra: further settings.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with EmbeddedServers(folder / "servers", connections=200) as servers:
        made = Stage(folder, servers)
        admin = servers.database_url("postgres")
        schema.prepare_roles(admin)
        schema.prepare_database(admin, DATABASE)
        schema.upgrade(servers.database_url("todoke_owner", DATABASE))
        made.admin("ALTER SYSTEM SET track_commit_timestamp = on")
        servers.restart_postgres()
        _settle(servers, folder, extra)
        with owner_session() as session:
            session.connection().exec_driver_sql(_AUDIT)
            session.commit()
        try:
            yield made
        finally:
            bell.flush()
            dispose_engines()


def _settle(servers: EmbeddedServers, folder: Path, extra: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("TODOKE_")]:
        del os.environ[name]
    os.environ.update(
        {
            "TODOKE_DATABASE__URL": servers.database_url("todoke_app", DATABASE),
            "TODOKE_DATABASE__WORKER_URL": servers.database_url("todoke_worker", DATABASE),
            "TODOKE_DATABASE__OWNER_URL": servers.database_url("todoke_owner", DATABASE),
            "TODOKE_REDIS__URL": servers.broker_url(),
            "TODOKE_SEALING__KEYS": json.dumps({"chaos": generate_key()}),
            "TODOKE_SEALING__ACTIVE_KEY": "chaos",
            "TODOKE_SEALING__INDEX_KEY": generate_key(),
            "TODOKE_CLOCK__OFFSET_FILE": str(folder / "clock"),
            "TODOKE_PUBLIC_URL": "https://todoke.example",
            "TODOKE_OUTBOUND__ALLOWED_PRIVATE": '["127.0.0.1/32"]',
            "CHAOS_FOLDER": str(folder),
            **extra,
        }
    )
    settings.cache_clear()


def publish_registry() -> None:
    """Publish the real registry, as of now."""
    with owner_session() as session:
        publish(session, load_registry(PROJECT_DIRECTORY / "registry_data"), clock.now())
        session.commit()


def register_partners(made: Stage, webhook_url: str) -> None:
    """Register the partners with their endpoints; the receiver reads each one's secret from a file."""
    secrets: dict[str, dict[str, str]] = {}
    for number, manners in enumerate(PARTNERS):
        partner_id = new_id()
        made.partners.append(partner_id)
        with app_session(Context(partner=partner_id)) as session:
            register_partner(session, partner_id, name=f"架空アプリ社{number}", app_name=f"架空アプリ{number}")
            for manner in manners:
                path = f"/webhooks/{number}/{manner}"
                shown = register_endpoint(session, partner_id, webhook_url.removesuffix("/webhooks") + path)
                endpoint = str(shown.endpoint.id)
                made.endpoints[endpoint] = {"partner": str(partner_id), "manner": manner}
                secrets[path] = {"endpoint": endpoint, "secret": shown.secret, "manner": manner}
            session.commit()
    (made.folder / "secrets.json").write_text(json.dumps(secrets))


def enrol_families(folder: Path, partners: Sequence[UUID], count: int, *, seed: int) -> list[UUID]:
    """Enrol families in several municipalities with consent and contacts, and link each with one or two partners."""
    documents = itertools.chain.from_iterable(
        zip(
            *(synthetic_households(count, on=clock.today(), seed=seed, municipality=code) for code in MUNICIPALITIES),
            strict=True,
        )
    )
    contacts = [_contacts() for _ in range(count)]
    with owner_session() as session:
        ids = enrol(
            session,
            [
                Enrolment(document=document, purposes=PURPOSES, contacts=own, source="synthetic")
                for document, own in zip(itertools.islice(documents, count), contacts, strict=True)
            ],
        )
        # Before the commit: the database may be crashed between it and its answer.
        for household_id, own in zip(ids, contacts, strict=True):
            for _, address in own:
                append(folder / "addresses.jsonl", household=household_id, address=address)
        session.commit()
    for household_id in ids:
        for partner_id in partners_of(partners, household_id):
            link(household_id, partner_id, by="guardian:g1", via="chaos")
    return ids


def _contacts() -> Sequence[tuple[str, str]]:
    name = new_id().hex
    return (("email", f"family{name}@home.example"), ("line", f"U{name}"))


def partners_of(partners: Sequence[UUID], household_id: UUID) -> list[UUID]:
    """Return the one or two partners that a family is linked with."""
    first = household_id.int
    return [partners[first % len(partners)]] + ([partners[(first + 1) % len(partners)]] if first % 3 == 0 else [])
