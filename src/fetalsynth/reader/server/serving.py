"""Running the application with uvicorn, on one port, in one process."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import uvicorn

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.reader.server.guard import Guard


def listen(*, host: str, port: int) -> socket.socket:
    """A socket bound to the address, before anything is promised to the user.

    Raises UserError where the port is taken or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "is in use; choose another --port" if taken else f"cannot be used ({error})"
        raise UserError(f"{host}:{port}: {reason}") from error
    return bound


def run_server(app: Guard, *, bound: socket.socket) -> None:
    """Serve until interrupted. Requests are not logged: their addresses hold secrets."""
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=30
    )
    uvicorn.Server(settings).run(sockets=[bound])
