"""The example clip, annotated by hand in a browser, with the model that ships.

Its four true relations with their exact spans, by clicks, drags, keys and chosen names.
"""

import json
from pathlib import Path

import pytest

from c2g_jax.media.rle import decode_mask
from c2g_jax.web.__main__ import EXAMPLE
from c2g_jax.web.model_host import ModelHost
from tests.web.browser import Person
from tests.web.conftest import served, until

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO PLAYWRIGHT: install the extra `test`"
)
expect = sync_api.expect

MOST = 25  # a click, a drag, a key, a chosen entry, a typed text are one each


# A place where an object is seen, and no smaller one lies over it; run in the page.
PLACE = """async (id) => {
  const { objectAt } = await import("/static/picking.js");
  const { store } = await import("/static/store.js");
  const { width, height } = store.video;
  const found = [];
  for (let y = 0.5; y < height; y++)
    for (let x = 0.5; x < width; x++)
      if (objectAt({ x, y }) === id) found.push([x / width, y / height]);
  return found[found.length >> 1];
}"""


class Counted(Person):
    """Counts what a person does; positions are shares of the frame."""

    actions = 0

    def at(self, x, y):
        box = self.get("stage").bounding_box()
        return {
            "x": box["x"] + x * box["width"],
            "y": box["y"] + y * box["height"],
        }

    def click(self, x, y, new=False):
        self.actions += 1
        if new:
            self.page.keyboard.down("Control")
        super().click(x, y)
        if new:
            self.page.keyboard.up("Control")

    def drag(self, *place):
        self.actions += 1
        super().drag(*place)

    def press(self, *keys):
        self.actions += len(keys)
        super().press(*keys)

    def place_of(self, object_id: int) -> tuple[float, float]:
        """Return where a person sees an object's mask, as shares of the frame."""
        until(lambda: self.page.evaluate(PLACE, object_id) is not None, seconds=30)
        return self.page.evaluate(PLACE, object_id)

    def choose(self, name: str):
        """Choose a name in the list."""
        self.actions += 1
        expect(self.get("correct")).to_be_visible()
        self.get("name").get_by_text(name, exact=True).click()
        expect(self.get("correct")).to_be_hidden()

    def drag_end(self, bar, side: int, frame: int, last: int):
        """Drag an end of a relation's bar to a frame; side 0 begins it."""
        self.actions += 1
        room = bar.locator("xpath=..")
        handle = room.get_by_test_id("span-end").nth(side).bounding_box()
        box = room.bounding_box()
        y = handle["y"] + handle["height"] / 2
        self.page.mouse.move(handle["x"] + handle["width"] / 2, y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + box["width"] * frame / last, y, steps=6)
        self.page.mouse.up()


def inner_points(truth: dict, frame: int = 0) -> dict[int, tuple[float, float]]:
    """Return a point well inside each true object of a frame, as shares of it."""
    from PIL import Image, ImageFilter

    points = {}
    for thing in truth["objects"]:
        rle = thing["masks"].get(str(frame))
        if rle is None:
            continue
        mask = Image.fromarray(decode_mask(rle))
        while True:  # erode until the next step would leave nothing
            less = mask.filter(ImageFilter.MinFilter(3))
            if less.getbbox() is None:
                break
            mask = less
        x, y = next(
            (i % mask.width, i // mask.width)
            for i, inside in enumerate(
                mask.get_flattened_data()
                if hasattr(mask, "get_flattened_data")
                else mask.getdata()
            )
            if inside
        )
        points[thing["object_id"]] = ((x + 0.5) / mask.width, (y + 0.5) / mask.height)
    return points


@pytest.mark.slow
def test_the_example_by_hand_in_few_actions(context, tmp_path):
    truth = json.loads(Path(EXAMPLE).with_name("example.json").read_text())
    last = truth["video"]["num_frames"] - 1
    points = inner_points(truth)
    ids = dict.fromkeys(i for s, o, *_ in truth["relations"] for i in (s, o))
    host = ModelHost(None)
    with served(tmp_path / "state", host, video=EXAMPLE) as (url, service):
        person = Counted(context, url)
        until(lambda: service.readiness.ready or service.readiness.failure, seconds=300)
        assert service.readiness.failure is None
        subjects = {s for s, *_ in truth["relations"]}
        number = 0
        for true_id in subjects:
            person.click(*points[true_id], new=number > 0)
            ids[true_id] = number = number + 1
            expect(person.get("pick")).to_have_count(number, timeout=60_000)
            for other in {o for s, o, *_ in truth["relations"] if s == true_id}:
                person.actions += 1
                person.page.locator(f"[data-key=add-object-{ids[true_id]}]").click()
                person.click(*points[other])
                ids[other] = number = number + 1
                expect(person.get("pick")).to_have_count(number, timeout=60_000)
        person.press("k")
        expect(person.get("note")).to_contain_text("Tracked", timeout=900_000)
        person.page.keyboard.press("Home")  # where its masks are those of the points
        person.actions += 1
        expect(person.get("busy")).to_be_hidden(timeout=60_000)
        bars = person.page.locator("button.span:not(.guess)")
        for count, (s, o, predicate, ((first, end),)) in enumerate(
            truth["relations"], 1
        ):
            person.drag(*person.place_of(ids[s]), *person.place_of(ids[o]))
            person.choose(predicate)
            expect(bars).to_have_count(count, timeout=60_000)
            bar = person.page.locator(
                f"button.span:not(.guess)[aria-label^='{ids[s]} ']"
                f"[data-key^='{ids[s]}-{ids[o]}-{predicate}-']"
            )
            said = bar.get_attribute("aria-label")
            for side, frame in ((0, first), (1, end)):
                now = [
                    int(n) for n in said.split("frames ")[1].split(",")[0].split(" to ")
                ]
                if now[side] != frame:
                    person.drag_end(bar, side, frame, last)
                    expect(bar).not_to_have_attribute("aria-label", said)
                    said = bar.get_attribute("aria-label")
        person.page.screenshot(path=tmp_path / "done.png")
        session = person.page.url.partition("session=")[2]
        graph = person.page.evaluate(
            "id => fetch(`/sessions/${id}/graph`).then((a) => a.json())", session
        )
        assert person.faults == []
    wanted = sorted([ids[s], ids[o], p, spans] for s, o, p, spans in truth["relations"])
    assert sorted(graph["relations"]) == wanted
    assert person.actions <= MOST
