"""Answers to POST: made once for each `Idempotency-Key`, given again when the request is repeated."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header
from pydantic import BaseModel
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from app.faces.partner.caller import Caller
from app.partners.idempotency import Answer, claim_key, fingerprint, keep_answer
from app.platform.clock import real_now
from app.platform.database import Context, app_session


@dataclass(frozen=True, slots=True)
class OnceOnly:
    """One POST of one partner, with its key if it has one."""

    partner_id: uuid.UUID
    key: str | None
    wanted: bytes

    def answer(self, status_code: int, work: Callable[[Session], BaseModel]) -> Response:
        """Do the work in one transaction and return its answer, or the answer that the same request got before.

        Work that fails leaves nothing behind, its key neither: the same request may be tried again.
        """
        with app_session(Context(partner=self.partner_id)) as session:
            claimed = None
            if self.key is not None:
                claimed = claim_key(session, self.partner_id, self.key, self.wanted, at=real_now())
                if isinstance(claimed, Answer):
                    return _response(claimed, replayed=True)
            answer = Answer(status_code, work(session).model_dump_json(by_alias=True))
            if claimed is not None:
                keep_answer(session, claimed, answer)
            session.commit()
        return _response(answer, replayed=False)


async def _once_only(
    request: Request,
    caller: Caller,
    idempotency_key: Annotated[
        str | None,
        Header(
            max_length=200,
            pattern=r"^[!-~]+$",
            description="Makes repeating the request safe for 24 hours: the same key gets the first answer again.",
        ),
    ] = None,
) -> OnceOnly:
    body = await request.body()
    return OnceOnly(caller.partner_id, idempotency_key, fingerprint(request.method, request.url.path, body))


Once = Annotated[OnceOnly, Depends(_once_only)]


def _response(answer: Answer, *, replayed: bool) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return Response(answer.body, answer.status_code, headers, media_type="application/json")
