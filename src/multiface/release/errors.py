"""What can go wrong on the way from the server to the disk."""

from __future__ import annotations

from multiface.core.errors import FormatError, MultifaceError


class TransferError(MultifaceError):
    """Something could not be fetched, after all attempts."""


class MissingFileError(TransferError):
    """The server has no such file, or does not give it to us; asking again does not help."""


class ArchiveError(FormatError):
    """What arrived is not the archive that was expected; fetching it again may help."""


class RefusedArchiveError(FormatError):
    """An archive that tries something that no capture needs; nothing of it is kept, and it is not fetched again."""


class ChangedError(MultifaceError):
    """The file on the server is another one than when the transfer began."""


class Stopped(Exception):
    """The user interrupted the work; not an error."""


class WorkersError(MultifaceError):
    """The processes that store pictures in another format have ended."""
