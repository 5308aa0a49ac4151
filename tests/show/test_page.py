"""The page: complete in itself, escaped, and alive in a real browser."""

from __future__ import annotations

import base64
import io
import re
import shutil
import threading
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser import Browser, find_browser
from multiface.core.errors import ArgumentError, CaptureError, StorageError
from multiface.show import page as page_module
from multiface.show.page import Page
from multiface.show.pictures import picture_uri
from multiface.show.video import VideoWriter


def picture(seed: int, height: int = 90, width: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(np.repeat(rng.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8), 10, 0), 10, 1)


def full_page(video: Path) -> Page:
    page = Page("A face", "Short summary", facts=[("1.2 mm", "mesh error")], picture=picture(0, 120, 200))
    page.section("Pictures", "Drag").compare(picture(1), picture(2), ("photo", "model"), "caption")
    page.figure(picture(3), "a figure").gallery([(picture(4), "one"), (picture(5), "two")])
    page.section("Curves").curves({"train": (range(50), np.linspace(5, 1, 50)), "validation": ([0, 49], [4, 2])}, log=True)
    page.section("Results").table(["", "frozen"], [["mesh", 1.5], ["ssim", None]], "table", notes={"frozen": "nothing fitted"})
    page.video(video, "moving", sound=False)
    return page.section("How to go on").text("one", "two").commands([("Look", "multiface doctor"), "multiface --help"])


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "test.mp4"
    with VideoWriter(path) as writer:
        for seed in range(4):
            writer.add(picture(seed))
    return path


