"""The administrator's page: who has come how far, and nothing of what they answered."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from fetalsynth.reader.database.reading import log_head, progress
from fetalsynth.reader.server.people import context, the_administrator
from fetalsynth.reader.server.rendering import page

router = APIRouter()


@router.get("/progress")
def progress_page(request: Request) -> HTMLResponse:
    """A table of readers."""
    the_administrator(request)
    here = context(request)
    with here.database.reading() as connection:
        rows = progress(connection, study_id=here.served.id)
        entries, head = log_head(connection, study_id=here.served.id)
    shown = {"readers": rows, "entries": entries, "head": head, "study": here.served.study}
    shown["places"] = len(here.served.orders) - len(rows)
    return page("progress.html", title=here.served.study.title, context=shown)
