"""Stores: the same content as the capture, damage found and named, nothing in a hostile file trusted, read over HTTP."""

from __future__ import annotations

import http.server
import json
import pickle
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.capture import AVERAGE, Capture, inspect_capture
from multiface.capture.store import codecs
from multiface.capture.store.index import Entry, FrameKey, Name, StoreIndex
from multiface.core.errors import CaptureError, DependencyError, FormatError
from multiface.prepare.pack import PackSettings, pack_capture
from small_capture import write_small_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Capture:
    return write_small_capture(tmp_path_factory.mktemp("captures") / "m--20200101--0000--42--GHS")


@pytest.fixture(scope="module")
def packed(capture, tmp_path_factory) -> Path:
    """A store of two shards or more; not to be changed."""
    out = tmp_path_factory.mktemp("stores") / "m--20200101--0000--42--GHS"
    pack_capture(capture.path, out, PackSettings(shard_bytes=8000), workers=2)
    assert len(list((out / "shards").glob("*.mfs"))) > 1
    return out


@pytest.fixture
def own(packed, tmp_path) -> Path:
    """A store that the test may damage."""
    return Path(shutil.copytree(packed, tmp_path / "store"))


def test_a_store_is_the_capture(capture, packed):
    store = Capture(packed)
    assert store.frames == capture.frames and store.segments == capture.segments and store.entity == "42"
    assert store.texture_size == capture.texture_size and store.n_vertices == capture.n_vertices
    assert store.calibrated == capture.calibrated
    np.testing.assert_array_equal(store.topology.faces, capture.topology.faces)
    np.testing.assert_array_equal(store.statistics.tex_mean, capture.statistics.tex_mean)
    assert store.audio("SEN_a_voice").read_bytes() == capture.audio("SEN_a_voice").read_bytes()
    assert store.audio("E001_Neutral_Eyes_Open") is None
    for key in capture.frames:
        np.testing.assert_array_equal(store.vertices(key), capture.vertices(key))
        np.testing.assert_array_equal(store.head_pose(key), capture.head_pose(key))
        np.testing.assert_array_equal(store.texture(key, AVERAGE), capture.texture(key, AVERAGE))
        for camera in capture.cameras:
            np.testing.assert_array_equal(store.texture(key, camera), capture.texture(key, camera))
            np.testing.assert_array_equal(store.photo(key, camera), capture.photo(key, camera))
            np.testing.assert_array_equal(store.projection(key, camera), capture.projection(key, camera))
    assert pickle.loads(pickle.dumps(store)).has_texture(capture.frames[0], "400002")


def test_what_is_not_there_is_named(packed):
    store = Capture(packed)
    missing = FrameKey("SEN_a_voice", "999999")
    assert not store.has_photo(missing, "400002") and not store.has_mesh(missing)
    with pytest.raises(CaptureError, match=r"no photo/SEN_a_voice/400002/999999"):
        store.photo(missing, "400002")


def test_pictures_are_decoded_into_given_memory(packed):
    store = Capture(packed)
    out = np.zeros((16, 16, 3), np.uint8)
    assert store.texture(store.frames[0], "400002", out) is out and out.any()
    wrong = np.zeros((4, 4, 3), np.uint8)
    assert store.texture(store.frames[0], "400002", wrong).shape == (16, 16, 3) and not wrong.any()


def test_inspecting_a_whole_store_finds_nothing(capture, packed):
    report = inspect_capture(packed)
    expected = inspect_capture(capture.path)
    assert report.problems == expected.problems == []
    assert report.sizes == expected.sizes and report.details == expected.details


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 16
    path.write_bytes(data)


def entry_of(root: Path, name: Name) -> tuple[Path, Entry]:
    store = Capture(root).store
    entry = store.find(name)
    return root / store.manifest.shards[entry.shard].file, entry