class Elements(HTMLParser):
    """Every element with its attributes, and the text of each kind."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_is_one_file_without_outside_addresses(tmp_path, video):
    path = full_page(video).write(tmp_path / "sub" / "page.html")
    html = path.read_text("utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]
    for tag, attributes in Elements(html).found:
        for name in ("src", "href", "srcset", "poster", "data", "action"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, name)
    without_data = re.sub(r"data:[a-z/0-9]+;base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|@import|url\(|//[a-z]+\.", without_data)
    assert "default-src 'none'" in html


def test_everything_that_was_put_in_is_there(tmp_path, video):
    elements = Elements(full_page(video).html())
    assert len(elements.all("img")) == 1 + 2 + 1 + 2 + 1  # the last one is the empty frame of the full-size view
    assert len(elements.all("video")) == 1 and len([s for s in elements.all("svg") if "data-chart" in s]) == 1
    assert [a["type"] for a in elements.all("input")] == ["range"]
    for words in ("A face", "1.2 mm", "nothing fitted", "multiface doctor", "linear camera units", "display colours"):
        assert words in elements.text


def test_pictures_come_back_from_the_page(video):
    sources = [a["src"] for a in Elements(full_page(video).html()).all("img") if "src" in a]
    first = np.array(Image.open(io.BytesIO(base64.b64decode(sources[1].split(",")[1]))).convert("RGB"))
    assert np.abs(first.astype(int) - picture(1)).mean() < 12


def test_png_is_exact_and_wide_pictures_are_scaled_down():
    exact = picture_uri(picture(1), kind="png")
    assert np.array_equal(np.array(Image.open(io.BytesIO(base64.b64decode(exact.split(",")[1])))), picture(1))
    scaled = Image.open(io.BytesIO(base64.b64decode(picture_uri(picture(1), max_width=30).split(",")[1])))
    assert scaled.size == (30, 45)


def test_text_cannot_break_the_page():
    nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    page = Page(nasty, nasty, facts=[(nasty, nasty)], eyebrow=nasty, note=nasty, picture=picture(0))
    page.section(nasty, nasty).text(nasty).figure(picture(0), nasty).table([nasty], [[nasty]], nasty, notes={nasty: nasty})
    page.compare(picture(0), picture(1), (nasty, nasty), nasty).curves({nasty: ([0, 1], [1, 2])}, title=nasty)
    elements = Elements(page.commands([(nasty, nasty)]).html())
    assert len(elements.all("script")) == 1
    assert not any("onerror" in attributes for _, attributes in elements.found)


def test_a_large_video_is_linked_beside_the_page(tmp_path, video, monkeypatch):
    monkeypatch.setattr(page_module, "EMBED_LIMIT", 10)
    target = tmp_path / "out" / "a film.mp4"
    target.parent.mkdir()
    shutil.copy(video, target)
    html = Page("t", "s").video(target).write(tmp_path / "out" / "page.html").read_text("utf-8")
    assert Elements(html).all("video")[0]["src"] == "a%20film.mp4"
    assert Elements(Page("t", "s").video(target, embed=True).html()).all("video")[0]["src"].startswith("data:video/mp4")


def test_the_same_content_gives_the_same_bytes(video):
    assert full_page(video).html() == full_page(video).html()


def test_a_picture_that_changes_afterwards_is_shown_as_it_was():
    image = picture(1)
    page = Page("t", "s").figure(image)
    image[:] = 0
    assert picture_uri(picture(1)) in page.html()


def test_the_page_can_be_had_again_with_more_on_it_and_leaves_no_thread():
    before = threading.active_count()
    page = Page("t", "s").figure(picture(1))
    first = page.html()
    assert threading.active_count() == before and page.html() == first
    second = page.figure(picture(2)).html()
    assert picture_uri(picture(1)) in second and picture_uri(picture(2)) in second
    assert threading.active_count() == before


def test_mistakes_are_named(tmp_path):
    page = Page("t", "s")
    with pytest.raises(ArgumentError, match="one size"):
        page.compare(picture(0), picture(0, 100, 60), ("a", "b"))
    with pytest.raises(ArgumentError, match="row 1"):
        page.table(["", "a"], [["x", 1], ["y"]])
    with pytest.raises(ArgumentError, match="not a picture"):
        page.figure(np.zeros((4, 4)))
    with pytest.raises(CaptureError, match=r"gone\.mp4"):
        Page("t", "s").video(tmp_path / "gone.mp4").html()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        page.write(tmp_path / "file" / "page.html")


SELF_CHECK = """(async () => {
  const report = {};
  const pictures = [...document.querySelectorAll("main img, header img")];
  report.pictures = pictures.map((picture) => picture.naturalWidth);
  const slide = document.querySelector(".slide"), range = slide.querySelector("input"), over = slide.querySelector(".over");
  const shown = () => getComputedStyle(over).clipPath;
  const handle = () => slide.querySelector(".handle").getBoundingClientRect().left;
  const before = [shown(), handle()];
  range.value = 20;
  range.dispatchEvent(new Event("input"));
  const moved = [shown(), handle()];
  range.focus();
  range.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true, cancelable: true}));
  report.slider = [before, moved, [shown(), handle()]];
  report.focusable = document.activeElement === range;
  const chart = document.querySelector(".chart"), box = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2, clientY: box.top + 50}));
  report.tip = chart.parentElement.querySelector(".tip").innerText;
  document.querySelector(".zoom").click();
  report.opened = document.getElementById("full").open;
  document.getElementById("full").click();
  report.closed = !document.getElementById("full").open;
  report.overflow = document.documentElement.scrollWidth - innerWidth;
  return report;
})()"""
PAPER = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture
def browse(tmp_path):
    """Opens a page in a browser that is there until the end of the test."""
    if find_browser() is None:
        pytest.skip("no browser here to look at the page with")
    with ExitStack() as stack:

        def start(html: str, width: int, *, dark: bool = False) -> Browser:
            file = tmp_path / "checked.html"
            file.write_text(html, "utf-8")
            profile = tmp_path / f"browser-{dark}"
            profile.mkdir()
            browser = stack.enter_context(Browser(profile, width=width, dark=dark))
            browser.open(file)
            return browser

        yield start


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_works_in_a_browser(browse, video, width):
    browser = browse(full_page(video).html(), width)
    report = browser.run(SELF_CHECK)
    assert browser.errors == []
    assert report["pictures"] == [200, 60, 60, 60, 60, 60]
    (clip0, left0), (clip1, left1), (clip2, left2) = report["slider"]
    assert clip0 != clip1 != clip2 and left1 < left2 < left0 and report["focusable"]
    assert "train" in report["tip"] and "validation" in report["tip"]
    assert report["opened"] and report["closed"]
    assert report["overflow"] <= 0


def test_on_a_phone_two_reports_stand_side_by_side(browse):
    names = ("texture (0..255, squared)", "  lips (mm)", "EXP_ROM07_Facial_Expressions, camera 400002")
    rows = [[name, *["29.3549 \u00b1 2.3186"] * 2] for name in names]
    browser = browse(Page("A test", "").table(["", "frozen", "adapted"], rows).html(), 390)
    assert browser.run("document.querySelector('.scroll').scrollWidth <= document.querySelector('.scroll').clientWidth")
    # A number stays in one line, its interval comes below it; parts of something are set apart.
    assert browser.run("document.querySelector('td').innerText").split("\u00a0") == ["29.3549 \u00b1", "2.3186"]
    assert browser.run("getComputedStyle(document.querySelector('tbody th')).whiteSpace") in ("pre-wrap", "preserve")


def test_light_and_dark_follow_the_reader(browse, video):
    html = full_page(video).html()
    dark, light = (sum(map(int, re.findall(r"\d+", browse(html, 800, dark=dark).run(PAPER))[:3])) for dark in (True, False))
    assert dark < 120 and light > 600


@pytest.fixture
def slider(tmp_path):
    """A page with one comparison, open in a browser as a phone or a desktop."""
    if find_browser() is None:
        pytest.skip("no browser here to look at the page with")
    path = Page("t", "s").compare(picture(1), picture(2), ("photo", "model"), "a caption").write(tmp_path / "page.html")
    with ExitStack() as stack:

        def start(*, phone: bool) -> Browser:
            browser = stack.enter_context(Browser(tmp_path, width=390 if phone else 1280, phone=phone))
            browser.open(path)
            browser.run("document.querySelector('.slide').scrollIntoView({block: 'center', behavior: 'instant'})")
            return browser

        yield start


BOX = "(({left, top, width, height}) => [left, top, width, height])(document.querySelector('.slide').getBoundingClientRect())"
BOUNDARY = "parseFloat(getComputedStyle(document.querySelector('.slide')).getPropertyValue('--at'))"


def inside(browser: Browser, x: float, y: float = 0.5) -> tuple[float, float]:
    """A place of the comparison, 0..1 each way, in pixels of the window."""
    left, top, width, height = browser.run(BOX)
    return left + x * width, top + y * height


def test_the_boundary_follows_the_mouse(slider):
    browser = slider(phone=False)
    browser.drag(inside(browser, 0.5), inside(browser, 0.25))
    assert browser.run(BOUNDARY) == pytest.approx(25, abs=2)
    browser.drag(inside(browser, 0.8), inside(browser, 0.9))
    assert browser.run(BOUNDARY) == pytest.approx(90, abs=2)
    assert browser.run("document.querySelector('.handle').getBoundingClientRect().left") == pytest.approx(
        inside(browser, 0.9)[0], abs=12
    )
    assert browser.errors == []


def test_the_boundary_follows_a_finger_and_the_page_still_scrolls(slider):
    browser = slider(phone=True)
    browser.swipe(inside(browser, 0.5), inside(browser, 0.2))
    assert browser.run(BOUNDARY) == pytest.approx(20, abs=4)
    assert browser.run("getComputedStyle(document.querySelector('.slide input')).touchAction") == "pan-y"


def test_the_boundary_follows_the_keyboard(slider):
    browser = slider(phone=False)
    for _ in range(30):  # until the comparison has the focus, as somebody without a mouse would get there
        browser.press("Tab", 9)
        if browser.run("document.activeElement.type") == "range":
            break
    assert browser.run("document.activeElement.type") == "range"
    before = browser.run(BOUNDARY)
    browser.press("ArrowRight", 39)
    browser.press("ArrowRight", 39)
    assert browser.run(BOUNDARY) == pytest.approx((before if before is not None else 50) + 4)
    browser.press("Home", 36)
    assert browser.run(BOUNDARY) == 0
