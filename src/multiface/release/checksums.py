"""The list ``CHECKSUM`` of a person: MD5 digests as ``md5sum`` prints them."""

from __future__ import annotations

import re

from multiface.release.errors import ArchiveError

LARGEST = 32 << 20
_DIGEST = re.compile(r"\\?[0-9a-fA-F]{32}", re.ASCII)


def read_checksums(data: bytes, where: str) -> dict[str, str]:
    """File name -> MD5 digest (lower case). The digest is the first word of a line, the bare name the last.

    Raises:
        ArchiveError: this is no such list, a web page for example, or it has two digests for one name.
    """
    digests: dict[str, str] = {}
    strange = ""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2 or not _DIGEST.fullmatch(words[0]):
            strange = strange or line
            continue
        name, digest = words[-1].lstrip("*").rsplit("/", 1)[-1], words[0].lstrip("\\").lower()
        if digests.setdefault(name, digest) != digest:
            raise ArchiveError("two checksums for one file", where=f"{where}, line {number}", found=repr(name[:100]))
    if strange and not digests:
        raise ArchiveError(
            "this is no list of checksums",
            where=where,
            expected="lines with an MD5 digest and a name",
            found=repr(strange[:60]),
        )
    return digests