@pytest.mark.parametrize("kind", ["texture", "photo", "mesh", "pose"])
def test_a_flipped_bit_is_found_and_shard_and_entry_are_named(own, kind):
    key = Capture(own).frames[3]
    name = Name(kind, key, "400003" if kind in ("texture", "photo") else "")
    path, entry = entry_of(own, name)
    flip(path, entry.offset + entry.length // 2)
    store = Capture(own)
    read = {
        "texture": lambda: store.texture(key, "400003"),
        "photo": lambda: store.photo(key, "400003"),
        "mesh": lambda: store.vertices(key),
        "pose": lambda: store.head_pose(key),
    }
    with pytest.raises(FormatError, match="damaged") as caught:
        read[kind]()
    assert path.name in str(caught.value) and str(name) in str(caught.value)
    (problem,) = inspect_capture(own).problems
    assert problem.file == f"shards/{path.name}" and str(name) in problem.what


def test_a_shard_that_is_cut_short_or_gone_is_named(own):
    key = Capture(own).frames[-1]
    path, entry = entry_of(own, Name("texture", key, "400004"))
    with path.open("r+b") as file:
        file.truncate(entry.offset + 3)
    with pytest.raises(FormatError, match=r"cut short.*texture/.*/400004"):
        Capture(own).texture(key, "400004")
    assert any("cut short" in problem.what for problem in inspect_capture(own, quick=True).problems)
    path.unlink()
    with pytest.raises(FormatError, match="cannot be opened"):
        Capture(own).texture(key, "400004")
    assert inspect_capture(own).problems


def test_bytes_between_entries_are_checked_too(own):
    flip(own / "shards" / "00000.mfs", 2)
    (problem,) = inspect_capture(own).problems
    assert "SHA-256" in problem.what


def test_a_damaged_index_or_side_file_is_named(own):
    flip(own / "tex_mean.png", 60)
    assert [problem.file for problem in inspect_capture(own).problems][:1] == ["tex_mean.png"]
    flip(own / "index.mfi", 100)
    with pytest.raises(FormatError, match=r"index.*checksum"):
        Capture(own)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "something"},
        {"version": 99},
        {"shards": [{"file": "../../etc/passwd", "bytes": 1, "sha256": "0" * 64}]},
        {"files": [{"file": "/etc/passwd", "bytes": 1, "sha256": "0" * 64}]},
        {"files": [{"file": "audio/../../x.wav", "bytes": 1, "sha256": "0" * 64}]},
        {"index": {"file": "../index.mfi", "bytes": 1, "sha256": "0" * 64}},
        {"texture_size": -1},
        {"texture_size": "1024"},
        {"shards": "none"},
        {"name": "../up"},
        {"camera_sizes": {"400002": [0, 5]}},
        {"index": {"file": "index.mfi", "bytes": -5, "sha256": "0" * 64}},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_hostile_manifest_is_refused(own, change):
    path = own / "store.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError, match="manifest"):
        Capture(own)


def make_index(**changes) -> bytes:
    entry = Entry(0, 8, 100, 0, 1, "raw", 4, 4)._replace(**changes)
    return StoreIndex.build([(Name("texture", FrameKey("A", "1"), "c"), entry)]).to_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": 150}, {"offset": 2**63}, {"length": 2**31}, {"shard": 1}, {"height": 0}, {"height": 10**6, "width": 10**6},
        {"length": 90, "zeros": 20, "offset": 100},
    ],
    ids=str,
)  # fmt: skip
def test_entries_outside_their_shard_or_too_large_are_refused(changes):
    StoreIndex.from_bytes(make_index(), [200], "index")
    with pytest.raises(FormatError, match="index"):
        StoreIndex.from_bytes(make_index(**changes), [200], "index")


def test_names_that_lead_elsewhere_are_refused():
    data = make_index().replace(b'["1"]', b'["/"]')
    with pytest.raises(FormatError, match="cannot be part of a path"):
        StoreIndex.from_bytes(data, [200], "index")


@given(st.binary(max_size=200), st.integers(0, 150))
def test_random_bytes_are_no_index(data, cut):
    whole = make_index()
    for content in (data, whole[:cut], whole[:cut] + data):
        if content != whole:
            with pytest.raises(FormatError):
                StoreIndex.from_bytes(content, [], "index")


