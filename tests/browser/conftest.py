"""A fresh headless Chromium for each test, and the command that waits for it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.logins import Waiting
from tests.world import World

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@pytest.fixture
def chrome(tmp_path: Path) -> Iterator[Chrome]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium with its chromedriver (Debian: chromium and chromium-driver)")
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in [*_FLAGS.split(), f"--user-data-dir={tmp_path / 'chromium'}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@dataclass
class Person:
    """Somebody at a browser, who starts a login and goes through with it."""

    chrome: Chrome
    world: World

    def starts(self, *args: str) -> Waiting:
        """`session login`, up to the address that it shows."""
        return Waiting(self.world, *args)

    def opens(self, address: str) -> None:
        self.chrome.get(address)

    def signs_in(self) -> None:
        self.chrome.find_element(By.NAME, "username").send_keys("me@example.com")
        self.chrome.find_element(By.NAME, "password").send_keys("correct horse")
        self.chrome.find_element(By.ID, "sign-in").click()

    def cancels(self) -> None:
        self.chrome.find_element(By.ID, "cancel").click()

    def reads(self) -> tuple[str, str]:
        """Heading and text of our page, once it has something to say."""
        WebDriverWait(self.chrome, 20).until(
            lambda chrome: chrome.find_element(By.ID, "box").get_attribute("class")
        )
        return (
            self.chrome.find_element(By.ID, "title").text,
            self.chrome.find_element(By.ID, "text").text,
        )

    def complaints(self) -> list[str]:
        """What the browser did not like, such as a breach of the page's own policy."""
        entries = self.chrome.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
        return [
            entry["message"]
            for entry in entries
            if entry["level"] == "SEVERE" and "favicon.ico" not in entry["message"]
        ]
