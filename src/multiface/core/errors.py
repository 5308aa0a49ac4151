"""The exceptions that multiface raises on purpose.

Each one is a message for the user: what went wrong, where, what was expected, what was found, and what to do. The
command line prints it as one message with exit status 2 and no traceback.
"""

from __future__ import annotations

from pathlib import Path


class MultifaceError(Exception):
    """Base of all errors that a user can act on.

    Args:
        what: What is wrong, a short clause without a full stop.
        where: File, folder or option it is about; a file may carry a line as ``"KRT, line 12"``.
        expected: What would have been right.
        found: What was there instead.
        remedy: What the user can do, one sentence without a full stop.
    """

    exit_status = 2

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        expected: object = None,
        found: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(self._message())

    def __reduce__(self):  # keyword-only arguments do not survive the default pickling between worker processes
        return _rebuild, (type(self), self.what, self.where, self.expected, self.found, self.remedy)

    @property
    def reason(self) -> str:
        """What is wrong, with what was expected and found: for lists that name the file themselves."""
        details = [
            f"{label} {value}" for label, value in (("expected", self.expected), ("found", self.found)) if value is not None
        ]
        return f"{self.what} ({', '.join(details)})" if details else self.what

    def _message(self) -> str:
        text = self.reason if self.where is None else f"{self.where}: {self.reason}"
        return text + (f". {self.remedy}." if self.remedy else ".")


def _rebuild(cls, what, where, expected, found, remedy):
    return cls(what, where=where, expected=expected, found=found, remedy=remedy)


class ArgumentError(MultifaceError, ValueError):
    """An argument or option has a value, shape or type that cannot be used."""


class FormatError(MultifaceError, ValueError):
    """A file is there but its content is not what its format asks for."""


class CaptureError(MultifaceError):
    """A capture lacks something that the request needs."""


class CheckpointError(MultifaceError):
    """A file cannot be used as a model."""


class DependencyError(MultifaceError, ImportError):
    """An optional package is missing; the remedy is the pip line that installs it."""


class StorageError(MultifaceError, OSError):
    """A file or folder could not be written: no space, no permission."""

    def __str__(self) -> str:  # OSError would print its own form
        return self._message()


class DivergenceError(MultifaceError):
    """Training cannot go on: a loss became NaN or infinite, or every batch is being discarded."""


class JobError(MultifaceError):
    """A job of several processes cannot go on: one of them was lost or stands still."""

    exit_status = 1
