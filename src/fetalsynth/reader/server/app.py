"""The application: every route of the server stands in one of the modules that are named here."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from fetalsynth.reader.database.inviting import register_study
from fetalsynth.reader.database.writing import Database
from fetalsynth.reader.server import entering, pages, progress, reading
from fetalsynth.reader.server.folder import ServedStudy
from fetalsynth.reader.server.guard import Guard
from fetalsynth.reader.server.people import Context
from fetalsynth.reader.server.rendering import page, static_files, static_version

_KEPT = "public, max-age=31536000, immutable"
_PROBLEMS = {
    403: "Not open",
    404: "Not found",
    500: "Something went wrong",
}


def create_app(
    *, served: ServedStudy, database: Database, interpolation: str = "bilinear"
) -> Guard:
    """The ASGI application of one study, its guard around it.

    ``interpolation`` ("bilinear" or "nearest") is how every image is enlarged, for all readers.
    """
    register_study(database, study_id=served.id, digest=served.digest, title=served.study.title)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context = Context(served=served, database=database, interpolation=interpolation)
    for module in (entering, pages, reading, progress):
        app.include_router(module.router)
    app.add_api_route("/static/{version}/{name}", _static, methods=["GET"])
    app.add_exception_handler(StarletteHTTPException, _problem)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _broken)
    return Guard(app)


def _static(version: str, name: str) -> Response:
    found = static_files().get(name)
    if found is None or version != static_version():
        raise HTTPException(404, "There is no such page.")
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": _KEPT})


def _for_script(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/stimulus/"))


def _problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, StarletteHTTPException) else 500
    detail = error.detail if isinstance(error, StarletteHTTPException) else ""
    if _for_script(request):
        return JSONResponse({"detail": detail}, status_code=status)
    headline = _PROBLEMS.get(status, "Not possible")
    return page("problem.html", title=headline, context={"detail": detail}, status=status)


def _malformed(request: Request, _error: Exception) -> Response:
    """Says no more than that: what was sent is not repeated into the page."""
    return _problem(request, HTTPException(422, "What was sent is not an answer to this page."))


def _broken(request: Request, _error: Exception) -> Response:
    return _problem(request, HTTPException(500, "Please tell whoever runs this study."))
