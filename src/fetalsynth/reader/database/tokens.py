"""Secrets: 256 bits from the operating system, kept as hashes that are bound to one study.

The database and its backups hold only hashes; a link of one study opens no other, because the
study's identity is hashed with the token. A plain SHA-256 is enough for secrets that nobody chose:
2²⁵⁶ guesses need no slow hash to be out of reach.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

_PURPOSE = "fetalsynth reader study"


def new_token() -> str:
    """A fresh secret of 256 bits, as 43 characters that are safe in an address."""
    return secrets.token_urlsafe(32)


def new_stimulus_token() -> str:
    """A fresh name for one presentation: 128 bits, 32 hexadecimal digits."""
    return secrets.token_hex(16)


def token_hash(token: str, *, study_id: str) -> str:
    """SHA-256 (hexadecimal) of the token together with the study it belongs to."""
    return hashlib.sha256(f"{_PURPOSE}\n{study_id}\n{token}".encode()).hexdigest()


def csrf_token(session_token: str) -> str:
    """What a page of this session must send back with every change.

    It follows from the session's secret, which no script and no other site can read.
    """
    return hmac.new(session_token.encode(), b"csrf", hashlib.sha256).hexdigest()
