"""The published ``download_config.json``: which archives it means."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from multiface.capture.text import read_bytes
from multiface.core.errors import FormatError

_FLAGS = {"image": "images", "texture": "unwrapped_uv", "mesh": "tracked_mesh", "audio": "audio", "metadata": "metadata"}
"""Flag -> what the names contain that are skipped when it is false."""
_LARGEST = 4 << 20


@dataclass(frozen=True)
class PublishedConfig:
    """Content of a configuration file.

    Attributes:
        path: The file.
        entities: Ids, each once, in the order of the file.
        skipped: Parts of archive names that are left out.
        expressions: Substrings; an archive with any of them in its name is taken.
    """

    path: Path
    entities: tuple[str, ...]
    skipped: tuple[str, ...]
    expressions: tuple[str, ...]
    _stems: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    def takes(self, name: str) -> bool:
        """Whether the published downloader takes the archive ``name``: case counts, anywhere in the name."""
        if any(part in name for part in self.skipped):
            return False
        if "metadata" in name or "audio" in name:
            return True
        stem = name.partition("_cam")[0]  # the same for up to 151 archives: 87,000 names times 153 entries take seconds
        if stem not in self._stems:
            self._stems[stem] = any(part in stem for part in self.expressions)
        return self._stems[stem] or any(part in name for part in self.expressions)


def read_published_config(path: str | Path) -> PublishedConfig:
    """Read a configuration in the published form.

    Raises:
        CaptureError: there is no such file.
        FormatError: it is no JSON object, or a key is missing, unknown or of the wrong type.
    """
    path = Path(path)
    data = read_bytes(path, limit=_LARGEST, kind="download configuration")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("download configuration is not JSON", where=path, found=str(error)) from error
    known = ("entity", *_FLAGS, "expression")
    if not isinstance(content, dict):
        raise FormatError("download configuration is no JSON object", where=path, expected="keys " + ", ".join(known))
    missing, unknown = [key for key in known if key not in content], [key for key in content if key not in known]
    if missing or unknown:
        found = [f"without {key}" for key in missing] + [f"unknown key {key!r}" for key in unknown]
        raise FormatError(
            "download configuration has other keys than the published one",
            where=path,
            expected=", ".join(known),
            found=", ".join(found),
            remedy="Correct the file, or choose with --entity, --segment, --camera and --asset instead",
        )
    return PublishedConfig(
        path,
        entities=_strings(content, "entity", path),
        skipped=tuple(part for key, part in _FLAGS.items() if not _flag(content, key, path)),
        expressions=_strings(content, "expression", path),
    )


def _strings(content: dict, key: str, path: Path) -> tuple[str, ...]:
    value = content[key]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FormatError(f"'{key}' has the wrong type", where=path, expected="a list of strings", found=repr(value)[:80])
    return tuple(dict.fromkeys(value))


def _flag(content: dict, key: str, path: Path) -> bool:
    if not isinstance(content[key], bool):
        raise FormatError(f"'{key}' has the wrong type", where=path, expected="true or false", found=repr(content[key])[:80])
    return content[key]
