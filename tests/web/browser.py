"""Chromium, and a user at the page."""

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.web.drawn_clip import HEIGHT, WIDTH

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # tests may run as root, and open only pages of their own server
    "--disable-background-networking",
    "--disable-dev-shm-usage",
)


def launch(playwright):
    """Start the system's browser, or Playwright's; skip the test if there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    if found is None and not Path(own).exists():
        pytest.skip("NO BROWSER: install chromium to run the tests of the page")
    path = found or own
    return playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))


def delete_projects(url: str) -> None:
    """Delete what earlier tests worked on, which the page would go on with."""
    with urllib.request.urlopen(f"{url}/projects") as answer:
        projects = json.load(answer)["projects"]
    for project in projects:
        place = f"{url}/sessions/{project['id']}"
        urllib.request.urlopen(urllib.request.Request(place, method="DELETE")).close()


class Person:
    """One tab on the page. Positions are pixels of the video."""

    def __init__(self, context, url: str):
        self.page, self.faults = context.new_page(), []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._listen)
        self.page.goto(url)

    def _listen(self, message):
        # The browser also logs 4xx answers, which the page itself shows.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def get(self, testid: str):
        return self.page.get_by_test_id(testid)

    def at(self, x: float, y: float) -> dict:
        box = self.get("stage").bounding_box()
        return {
            "x": box["x"] + x / WIDTH * box["width"],
            "y": box["y"] + y / HEIGHT * box["height"],
        }

    def click(self, x: float, y: float, button: str = "left") -> None:
        self.page.mouse.click(**self.at(x, y), button=button)

    def drag(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.page.mouse.move(**self.at(x1, y1))
        self.page.mouse.down()
        self.page.mouse.move(**self.at((x1 + x2) / 2, (y1 + y2) / 2))
        self.page.mouse.move(**self.at(x2, y2))
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def shown(self, count: int) -> None:
        """Wait until `count` masks are drawn."""
        self.page.wait_for_selector(f"#masks[data-objects='{count}']", state="attached")

    def objects(self, count: int) -> None:
        from playwright.sync_api import expect

        expect(self.get("object")).to_have_count(count)

    def track(self) -> None:
        """Press K and wait until tracking is done."""
        from playwright.sync_api import expect

        self.press("k")
        expect(self.get("note")).to_contain_text("Tracked", timeout=20_000)
        expect(self.get("track")).to_have_text("Track")

    def track_two(self, first: tuple[int, int], second: tuple[int, int]) -> None:
        """Click on two subjects, and track both."""
        self.click(*first)
        self.objects(1)
        self.press("n")
        self.click(*second)
        self.objects(2)
        self.track()

    def colour_at(self, x: float, y: float) -> list[int]:
        """Return RGBA of the drawn masks at a pixel of the video."""
        return self.page.evaluate(
            "([x, y]) => [...document.getElementById('masks').getContext('2d')"
            ".getImageData(x, y, 1, 1).data]",
            [x, y],
        )
