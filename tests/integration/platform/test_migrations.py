"""Migrations run up from empty and leave what the code says."""

import uuid

from sqlmodel import SQLModel

import app.accounts.tables
import app.delivery.tables
import app.households.tables
import app.insight.tables
import app.matching.tables
import app.notices.tables
import app.partners.tables
import app.platform.change_queue
import app.registry.tables  # noqa: F401
from app.platform import schema


def test_up_from_empty_twice_and_without_drift(servers):
    name = f"empty_{uuid.uuid4().hex[:10]}"
    schema.prepare_roles(servers.database_url("postgres"))
    schema.prepare_database(servers.database_url("postgres"), name)
    url = servers.database_url("todoke_owner", name)
    schema.upgrade(url)
    schema.upgrade(url)
    assert schema.drift(url, SQLModel.metadata) == []
