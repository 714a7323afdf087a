"""The parent face (`/`): what a family sees and does.

Belongs here: pages of one household for its guardians, and what everybody may read without signing in. Not here: other
faces' pages, rules, wording of notices.
"""

from fastapi import APIRouter

routers: tuple[APIRouter, ...] = ()
