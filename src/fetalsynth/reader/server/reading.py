"""What the reading page asks for: the screen that is next, its pictures, drafts and answers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from fetalsynth.reader.database.access import Reader
from fetalsynth.reader.database.answering import AnsweredError, mark_shown, save_draft, submit
from fetalsynth.reader.database.showing import (
    Shown,
    UnknownPresentationError,
    at_position,
    current,
    find,
)
from fetalsynth.reader.server.folder import ServedStudy
from fetalsynth.reader.server.forms import Given, answer_of, draft_of
from fetalsynth.reader.server.people import changing_reader, context, the_reader
from fetalsynth.reader.server.stimuli import stimulus

router = APIRouter()
_UNKNOWN = HTTPException(404, "There is no such presentation.")


def _screen(served: ServedStudy, shown: Shown | None) -> dict[str, Any] | None:
    """A screen as its reader may know it: nothing of the item, its role or its set."""
    if shown is None:
        return None
    before = 0 if shown.block == "practice" else served.screens.get("practice", 0)
    return {
        "presentation": shown.token,
        "block": shown.block,
        "number": shown.position - before,
        "total": served.screens[shown.block],
        "answered": shown.answered,
        "draft": draft_of(shown.draft, served.study.questions),
    }


def _ready(reader: Reader) -> Reader:
    if not (reader.consented and reader.displayed):
        raise HTTPException(403, "Please start from the first page.")
    return reader


@router.get("/api/current")
def current_screen(request: Request) -> JSONResponse:
    """The screen that is next, or null."""
    reader, here = _ready(the_reader(request)), context(request)
    with here.database.reading() as connection:
        shown = current(connection, reader=reader)
    if shown is not None:
        mark_shown(here.database, shown=shown)
    return JSONResponse({"next": _screen(here.served, shown)})


@router.get("/api/back/{number}")
def earlier_screen(request: Request, number: int) -> JSONResponse:
    """An answered screen of the block by its number, where the study lets readers go back."""
    reader, here = _ready(the_reader(request)), context(request)
    if not here.served.study.allow_back or not 1 <= number <= 10**6:
        raise _UNKNOWN
    before = here.served.screens.get("practice", 0) if reader.practised else 0
    try:
        with here.database.reading() as connection:
            shown = at_position(connection, reader=reader, position=before + number)
    except UnknownPresentationError as error:
        raise _UNKNOWN from error
    return JSONResponse({"next": _screen(here.served, shown)})


@router.get("/stimulus/{token}/{part}")
def picture(request: Request, token: str, part: str) -> Response:
    """One picture of the screen that is the reader's now."""
    reader, here = _ready(the_reader(request)), context(request)
    allow_back = here.served.study.allow_back and not reader.finished
    try:
        with here.database.reading() as connection:
            shown = find(connection, reader=reader, token=token, allow_back=allow_back)
        data = stimulus(here.served, shown, part)
    except LookupError as error:
        raise _UNKNOWN from error
    return Response(data, media_type="image/png")


@router.post("/api/draft")
def draft(request: Request, given: Given) -> Response:
    """Keep what was put in so far, for this device or the next."""
    reader, here = _ready(changing_reader(request)), context(request)
    try:
        save_draft(
            here.database,
            reader=reader,
            token=given.presentation,
            draft=given.draft(),
            allow_back=here.served.study.allow_back,
        )
    except UnknownPresentationError as error:
        raise _UNKNOWN from error
    return Response(status_code=204)


@router.post("/api/answer")
def answer(request: Request, given: Given) -> JSONResponse:
    """Store an answer for good; says so only when it is on disk."""
    reader, here = _ready(changing_reader(request)), context(request)
    study = here.served.study
    try:
        outcome, following = submit(
            here.database,
            study_id=here.served.id,
            reader=reader,
            token=given.presentation,
            answer=answer_of(given, study.questions),
            timing=given.timing(),
            allow_back=study.allow_back,
        )
    except UnknownPresentationError as error:
        raise _UNKNOWN from error
    except AnsweredError as error:
        raise HTTPException(409, "This one has been answered already.") from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    return JSONResponse({"outcome": outcome, "next": _screen(here.served, following)})
