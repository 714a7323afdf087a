"""The LINE face (`/line`): where the LINE-style platform tells us what its users did.

Belongs here: the one route that the platform calls. Not here: what an event means (`app.safeguards.line_events`), how
it is read (`app.delivery.incoming_line`), the linking pages of a guardian (parent face).
"""

from fastapi import APIRouter

from app.faces.line import webhook

routers: tuple[APIRouter, ...] = (webhook.router,)
