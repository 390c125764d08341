"""A headless Chromium for tests, and axe-core's look at a page."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 180.0
AXE_VERSION = "4.10.3"


class Browser:
    """A browser window of a given width."""

    def __init__(self, width: int, height: int, folder: Path, *more: str) -> None:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        driver = shutil.which("chromedriver")
        if chromium is None or driver is None:
            pytest.skip("no chromium and chromedriver (apt-get install chromium chromium-driver)")
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for word in (
            "headless=new",
            "no-sandbox",  # Chromium refuses to run as root with it
            "disable-dev-shm-usage",
            "disable-background-networking",
            "autoplay-policy=no-user-gesture-required",
            "mute-audio",
            f"user-data-dir={folder}",
            *more,
        ):
            options.add_argument(f"--{word}")
        self.driver: Any = webdriver.Chrome(options=options, service=Service(driver))
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )

    def close(self) -> None:
        self.driver.quit()

    def find(self, selector: str) -> WebElement:
        """The first element that fits, once it is there and shown."""

        def shown(_: Any) -> Any:
            found = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return next((one for one in found if one.is_displayed()), False)

        found: WebElement = self.wait(shown, selector)
        return found

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element shows a text; the page may change meanwhile."""

        def shows(_: Any) -> bool:
            script = "return document.querySelector(arguments[0])?.innerText ?? ''"
            return text in self.run(script, selector)

        self.wait(shows, text)

    def all(self, selector: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def file_input(self, selector: str) -> WebElement:
        """A file input, which may be transparent."""
        found: WebElement = self.driver.find_element(By.CSS_SELECTOR, selector)
        return found

    def wait(self, condition: Any, what: str = "") -> Any:
        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.2).until(
            condition, f"{what} at {self.driver.current_url}"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def fetch(self, address: str) -> bytes:
        """A file as the browser's own request gets it."""
        text = self.driver.execute_async_script(
            "const done = arguments[1];"
            "fetch(arguments[0]).then(r => r.blob()).then(b => {"
            " const reader = new FileReader();"
            " reader.onload = () => done(reader.result.split(',')[1]);"
            " reader.readAsDataURL(b); });",
            address,
        )
        return base64.b64decode(text)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(
            self.run("const e = document.documentElement; return e.scrollWidth - e.clientWidth;")
        )

    def foreign_requests(self) -> list[str]:
        """Addresses of other hosts that the page asked for."""
        names = self.run("return performance.getEntriesByType('resource').map(e => e.name)")
        origin = self.run("return location.origin")
        return [name for name in names if not name.startswith((origin, "blob:", "data:"))]

    def complaints(self) -> list[str]:
        """Errors in the console, such as a refused script."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def violations(self, axe: str) -> list[str]:
        """What axe-core finds wrong with the page."""
        self.run(axe)
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run({resultTypes: ['violations']}).then(r => done(r.violations.map("
            "v => v.id + ': ' + v.help + ' ' + v.nodes.map(n => n.target.join(' ')).join(', '))));"
        )
        return list(found)


def axe_source(folder: Path) -> str | None:
    """The script of axe-core from npm, which is not part of this repository; None without npm."""
    named = os.environ.get("LIPWRIGHT_AXE")
    if named:
        return Path(named).read_text("utf-8")
    npm = shutil.which("npm")
    if npm is None:
        return None
    done = subprocess.run(
        [
            npm,
            "install",
            "--prefix",
            str(folder),
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            f"axe-core@{AXE_VERSION}",
        ],
        capture_output=True,
        timeout=120,
        check=False,
    )
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if done.returncode != 0 or not script.is_file():
        return None
    return script.read_text("utf-8")