@pytest.mark.parametrize(
    ("codec", "fast"),
    [(codec, fast) for codec in codecs.CODECS for fast in (True, False) if fast or codec != "zstd"],
    ids=lambda value: value if isinstance(value, str) else "imagecodecs" if value else "without",
)
def test_codecs_give_back_what_they_got(codec, fast, monkeypatch):
    if not fast:
        monkeypatch.setattr(codecs, "imagecodecs", lambda: None)
    else:
        pytest.importorskip("imagecodecs")
    y, x = np.mgrid[:40, :56]
    pixels = np.stack([x * 4, y * 6, 255 - x - y], -1).astype(np.uint8)
    payload = codecs.encode(pixels, codec)
    out = np.empty_like(pixels)
    codecs.decode(payload, codec, out)
    difference = np.abs(out.astype(int) - pixels).max()
    assert difference == 0 if codec not in codecs.LOSSY else 0 < difference < 25
    for size in ((39, 56, 3), (80, 112, 3)):
        with pytest.raises(ValueError):
            codecs.decode(payload, codec, np.empty(size, np.uint8))
    with pytest.raises(ValueError):
        codecs.decode(b"nothing of the kind", codec, out)


def test_the_codec_that_needs_imagecodecs_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    out = np.zeros((4, 4, 3), np.uint8)
    for use in (
        lambda: codecs.check_codec("zstd"),
        lambda: codecs.encode(out, "zstd"),
        lambda: codecs.decode(b"", "zstd", out),
    ):
        with pytest.raises(DependencyError, match=r"pip install 'multiface\[fast\]'"):
            use()


def test_zeros_come_back_exactly():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 3, (13, 11, 3), np.uint8)
    other = random.integers(0, 3, (13, 11, 3), np.uint8)
    codecs.restore_zeros(codecs.pack_zeros(pixels), other)
    np.testing.assert_array_equal(other == 0, pixels == 0)
    with pytest.raises(ValueError):
        codecs.restore_zeros(b"\0\1", other)


class _Server(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; ranges when ``ranges``."""

    ranges = True
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data, status = path.read_bytes(), 200
        if self.ranges and "Range" in self.headers:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            data, status = data[first : last + 1], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Serve a folder on loopback: its address."""
    pytest.importorskip("httpx")
    monkeypatch.setenv("MULTIFACE_CACHE", str(tmp_path / "cache"))
    servers = []

    def start(folder: Path, ranges: bool = True) -> str:
        handler = type("Handler", (_Server,), {"ranges": ranges})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: handler(*a, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_store_is_read_over_http(capture, packed, serve):
    address = f"{serve(packed.parent)}/{packed.name}"
    for path in (address, Path(address)):  # Path makes one slash of two
        store = Capture(path)
        assert store.name == packed.name and store.frames == capture.frames and store.entity == "42"
    key = capture.frames[-1]
    np.testing.assert_array_equal(store.texture(key, "400003"), capture.texture(key, "400003"))
    np.testing.assert_array_equal(store.photo(key, "400002"), capture.photo(key, "400002"))
    np.testing.assert_array_equal(store.vertices(key), capture.vertices(key))
    np.testing.assert_array_equal(store.statistics.tex_mean, capture.statistics.tex_mean)
    assert store.audio("SEN_a_voice").read_bytes() == capture.audio("SEN_a_voice").read_bytes()
    assert inspect_capture(address).problems == []
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.texture(key, "average"), capture.texture(key, "average"))


def test_servers_that_cannot_help_are_named(own, serve):
    address = serve(own, ranges=False)
    store = Capture(address)
    with pytest.raises(FormatError, match="range requests"):
        store.texture(store.frames[0], "400002")
    with pytest.raises(FormatError, match="404"):
        Capture(f"{address}/nothing-here")
    with pytest.raises(FormatError, match="does not answer"):
        Capture("http://127.0.0.1:9/store")


def test_damage_is_found_over_http_too(own, serve):
    key = Capture(own).frames[0]
    path, entry = entry_of(own, Name("texture", key, "400002"))
    flip(path, entry.offset)
    with pytest.raises(FormatError, match="damaged"):
        Capture(serve(own)).texture(key, "400002")
    flip(own / "KRT", 5)
    with pytest.raises(FormatError, match="not what its manifest says"):
        Capture(serve(own))
