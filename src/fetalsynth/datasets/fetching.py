"""One file over HTTP, going on where an earlier attempt stopped."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from fetalsynth.errors import UserError, explain
from fetalsynth.progress import Progress

_CHUNK = 1 << 18
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class ResumingDownloader:
    """A downloader for pooch that keeps what has arrived in ``partial`` and asks for the rest.

    pooch gives every attempt a new temporary file and deletes it on failure; the partial file is
    what lasts. Where the server does not know ranges the download begins again.
    """

    partial: Path

    def __call__(
        self, url: str, output_file: Any, pooch: Any, check_only: bool = False
    ) -> bool | None:
        """Fetch ``url`` and move it to ``output_file`` (a path); as pooch wants it."""
        if check_only:
            return True
        try:
            self._fetch(url)
            self.partial.replace(output_file)
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise UserError(
                f"{url}: the transfer failed ({error}); what has arrived is kept: give the same "
                "command again to go on"
            ) from error
        except OSError as error:
            raise explain(error, self.partial) from error
        return None

    def _fetch(self, url: str) -> None:
        have = self.partial.stat().st_size if self.partial.exists() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing is left to ask for; the checksum will tell
                return
            raise
        with response:
            self._receive(response, have=have if response.status == 206 else 0)

    def _receive(self, response: HTTPResponse, *, have: int) -> None:
        left = int(response.headers.get("Content-Length") or 0)
        label, total = f"download {self.partial.stem}", (have + left) >> 20
        with (
            self.partial.open("ab" if have else "wb") as stream,
            Progress(label=label, total=total, start=have >> 20, unit="MiB") as progress,
        ):
            size = have
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                progress.advance(((size + len(chunk)) >> 20) - (size >> 20))
                size += len(chunk)
        if left and size < have + left:
            raise ConnectionError(f"{have + left - size} bytes are missing")
