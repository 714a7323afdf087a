"""The funnel of a programme in one municipality: matched → told → applied, counted by the worker.

Counting and showing are two steps, because the web role can see no household but its own: it reads what was counted.
"""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.insight.suppression import shown
from app.insight.tables import ProgrammeFigures
from app.platform import clock
from app.platform.database import Context, worker_session

_COUNT = text(
    """
    INSERT INTO programme_figures
        (municipality_code, programme_key, eligible, undetermined, told, applied, counted_at)
    SELECT CAST(:code AS varchar), p.key, coalesce(e.eligible, 0), coalesce(e.undetermined, 0), coalesce(n.told, 0),
           coalesce(o.applied, 0), :now
    FROM programmes p
    LEFT JOIN (SELECT programme_key,
                      count(DISTINCT household_id) FILTER (WHERE verdict = 'eligible') AS eligible,
                      count(DISTINCT household_id) FILTER (WHERE verdict = 'undetermined') AS undetermined
               FROM entitlements
               WHERE valid_from <= :today AND (valid_until IS NULL OR valid_until >= :today)
               GROUP BY programme_key) e ON e.programme_key = p.key
    LEFT JOIN (SELECT programme_key, count(DISTINCT household_id) AS told FROM notices
               WHERE municipality_code = :code AND kind = 'new_support' AND released_at IS NOT NULL
               GROUP BY programme_key) n ON n.programme_key = p.key
    LEFT JOIN (SELECT programme_key, count(DISTINCT household_id) AS applied FROM outcomes
               WHERE outcome IN ('applied', 'filed', 'vaccinated', 'attended') AND undone_at IS NULL
               GROUP BY programme_key) o ON o.programme_key = p.key
    ON CONFLICT (municipality_code, programme_key) DO UPDATE SET
        eligible = excluded.eligible, undetermined = excluded.undetermined, told = excluded.told,
        applied = excluded.applied, counted_at = excluded.counted_at
    """
)


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One programme's figures as staff may see them; small counts are texts such as 10未満."""

    programme_key: str
    eligible_text: str
    undetermined_text: str
    told_text: str
    applied_text: str
    counted_at: dt.datetime


def count(municipality_code: str) -> None:
    """Count the households of one municipality anew, programme by programme, as the worker."""
    with worker_session(Context(municipality=municipality_code)) as session:
        session.execute(_COUNT, {"code": municipality_code, "now": clock.now(), "today": clock.today()})
        session.commit()


def programme_figures(session: Session, municipality_code: str) -> list[FigureRow]:
    """Return what was counted last for a municipality, in its context, small counts hidden."""
    rows = session.exec(
        select(ProgrammeFigures)
        .where(ProgrammeFigures.municipality_code == municipality_code)
        .order_by(col(ProgrammeFigures.programme_key))
    )
    return [
        FigureRow(
            programme_key=row.programme_key,
            eligible_text=shown(row.eligible),
            undetermined_text=shown(row.undetermined),
            told_text=shown(row.told),
            applied_text=shown(row.applied),
            counted_at=row.counted_at,
        )
        for row in rows
    ]
