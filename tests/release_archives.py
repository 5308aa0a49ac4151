"""Small captures packed as the server of the release has them: archives, CHECKSUM and index.html of a person."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from small_capture import write_small_capture

V1_ROOT = "m--20180227--0000--6795937--GHS"
V2_ROOT = "m--20190828--1318--002645310--GHS"
V1_SEGMENTS = {"E057_Cheeks_Puffed": 3, "SEN_theyre_going_to_louse_me_up_good": 2, "EXP_ROM07_Facial_Expressions": 4}
V2_SEGMENTS = {"EXP_neutral_peak": 2, "EXP_free_face": 3}
V1_CAMERAS = ("400002", "400004", "400007")
V2_CAMERAS = ("400262", "400264", "400265")
ENTITY = {V1_ROOT: "6795937", V2_ROOT: "002645310"}


def write_released_capture(folder: Path, root: str, segments: dict[str, int], cameras: tuple[str, ...], **options) -> Path:
    """A small capture with the published names of a person, below ``folder``; returns its root."""
    capture = folder / root
    write_small_capture(capture, n_cameras=len(cameras), segments=segments, **options)
    (capture / f"unwrapped_uv_{options.get('tex_size', 16)}").rename(capture / "unwrapped_uv_1024")
    krt = capture / "KRT"
    text = krt.read_text(encoding="utf-8")
    for position, camera in reversed(list(enumerate(cameras))):
        old = f"4000{position + 2:02d}"
        text = text.replace(f"{old}\n", f"{camera}\n")
        for parent in [*(capture / "images").iterdir(), *(capture / "unwrapped_uv_1024").iterdir()]:
            (parent / old).rename(parent / camera)
    krt.write_text(text, encoding="utf-8")
    return capture


def pack_person(capture: Path, out: Path, *, split_images: set[str], split_textures: set[str]) -> Path:
    """The archives of a capture in ``out/<entity>``; returns that folder."""
    folder = out / ENTITY.get(capture.name, capture.name.split("--")[-2])
    folder.mkdir(parents=True)
    for asset, kind, split in (
        ("images", "images", split_images),
        ("unwrapped_uv_1024", "unwrapped_uv_1024", split_textures),
        ("tracked_mesh", "tracked_mesh", set()),
    ):
        for segment in sorted((capture / asset).iterdir()):
            if segment.name not in split:
                _pack(folder / f"{kind}--{segment.name}.tar", capture, [segment])
                continue
            for camera in sorted(segment.iterdir()):
                _pack(folder / f"{kind}--{segment.name}_cam{camera.name}.tar", capture, [camera])
    if (capture / "audio").is_dir():
        _pack(folder / "audio.tar", capture, [capture / "audio"])
    _pack(folder / "metadata.tar", capture, sorted(path for path in capture.iterdir() if path.is_file()))
    write_lists(folder)
    return folder


def write_lists(folder: Path) -> None:
    """CHECKSUM and index.html of the archives in ``folder``."""
    archives = sorted(folder.glob("*.tar"))
    lines = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives]
    (folder / "CHECKSUM").write_text("".join(lines), encoding="utf-8")
    names = [path.name for path in archives] + ["CHECKSUM", "index.html"]
    links = [f'<a href="https://example.org/identities/{folder.name}/{name}">{name}</a><br>\n' for name in names]
    (folder / "index.html").write_text("<html><body>\n" + "".join(links) + "</body></html>\n", encoding="utf-8")


def _pack(path: Path, capture: Path, contents: list[Path]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for content in contents:
            archive.add(content, arcname=content.relative_to(capture.parent).as_posix())


def tar_of(members: list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]], format: int = tarfile.GNU_FORMAT) -> bytes:
    """The bytes of an archive with such members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            if isinstance(member, tuple):
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if data else None)
    return buffer.getvalue()


def file_member(name: str, data: bytes = b"content") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), data


def files_below(folder: Path) -> dict[str, bytes]:
    """Content of every file below ``folder`` by its relative path, without what the downloader keeps for itself."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".multiface" not in path.relative_to(folder).parts
    }
