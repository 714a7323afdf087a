"""The parent face (`/`): what a family sees and does.

Belongs here: pages of one household for its guardians, and what everybody may read without signing in. Not here: other
faces' pages, rules, wording of notices.
"""

from fastapi import APIRouter

from app.faces.parent import (
    care_pages,
    consent_pages,
    contact_pages,
    entering_pages,
    family_pages,
    inbox_pages,
    moving_pages,
    open_pages,
    question_pages,
    sign_in_pages,
)

routers: tuple[APIRouter, ...] = (
    entering_pages.router,
    inbox_pages.router,
    question_pages.router,
    family_pages.router,
    moving_pages.router,
    care_pages.router,
    consent_pages.router,
    contact_pages.router,
    sign_in_pages.router,
    open_pages.router,
)
