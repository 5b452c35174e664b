"""The report's page in a real Chromium: its numbers, hover, zoom, both schemes, wide and narrow."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.nights import BEGAN, MIB, LoggedRun, a_night
from tests.unit.report.test_page import HOSTILE, page_of
from tests.world import World, world

SIZES = [(1280, 800), (400, 800)]
SCHEMES = ["light", "dark"]


class Reader:
    """Somebody who looks at a page."""

    def __init__(self, chrome: Chrome) -> None:
        self.chrome = chrome

    def opens(self, path: Path, *, width: int = 1280, scheme: str = "light") -> None:
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.tells("Emulation.setEmulatedMedia", media)
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.tells("Emulation.setDeviceMetricsOverride", size)
        self.tells("Network.enable", {})
        self.chrome.get(path.as_uri())

    def tells(self, command: str, given: dict[str, Any]) -> Any:
        return self.chrome.execute_cdp_cmd(command, given)

    def asks(self, script: str, *args: object) -> Any:
        return self.chrome.execute_script(script, *args)

    def complaints(self) -> list[str]:
        entries = self.chrome.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
        return [entry["message"] for entry in entries]

    def requests(self) -> list[str]:
        """What was asked for beside the page itself."""
        entries = self.asks("return performance.getEntriesByType('resource').map(e => e.name)")
        return [str(each) for each in entries]

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    @property
    def tip(self) -> str:
        found = self.one("#tip")
        return found.text if found.is_displayed() else ""

    def points_at(self, element: WebElement, x: float = 0.5) -> None:
        """Move the pointer to a place of an element, `x` of its width from the left."""
        self.asks("arguments[0].scrollIntoView({block: 'center'})", element)
        across = round((x - 0.5) * element.size["width"])
        ActionChains(self.chrome).move_to_element_with_offset(element, across, 0).perform()


@pytest.fixture
def reader(chrome: Chrome) -> Reader:
    return Reader(chrome)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Three runs: a good one, one with all that can go wrong, one that was killed."""
    good = a_night(parts=40)
    bad = LoggedRun(name=f"backups/{HOSTILE[0]}{HOSTILE[3]}", run="b" * 16)
    bad.token(0.1, 1, "start")
    for number in range(12):
        bad.attempt(20.0 + 10 * number, seconds=9.0, part=number, connection=number % 4)
    bad.attempt(150.0, seconds=30.0, status=None, stalled=True, part=20, connection=5)
    bad.resent(151.0, 20, 2 * MIB)
    bad.retry(152.0)
    bad.pause(200.0, 400.0)
    bad.token(400.0, 2, "file")
    bad.attempt(420.0, seconds=15.0, part=21, generation=2, size=64 * MIB)
    bad.say(430.0, "file_failed", name=HOSTILE[1], reason=HOSTILE[4])
    bad.error(440.0, "the bucket's quota is used up", "Delete old backups.")
    bad.result(450.0, "failed", 1)
    killed = a_night(parts=40, run="c" * 16, object_name="backups/other.tar")
    killed.lines = killed.lines[:40]
    target = tmp_path / "page.html"
    target.write_text(page_of(good, bad, killed))
    return target


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_and_asks_for_nothing(
    reader: Reader, page: Path, width: int, height: int, scheme: str
) -> None:
    reader.opens(page, width=width, scheme=scheme)
    assert reader.asks("return innerWidth") == width
    assert reader.asks("return document.documentElement.scrollWidth") <= width
    outside = """
        return [...document.querySelectorAll("main *, header *, footer *")].filter(each => {
          if (each.closest(".scroll, .hidden")) return false;
          const box = each.getBoundingClientRect();
          return box.width && (box.right > innerWidth + 1 || box.left < -1);
        }).map(each => each.outerHTML.slice(0, 80))"""
    assert reader.asks(outside) == []
    assert reader.complaints() == []
    assert reader.requests() == []
    dark = reader.asks("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark is (scheme == "dark")


CONTRAST = """
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = text => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data].map(each => each / 255);
    };
    const over = (top, under) =>
      top.slice(0, 3).map((each, i) => each * top[3] + under[i] * (1 - top[3]));
    const light = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const under = element => {
      const all = [];
      for (let each = element; each; each = each.parentElement)
        all.unshift(rgba(getComputedStyle(each).backgroundColor));
      return all.reduce((so_far, each) => over(each, so_far), [1, 1, 1]);
    };
    const low = [];
    for (const element of document.querySelectorAll("body *")) {
      if (element.closest("script, style, svg, .hidden") || !element.checkVisibility()) continue;
      const texts = [...element.childNodes].filter(each => each.nodeType === 3);
      if (!texts.some(each => each.data.trim())) continue;
      const back = under(element), fore = over(rgba(getComputedStyle(element).color), back);
      const [a, b] = [light(fore), light(back)].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${element.className} ${texts[0].data}`);
    }
    return low;
"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_has_contrast(reader: Reader, page: Path, scheme: str) -> None:
    reader.opens(page, scheme=scheme)
    assert reader.asks(CONTRAST) == []


def test_hover_tells_what_is_there(reader: Reader, page: Path) -> None:
    reader.opens(page)
    figure = reader.all(".chart")[1]  # the killed one, or the bad one: found by its length
    (figure,) = [
        each for each in reader.all(".chart") if each.get_attribute("data-length") == "450.000"
    ]
    assert reader.tip == ""
    rate = figure.find_element(By.CSS_SELECTOR, ".inner > .rate")
    reader.points_at(rate, 0.5)
    assert "225" in reader.tip.splitlines()[0]
    assert "token 1" in reader.tip
    lanes = figure.find_element(By.CSS_SELECTOR, ".inner > .lanes svg")
    reader.asks("arguments[0].scrollIntoView({block: 'center'})", lanes)
    row = figure.find_element(By.CSS_SELECTOR, '.lanes path[data-about^="21"]')
    reader.points_at(row)
    assert "part 21, 64.0 MiB in 15.0 s" in reader.tip
    assert "token 2" in reader.tip
    mark = figure.find_element(By.CSS_SELECTOR, ".marks .kresent")
    reader.points_at(mark)
    assert "part 20 sent again (2.0 MiB): connection reset" in reader.tip
    reader.points_at(reader.one("h1"))
    assert reader.tip == ""
    assert reader.complaints() == []


def test_zoom_by_button_key_and_selection(reader: Reader, page: Path) -> None:
    reader.opens(page, width=400)
    figure = reader.all(".chart")[0]
    inner = figure.find_element(By.CSS_SELECTOR, ".inner")
    scroll = figure.find_element(By.CSS_SELECTOR, ".scroll")
    whole, before = inner.size["width"], figure.find_element(By.CSS_SELECTOR, ".axis span").text

    def zoom() -> float:
        return float(figure.get_attribute("data-zoom") or 0)

    figure.find_element(By.CSS_SELECTOR, "button[title='Zoom in']").click()
    assert (zoom(), inner.size["width"]) == (2, 2 * whole)
    ticks = figure.find_elements(By.CSS_SELECTOR, ".inner .axis span")
    assert len({tick.text for tick in ticks}) == len(ticks) >= 2
    scroll.send_keys("+", "+")
    assert zoom() == 8
    assert reader.asks("return document.documentElement.scrollWidth") <= 400
    scroll.send_keys("-", "0")
    assert (zoom(), inner.size["width"]) == (1, whole)
    assert before
    reader.asks("arguments[0].scrollIntoView({block: 'center'})", scroll)
    middle = scroll.size["width"] / 2
    actions = ActionChains(reader.chrome)
    actions.move_to_element_with_offset(scroll, round(-middle / 2), 0).click_and_hold()
    actions.move_to_element_with_offset(scroll, round(middle / 2), 0).release().perform()
    assert 1.8 < zoom() < 2.2
    left = reader.asks("return arguments[0].scrollLeft", scroll)
    assert left == pytest.approx(whole / 2, rel=0.1)
    figure.find_element(By.CSS_SELECTOR, "button[title='Show all']").click()
    assert zoom() == 1
    assert reader.complaints() == []


def test_the_keyboard_goes_along_a_picture(reader: Reader, page: Path) -> None:
    reader.opens(page)
    scroll = reader.all(".scroll")[0]
    scroll.send_keys(*[Keys.ARROW_RIGHT] * 3)
    assert "after the beginning" in reader.tip
    scroll.send_keys(Keys.ESCAPE)
    assert reader.tip == ""


def test_without_scripts_the_page_says_the_same(reader: Reader, page: Path) -> None:
    reader.tells("Emulation.setScriptExecutionDisabled", {"value": True})
    reader.opens(page)
    reader.tells("Emulation.setScriptExecutionDisabled", {"value": False})
    assert reader.all("button") == []
    assert len(reader.all(".lanes path")) > 3
    assert len(reader.all(".inner .axis span")) >= 6
    assert reader.one("h1").text == "✗ The night did not end well."


def test_a_printed_page_has_all(reader: Reader, page: Path) -> None:
    reader.opens(page, width=720, scheme="dark")  # A4
    reader.one("button[title='Zoom in']").click()
    reader.tells("Emulation.setEmulatedMedia", {"media": "print"})
    assert reader.asks("return document.documentElement.scrollWidth") <= 720
    inner = reader.one(".inner")
    assert inner.size["width"] < 720  # whatever the zoom on the screen is
    white = reader.asks("return getComputedStyle(document.body).backgroundColor")
    assert white == "rgb(255, 255, 255)"
    assert not reader.one("button").is_displayed()
    made = reader.tells("Page.printToPDF", {"printBackground": True})
    assert len(made["data"]) > 10_000


def test_a_hostile_name_does_nothing(reader: Reader, tmp_path: Path) -> None:
    nights = [LoggedRun(name=name, run=f"{n:016}") for n, name in enumerate(HOSTILE)]
    for made, name in zip(nights, HOSTILE, strict=True):
        made.attempt(5.0, operation="PutObject", path=f"/o/{name}")
        made.say(6.0, "notice", text=name, routine=False)
        made.result(9.0, "failed", 1, reason=name)
    target = tmp_path / "hostile.html"
    target.write_text(page_of(*nights))
    reader.opens(target)
    assert len(reader.all(".chart")) == len(HOSTILE)
    assert reader.all("img") == []
    assert reader.complaints() == []
    assert reader.requests() == []
    for picture in reader.all(".inner > .lanes path"):
        reader.points_at(picture)
        assert "/o/" not in reader.tip  # the last piece of the path is the label
        assert "1.0 MiB in 1.0 s" in reader.tip


@pytest.fixture
def night(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, token_ttl=4.0, bandwidth=6e6) as w:
        yield w


def test_the_numbers_are_those_of_the_log(night: World, reader: Reader, tmp_path: Path) -> None:
    log, target = tmp_path / "night.jsonl", tmp_path / "page.html"
    asked = ("--log-file", str(log), "--log-format", "json", "--report", str(target))
    words = [word for word in night.put(night.file(30 * MIB), *asked) if word != "--debug"]
    ran = night.run(*words, TZ="Asia/Tokyo")
    assert ran.code == 0, ran.err
    records = [json.loads(line) for line in log.read_text().splitlines()]
    (result,) = [each for each in records if each["event"] == "result"]
    reader.opens(target)
    assert reader.one("h1").text == "✓ The run ended well."
    cells = [each.text for each in reader.all("table.nights tbody tr td")]
    size = reader.one("table.nights td.n span").get_attribute("title")
    assert size == f"{result['bytes']:,} bytes"
    assert cells[1:4] == ["put backups/backup.tar", "✓ done", "30.0 MiB"]
    assert cells[6:9] == [str(result[key]) for key in ("renewals", "rejections", "retries")]
    tokens = [each for each in records if each["event"] == "token_changed"]
    shown = (reader.one(".chart").get_attribute("data-tokens") or "").split()
    assert [int(each.split(":")[1]) for each in shown] == [each["generation"] for each in tokens]
    parts = [each for each in records if each.get("operation") == "UploadPart"]
    drawn: dict[str, set[str]] = {}
    for path in reader.all(".inner .lanes path"):
        about = (path.get_attribute("data-about") or "").split("\n")
        of = drawn.setdefault(path.get_attribute("data-connection") or "", set())
        of |= {line.split("\t")[0] for line in about}
    expected: dict[str, set[str]] = {}
    for each in parts:
        number = re.findall(r"uploadPartNum=(\d+)", each["path"])[0]
        expected.setdefault(str(each["connection"]), set()).add(number)
    assert drawn == expected
    assert reader.requests() == []
    assert reader.complaints() == []
    assert str(BEGAN.year) in reader.one("footer").text
