"""The staff face (`/staff`): programmes and figures of one municipality; never a row of one household.

Belongs here: pages for posts in a municipality's office. Not here: other faces' pages; counting (`insight`); the words
of a rule (`rules.read_back`).
"""

from fastapi import APIRouter

from app.faces.staff import programme_pages, registry_api, sign_in_pages, work_pages

routers: tuple[APIRouter, ...] = (sign_in_pages.router, programme_pages.router, work_pages.router, registry_api.router)
