"""Errors that a user can mend, and warnings that a user should read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Something the user can put right; the command line prints it in one line and exits with 2.

    The message says what is wrong, in which file, and what to do.
    """


class DataWarning(UserWarning):
    """Something in the data that was not corrected and that the user should look at."""


_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and give the same command again",
    errno.EDQUOT: "your disk quota is used up; free some space and give the same command again",
    errno.EACCES: "permission denied; choose another place or change its permissions",
    errno.EPERM: "permission denied; choose another place or change its permissions",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOENT: "it does not exist",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def explain(error: OSError, path: Path) -> UserError:
    """Turn an operating-system error about ``path`` into a sentence that says what to do."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return UserError(f"{path}: {reason}")


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Re-raise operating-system errors inside the block as :class:`UserError` about ``path``.

    So is text that does not decode.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8 or restore the file"
        ) from error
    except OSError as error:
        raise explain(error, path) from error
