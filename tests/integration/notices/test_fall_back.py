"""Where the app cannot be told, the family's own contact is."""

import pytest
from sqlalchemy import text

from app.matching.sweep import drain
from app.notices.announce import announce
from app.platform.database import owner_session
from app.platform.settings import settings
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled


@pytest.mark.parametrize("disabled", [True, False])
def test_a_family_whose_app_is_disabled_hears_by_its_contact(published_registry, monkeypatch, disabled):
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])
    household_id = enrolled(a_household(children=[a_child("2026-11-21")]))
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    if disabled:
        with owner_session() as session:
            session.execute(text("UPDATE partner_endpoints SET disabled_at = now(), disabled_reason = 'failing'"))
            session.commit()
    drain()
    announce()
    with owner_session() as session:
        rows = session.execute(text("SELECT channel, event_type FROM deliveries WHERE household_id IS NOT NULL")).all()
    told = sorted(row.channel for row in rows if row.event_type.startswith("notice."))
    assert told == (["email"] if disabled else ["email", "webhook"])
