"""The staff face (`/staff`): programmes and figures of one municipality; never a row of one household."""

from fastapi import APIRouter

routers: tuple[APIRouter, ...] = ()
