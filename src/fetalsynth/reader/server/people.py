"""Who asks: sessions in cookies, and the proof that a change comes from a page of this server."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from fastapi import HTTPException, Request, Response

from fetalsynth.reader.database.access import Reader, is_administrator, reader_of
from fetalsynth.reader.database.tokens import csrf_token
from fetalsynth.reader.database.writing import Database
from fetalsynth.reader.server.folder import ServedStudy

CSRF_HEADER = "X-CSRF-Token"
_LONGEST_TOKEN = 200
Role = Literal["reader", "progress"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every request works with."""

    served: ServedStudy
    database: Database
    interpolation: str


def context(request: Request) -> Context:
    """The study and database of this server."""
    found: Context = request.app.state.context
    return found


def cookie_name(served: ServedStudy, role: Role) -> str:
    """Cookies are shared by all ports of a host, so the name tells one study from another."""
    return f"{role}_{sha256(served.id.encode()).hexdigest()[:12]}"


def set_session(request: Request, response: Response, *, role: Role, session: str) -> None:
    """Hand out a session that no script can read and no other site can use.

    It ends with the browser: hospital computers are shared.
    """
    response.set_cookie(
        cookie_name(context(request).served, role),
        session,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


def session_token(request: Request, *, role: Role = "reader") -> str:
    """The session's secret as the browser sent it, "" where it sent none."""
    token = request.cookies.get(cookie_name(context(request).served, role), "")
    return token if len(token) <= _LONGEST_TOKEN else ""


def the_reader(request: Request) -> Reader:
    """The reader who asks. Raises 403 where there is no open session."""
    here = context(request)
    token = session_token(request)
    with here.database.reading() as connection:
        found = reader_of(connection, study_id=here.served.id, session=token) if token else None
    if found is None:
        raise HTTPException(403, "Please open the link of your invitation.")
    return found


def changing_reader(request: Request, *, csrf: str | None = None) -> Reader:
    """The reader who changes something; raises 403 without the session's CSRF token.

    ``csrf`` is the one of a form; scripts send it in a header.
    """
    reader = the_reader(request)
    sent = csrf if csrf is not None else request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), csrf_token(session_token(request)).encode()):
        raise HTTPException(403, "This page is out of date; please open it again.")
    return reader


def the_administrator(request: Request) -> None:
    """Raises 403 unless an administrator asks."""
    here = context(request)
    token = session_token(request, role="progress")
    with here.database.reading() as connection:
        allowed = bool(token) and is_administrator(
            connection, study_id=here.served.id, session=token
        )
    if not allowed:
        raise HTTPException(403, "Please open the administrator's link.")
