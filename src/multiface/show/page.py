"""One self-contained HTML page of pictures, curves, tables and videos, with no address outside itself.

    page = Page("What the model learned", "Trained on 120 frames ...", facts=[("31.2 dB", "PSNR, frozen")])
    page.section("Results")
    page.compare(photo, render, ("photo", "model"), "Drag to compare")
    page.curves({"train": (iterations, losses)}, x_label="iteration", log=True)
    page.write("report.html")

Pictures are uint8 (H, W, 3) in display colours. All text is escaped.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from multiface.core.errors import ArgumentError, CaptureError
from multiface.core.files import write_text
from multiface.core.parallel import Background
from multiface.show.colormap import difference_table
from multiface.show.curves import Series, line_chart, line_class
from multiface.show.pictures import PictureSource, data_uri

COLOUR_NOTE = (
    "Everything measured is in linear camera units, 0 to 255, as the sensors recorded it. "
    "Everything shown is in display colours: white-balanced and brightened for the eye, after measuring."
)
EMBED_LIMIT = 8 * 2**20
"""Videos up to this many bytes go into the page unless one says otherwise; larger ones are linked beside it."""

Span = Literal["full", "half"]


@dataclass(frozen=True)
class Block:
    """One thing on the page: its kind (a macro of ``blocks.html``), what it shows, and its width on a wide screen."""

    kind: str
    values: Mapping[str, Any]
    span: Span = "full"


@dataclass
class Section:
    """A heading, a line under it, and blocks."""

    title: str
    lead: str
    anchor: str
    blocks: list[Block] = field(default_factory=list)


class Page:
    """Collects what a page shows, in order; every method returns the page, so calls can be chained.

    Args:
        title: Headline.
        summary: A sentence or two under it.
        facts: Key figures for the top: (value, what it is).
        picture: uint8 (H, W, 3) picture beside the headline, display colours.
        eyebrow: Short line above the headline.
        note: How to read colours and numbers; the default says linear and display.
    """

    def __init__(
        self,
        title: str,
        summary: str,
        *,
        facts: Sequence[tuple[str, str]] = (),
        picture: np.ndarray | None = None,
        eyebrow: str = "multiface",
        note: str = COLOUR_NOTE,
    ) -> None:
        self._compressing = Background()
        self._head = {"title": title, "summary": summary, "facts": list(facts), "eyebrow": eyebrow, "note": note}
        self._head["picture"] = None if picture is None else self._picture(picture, title, 1000)
        self._sections: list[Section] = []

    def section(self, title: str, lead: str = "") -> Page:
        """Begin a section; what follows belongs to it."""
        self._sections.append(Section(title, lead, f"part-{len(self._sections) + 1}"))
        return self

    def text(self, *paragraphs: str) -> Page:
        """Paragraphs of plain text."""
        return self._add("text", {"paragraphs": paragraphs})

    def figure(
        self, image: np.ndarray, caption: str = "", *, alt: str = "", span: Span = "full", max_width: int = 1600
    ) -> Page:
        """A picture that opens in full size when clicked."""
        return self._add("figure", {"picture": self._picture(image, alt or caption, max_width), "caption": caption}, span)

    def gallery(self, pictures: Sequence[tuple[np.ndarray, str]], *, max_width: int = 900) -> Page:
        """Pictures of (image, caption) in a grid that follows the width of the screen."""
        items = [{"picture": self._picture(image, caption, max_width), "caption": caption} for image, caption in pictures]
        return self._add("gallery", {"items": items})

    def compare(
        self,
        left: np.ndarray,
        right: np.ndarray,
        labels: tuple[str, str],
        caption: str = "",
        *,
        span: Span = "full",
        max_width: int = 1200,
    ) -> Page:
        """Two pictures of one size over each other, with a slider (mouse, finger or arrow keys) between them."""
        if left.shape != right.shape:
            raise ArgumentError("pictures to be compared need one size", expected=left.shape, found=right.shape)
        pair = [self._picture(image, label, max_width) for image, label in zip((left, right), labels)]
        return self._add("compare", {"left": pair[0], "right": pair[1], "labels": labels, "caption": caption}, span)

    def curves(
        self,
        series: Series,
        *,
        title: str = "",
        x_label: str = "iteration",
        y_label: str = "",
        log: bool = False,
        caption: str = "",
        span: Span = "half",
    ) -> Page:
        """Curves of name -> (x, y); see :func:`multiface.show.curves.line_chart`. Half as wide as the page by default."""
        chart = line_chart(series, x_label=x_label, y_label=y_label, log=log)
        legend = [(name, line_class(index)) for index, name in enumerate(series)]
        return self._add("curves", {"chart": chart, "legend": legend, "title": title, "caption": caption}, span)

    def table(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[object]],
        caption: str = "",
        *,
        notes: Mapping[str, str] | None = None,
    ) -> Page:
        """A table; the first column names the rows. ``notes`` explains columns by their header, under the table."""
        for number, row in enumerate(rows):
            if len(row) != len(header):
                raise ArgumentError(f"row {number} of a table has the wrong length", expected=len(header), found=len(row))
        # A narrow screen breaks cells in front of an interval, never inside it.
        cells = [["" if cell is None else str(cell).replace("\u00b1 ", "\u00b1\u00a0") for cell in row] for row in rows]
        return self._add("table", {"header": header, "rows": cells, "caption": caption, "notes": dict(notes or {})})

    def video(
        self, path: str | Path, caption: str = "", *, embed: bool | None = None, sound: bool = False, span: Span = "full"
    ) -> Page:
        """An MP4. ``embed`` None puts it into the page up to ``EMBED_LIMIT`` bytes and links it otherwise.

        Without ``sound`` it plays by itself, silently, again and again. The file is read by :meth:`write`.
        """
        return self._add("video", {"path": Path(path), "caption": caption, "embed": embed, "sound": sound}, span)

    def commands(self, lines: Sequence[str | tuple[str, str]]) -> Page:
        """Commands to copy: each one text, or (what it does, command)."""
        items = [("", line) if isinstance(line, str) else line for line in lines]
        return self._add("commands", {"items": items})

    def html(self, folder: str | Path = ".") -> str:
        """The page as text; videos too large to embed are linked relative to ``folder``."""
        import jinja2

        from multiface import __version__

        self._compressing.finish()
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("multiface.show"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )
        sections = [replace(section, blocks=[_resolved(b, Path(folder)) for b in section.blocks]) for section in self._sections]
        linked = any(block.values.get("linked") for section in sections for block in section.blocks)
        return environment.get_template("page.html").render(
            **self._head, sections=sections, linked=linked, spectrum=_spectrum(), version=__version__
        )

    def write(self, path: str | Path) -> Path:
        """Write the page to ``path`` atomically and return the path.

        Raises:
            CaptureError: a video is not there.
            StorageError: ``path`` cannot be written.
        """
        path = Path(path)
        write_text(path, self.html(path.parent))
        return path

    def _picture(self, image: np.ndarray, alt: str, max_width: int) -> dict[str, Any]:
        source = PictureSource(image, max_width, self._compressing)
        height, width = image.shape[:2]
        scale = min(1.0, max_width / width)
        return {"source": source, "alt": alt, "width": round(width * scale), "height": max(1, round(height * scale))}

    def _add(self, kind: str, values: Mapping[str, Any], span: Span = "full") -> Page:
        if not self._sections:
            self.section("")
        self._sections[-1].blocks.append(Block(kind, values, span))
        return self


def _resolved(block: Block, folder: Path) -> Block:
    """The block with its video read in, or addressed relative to ``folder``."""
    if block.kind != "video":
        return block
    path: Path = block.values["path"]
    if not path.is_file():
        raise CaptureError("the video for the page is not there", where=path, remedy="Write the video before the page")
    embed = block.values["embed"] if block.values["embed"] is not None else path.stat().st_size <= EMBED_LIMIT
    if embed:
        source = data_uri(path.read_bytes(), "video/mp4")
    else:
        source = urllib.parse.quote(os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/"))
    return replace(block, values={**block.values, "source": source, "linked": not embed})


def _spectrum() -> str:
    """The colours of differences as a CSS gradient: the page's ornament is the scale that its pictures use."""
    stops = difference_table()[48:240:16]
    return ", ".join(f"rgb({r} {g} {b})" for r, g, b in stops.tolist())
