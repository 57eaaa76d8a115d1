"""``fetalsynth reader serve``: the study in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fetalsynth.errors import UserError

_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Serve:
    """Serve a reader study until it is stopped; every answer is on disk when it is confirmed."""

    study: Annotated[Path, tyro.conf.Positional]
    """Folder made by: fetalsynth reader new."""
    database: str | None = None
    """SQLAlchemy URL for the answers; by default SQLite beside the study (STUDY.answers.sqlite)."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for other machines (put TLS in front of it)."""
    port: int = 8000
    """Port to listen on."""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """How every image is enlarged on the screen, for all readers alike."""


def run(arguments: list[str]) -> int:
    """Run the command; returns 0 when it is stopped."""
    wanted = tyro.cli(Serve, args=arguments, prog="fetalsynth reader serve")
    need_the_optional_part()

    from fetalsynth.artifacts.manifest import read_manifest
    from fetalsynth.reader.database.opening import default_url, open_database
    from fetalsynth.reader.server.app import create_app
    from fetalsynth.reader.server.folder import load_study
    from fetalsynth.reader.server.serving import listen, run_server

    served = load_study(wanted.study)
    bound = listen(host=wanted.host, port=wanted.port)
    url = wanted.database or default_url(wanted.study)
    database = open_database(url, create=True)
    app = create_app(served=served, database=database, interpolation=wanted.interpolation)
    port = bound.getsockname()[1]
    print(f"serving {served.study.title!r} at http://{wanted.host}:{port} (stop with Ctrl+C)")
    print(f"links: fetalsynth reader invite {wanted.study} CODE… | --administrator", flush=True)
    audit = read_manifest(wanted.study).facts.get("audit", "not run")
    if audit != "passed":
        print(f"note: audit of this study: {audit}; see fetalsynth reader audit", flush=True)
    if wanted.host not in _HERE:
        print("note: links and answers travel unprotected unless a TLS proxy stands in front")
    try:
        run_server(app, bound=bound)
    except KeyboardInterrupt:
        print("stopped; all confirmed answers are stored")
    finally:
        database.close()
    return 0


def need_the_optional_part() -> None:
    """Raise UserError where the packages of reader studies are missing."""
    from importlib.util import find_spec

    for name in ("fastapi", "sqlalchemy", "uvicorn", "python_multipart"):
        if find_spec(name) is None:
            raise UserError(
                "reader studies need the optional part 'reader': pip install 'fetalsynth[reader]'"
            )
