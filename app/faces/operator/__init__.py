"""The operator's face (`/health`, `/metrics`): is it alive, does it get on, and how fast.

Belongs here: what probes and monitoring read. Not here: figures for staff, anything about a household.
"""

from fastapi import APIRouter

from app.faces.operator import monitoring

routers: tuple[APIRouter, ...] = (monitoring.router,)
