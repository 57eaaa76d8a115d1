"""A reader's browser without the browser: the requests that the pages and scripts make."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx

FORM = {"group": "clinician", "years": "10", "reads": "daily", "seen": "never", "agree": "yes"}
GOOD = {"confidence": 5, "quality": 3, "tags": ["texture"]}


class Visitor:
    """One device of one reader, on top of any httpx client."""

    def __init__(self, client: httpx.Client, token: str = "") -> None:
        self.client = client
        self.csrf = ""
        if token:
            assert client.get(f"/r/{token}").status_code == 200

    def page(self, path: str = "/") -> httpx.Response:
        """Follow the pages; keeps the CSRF token of the last one."""
        response = self.client.get(path, follow_redirects=True)
        found = re.search(r'(?:name="csrf" value|data-csrf)="([0-9a-f]{64})"', response.text)
        self.csrf = found.group(1) if found else self.csrf
        return response

    def form(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf, **fields}, follow_redirects=True)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.client.post(path, json=body, headers={"X-CSRF-Token": self.csrf})

    def begin(self) -> dict[str, Any]:
        """Consent, pass the display check, and come to the first screen of the practice."""
        self.page()
        self.form("/consent", **FORM)
        self.page()
        self.form("/display", dark="x", bright="x", room="dark", anyway="yes")
        self.page("/read")
        return self.current()

    def current(self) -> dict[str, Any]:
        screen: dict[str, Any] = self.client.get("/api/current").json()["next"]
        return screen

    def answer(self, screen: dict[str, Any], **given: Any) -> httpx.Response:
        spent = {"active": 1.5, "total": 2.5, "hidden": 0.5}
        body = {"presentation": screen["presentation"], "seconds": spent, **(given or GOOD)}
        return self.post("/api/answer", body)

    def read_on(
        self, given: Callable[[int], dict[str, Any]] = lambda _: GOOD, *, most: int = 10**6
    ) -> int:
        """Answer screens until none is left (or ``most``); returns how many."""
        count, screen = 0, self.current()
        while screen is not None and count < most:
            response = self.answer(screen, **given(count))
            assert response.status_code == 200, response.text
            count, screen = count + 1, response.json()["next"]
        return count

    def to_main(self) -> dict[str, Any]:
        """All of the practice, and the first screen of the study itself."""
        self.begin()
        self.read_on()
        self.page()
        self.form("/begin")
        return self.current()
