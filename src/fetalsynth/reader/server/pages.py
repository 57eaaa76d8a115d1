"""The way through a study: consent, display check, instructions, reading, the end.

Every page sends a reader who is not there yet, or is past it, to where they are.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fetalsynth.reader.database.access import Reader, begin_main, consent, note_display
from fetalsynth.reader.database.reading import counts, has_begun
from fetalsynth.reader.database.showing import current
from fetalsynth.reader.database.tokens import csrf_token
from fetalsynth.reader.server import display_check
from fetalsynth.reader.server.forms import GROUPS, READING, ROOMS, SYNTHETIC
from fetalsynth.reader.server.keys import quality_keys, tag_keys, verdict_points
from fetalsynth.reader.server.people import changing_reader, context, session_token, the_reader
from fetalsynth.reader.server.rendering import page
from fetalsynth.reader.server.stimuli import parts

router = APIRouter()


def _stage(request: Request, reader: Reader) -> str:
    """Address of the page that this reader is at."""
    if not reader.consented:
        return "/consent"
    if not reader.displayed:
        return "/display"
    if reader.finished:
        return "/finished"
    with context(request).database.reading() as connection:
        if current(connection, reader=reader) is None:
            return "/begin"
        return "/read" if has_begun(connection, reader_id=reader.id) else "/instructions"


def _go(address: str) -> RedirectResponse:
    return RedirectResponse(address, status_code=303)


def _page(request: Request, template: str, **more: Any) -> HTMLResponse:
    """A page of the reader's own, with what all of them need."""
    here = context(request)
    shared = {
        "study": here.served.study,
        "screens": here.served.screens,
        "csrf": csrf_token(session_token(request)),
        "modality": "volume" if here.served.study.modality == "volumes" else "image",
    }
    return page(template, title=here.served.study.title, context={**shared, **more})


@router.get("/")
def start(request: Request) -> Response:
    """To the page that the reader is at."""
    return _go(_stage(request, the_reader(request)))


@router.get("/consent")
def consent_page(request: Request) -> Response:
    """What the study is, whether the reader agrees, and who they are."""
    reader = the_reader(request)
    if reader.consented:
        return _go("/")
    choices = {"groups": GROUPS, "reading": READING, "synthetic": SYNTHETIC}
    return _page(request, "consent.html", reader=reader, choices=choices, problem="")


@router.post("/consent")
def give_consent(
    request: Request,
    *,
    csrf: Annotated[str, Form(max_length=100)] = "",
    group: Annotated[str, Form(max_length=40)] = "",
    years: Annotated[float | None, Form(ge=0, le=80, allow_inf_nan=False)] = None,
    reads: Annotated[str, Form(max_length=40)] = "",
    seen: Annotated[str, Form(max_length=40)] = "",
    agree: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Store consent and expertise."""
    reader = changing_reader(request, csrf=csrf)
    given = group in GROUPS and reads in READING and seen in SYNTHETIC and years is not None
    if agree != "yes" or not given:
        choices = {"groups": GROUPS, "reading": READING, "synthetic": SYNTHETIC}
        problem = "Please answer every question and tick the box to agree."
        return _page(request, "consent.html", reader=reader, choices=choices, problem=problem)
    consent(
        context(request).database,
        study_id=context(request).served.id,
        reader_id=reader.id,
        group=group,
        years_experience=years,
        expertise={"reads": reads, "seen_synthetic": seen},
    )
    return _go("/")


@router.get("/display")
def display_page(request: Request) -> Response:
    """Whether the darkest and the brightest greys can be told apart here."""
    reader = the_reader(request)
    if not reader.consented:
        return _go("/")
    digits = display_check.digits(session_token(request))
    return _page(request, "display.html", digits=digits, rooms=ROOMS, failed=False)


@router.post("/display")
def check_display(
    request: Request,
    *,
    csrf: Annotated[str, Form(max_length=100)] = "",
    dark: Annotated[str, Form(max_length=4)] = "",
    bright: Annotated[str, Form(max_length=4)] = "",
    room: Annotated[str, Form(max_length=20)] = "",
    screen: Annotated[str, Form(max_length=60)] = "",
    anyway: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Store what was seen; one more try where the digits were not read."""
    reader = changing_reader(request, csrf=csrf)
    if not reader.consented:
        return _go("/")
    hidden = display_check.digits(session_token(request))
    seen = {"dark": dark.strip() == hidden.dark, "bright": bright.strip() == hidden.bright}
    if not all(seen.values()) and anyway != "yes":
        return _page(request, "display.html", digits=hidden, rooms=ROOMS, failed=True)
    result = {**seen, "room": room if room in ROOMS else "", "screen": screen}
    here = context(request)
    note_display(here.database, study_id=here.served.id, reader_id=reader.id, display=result)
    return _go("/")


@router.get("/instructions")
def instructions(request: Request) -> Response:
    """What is asked, and the keys."""
    reader = the_reader(request)
    if not reader.displayed:
        return _go("/")
    return _page(request, "instructions.html", **_asked(request))


def _asked(request: Request) -> dict[str, Any]:
    questions = context(request).served.study.questions
    return {
        "points": verdict_points(questions),
        "qualities": quality_keys(questions),
        "tags": tag_keys(questions),
    }


@router.get("/begin")
def begin_page(request: Request) -> Response:
    """Between practice and study."""
    reader = the_reader(request)
    if _stage(request, reader) != "/begin":
        return _go("/")
    return _page(request, "begin.html", **_asked(request))


@router.post("/begin")
def begin(request: Request, csrf: Annotated[str, Form(max_length=100)] = "") -> Response:
    """Leave the practice behind."""
    reader = changing_reader(request, csrf=csrf)
    if _stage(request, reader) == "/begin":
        here = context(request)
        begin_main(here.database, study_id=here.served.id, reader_id=reader.id)
    return _go("/read")


@router.get("/read")
def read(request: Request) -> Response:
    """The reading page; what it shows comes by script."""
    reader = the_reader(request)
    stage = _stage(request, reader)
    if stage not in ("/read", "/instructions"):
        return _go(stage)
    here = context(request)
    item = here.served.study.items[0]
    shown = {"parts": parts(here.served), "item": item, "interpolation": here.interpolation}
    return _page(request, "read.html", **shown, **_asked(request))


@router.get("/finished")
def finished(request: Request) -> Response:
    """Thanks, and no results: they would reach colleagues who still read."""
    reader = the_reader(request)
    if not reader.finished:
        return _go("/")
    with context(request).database.reading() as connection:
        answered, _ = counts(connection, reader_id=reader.id, block="main")
    return _page(request, "finished.html", answered=answered)
