"""The documentation site as a reader meets it; `make docs` makes it."""

import threading
import urllib.parse
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.support.wait import WebDriverWait

SITE = Path(__file__).parents[2] / "build" / "site"
PAGES = ["index", "ja/operator", "tutorials/operator", "reference/api", "performance"]
PAGES += ["commands/index", "architecture", "deploy/index"]

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="build/site is not there: make docs makes it"
)


class Quiet(SimpleHTTPRequestHandler):
    """Files, without a word."""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def complaints(chrome: Chrome) -> list[str]:
    entries = chrome.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def loaded(chrome: Chrome) -> set[str]:
    """The hosts from which the page has something."""
    names = chrome.execute_script(
        "return performance.getEntriesByType('resource').map(each => each.name)"
    )
    return {urllib.parse.urlsplit(name).netloc for name in names} - {""}


@pytest.mark.parametrize("width", [1280, 400])
def test_pages_fit_and_load_nothing_from_elsewhere(
    chrome: Chrome, address: str, width: int
) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for page in PAGES:
        chrome.get(f"{address}/{page}.html")
        assert chrome.title
        wide = chrome.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, page
        assert loaded(chrome) <= {urllib.parse.urlsplit(address).netloc}, page
    assert complaints(chrome) == []


def test_the_search_finds_an_option(chrome: Chrome, address: str) -> None:
    chrome.get(f"{address}/index.html")
    control = ActionChains(chrome).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL)

    def found(_: Chrome) -> bool:
        """The page listens for the key once its script has run: press it until it does."""
        if "results" not in text():
            control.perform()
            ActionChains(chrome).send_keys(Keys.BACKSPACE * 20, "--if-exists").perform()
        return "os object put" in text()

    def text() -> str:
        return str(
            chrome.execute_script(
                """const texts = [];
                const look = (node) => {
                    for (const each of node.querySelectorAll("*"))
                        if (each.shadowRoot) {
                            texts.push(each.shadowRoot.textContent);
                            look(each.shadowRoot);
                        }
                };
                look(document);
                return document.body.innerText + texts.join(" ");"""
            )
        )

    WebDriverWait(chrome, 30, poll_frequency=1.5).until(found)
    assert complaints(chrome) == []
