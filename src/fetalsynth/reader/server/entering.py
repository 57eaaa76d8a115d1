"""Links become sessions: a reader's, an administrator's; and leaving again.

The page behind a link goes on by itself to the first page without the secret, which so leaves the
address bar and the history. It is a page and not a redirect, because browsers send a strict cookie
after a redirect only when the link was clicked on the same site, and links come by mail.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fetalsynth.reader.database.access import enter, leave
from fetalsynth.reader.server.people import (
    Role,
    changing_reader,
    context,
    cookie_name,
    session_token,
    set_session,
)
from fetalsynth.reader.server.rendering import page

router = APIRouter()


@router.get("/r/{token}")
def reader_link(request: Request, token: str) -> HTMLResponse:
    """Open a reader's session."""
    return _enter(request, token, role="reader", onward="/")


@router.get("/a/{token}")
def administrator_link(request: Request, token: str) -> HTMLResponse:
    """Open an administrator's session."""
    return _enter(request, token, role="progress", onward="/progress")


def _enter(request: Request, token: str, *, role: Role, onward: str) -> HTMLResponse:
    here = context(request)
    study = here.served
    session = enter(here.database, study_id=study.id, token=token, administrator=role == "progress")
    if session is None:
        raise HTTPException(404, "This link opens nothing. Please ask for a new one.")
    response = page(
        "enter.html", title=study.study.title, context={"onward": onward, "refresh": onward}
    )
    set_session(request, response, role=role, session=session)
    return response


@router.post("/leave")
def leaving(request: Request, csrf: Annotated[str, Form(max_length=100)] = "") -> Response:
    """End the reader's session on this device."""
    changing_reader(request, csrf=csrf)
    here = context(request)
    leave(here.database, study_id=here.served.id, session=session_token(request))
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(cookie_name(here.served, "reader"), path="/")
    return response
