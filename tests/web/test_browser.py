"""The page in a real browser: what a person does with it, by mouse and by keys."""

import json
import os
import re
from pathlib import Path

import pytest

from c2g_jax.overlay import object_color
from tests.web.browser import Person, launch
from tests.web.conftest import served
from tests.web.fake_session import FakeStudio

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO PLAYWRIGHT: install the extra `test`"
)
expect = sync_api.expect

ADULT, DOG = (60, 80), (282, 40)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory, clip):
    state = tmp_path_factory.mktemp("browser") / "state"
    with served(state, FakeStudio(step=0.02), video=clip) as (url, _):
        yield url


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def person(context, url):
    person = Person(context, url)
    expect(person.get("clip-name")).to_have_text("kitchen.mp4")
    yield person
    assert person.faults == []


def test_from_a_click_to_a_corrected_graph_taken_away(person, tmp_path):
    expect(person.page.locator("#place")).to_have_text("Frame 1 of 24 · 0.0 s")
    person.click(*ADULT)
    person.shown(1)
    assert person.colour_at(*ADULT)[3] > 60
    assert person.colour_at(160, 20)[3] == 0
    person.track()
    expect(person.get("relation-lane")).to_have_count(2)
    expect(person.get("relation-bar").first).to_contain_text("holding")

    # A wrong name: search in the vocabulary, Enter.
    person.get("rename").first.click()
    person.page.keyboard.type("chi")
    expect(person.get("name").first).to_have_text("child")
    person.press("Enter")
    expect(person.get("object").first).to_contain_text("1 child")
    expect(person.get("object").first).to_contain_text("by you")
    person.press("Control+z")
    expect(person.get("object").first).to_contain_text("1 adult")
    person.press("Control+Shift+Z")
    expect(person.get("object").first).to_contain_text("1 child")

    # A wrong predicate, over its span.
    person.get("relation-edit").first.click()
    person.page.keyboard.type("carry")
    expect(person.get("name")).to_have_count(1)
    person.get("apply").click()
    expect(person.get("relation-bar").first).to_have_text(re.compile("carrying"))

    person.get("export").click()
    with person.page.expect_download() as download:
        person.get("export-scene_graph").click()
    path = tmp_path / "graph.json"
    download.value.save_as(path)
    assert download.value.suggested_filename == "kitchen_scene_graph.json"
    graph = json.loads(path.read_text())
    assert graph["objects"][0]["category"] == "child"
    assert graph["relations"][0] == [1, 2, "carrying", [[0, 17]]]

    person.page.reload()
    expect(person.get("object").first).to_contain_text("1 child")
    expect(person.get("relation-lane")).to_have_count(2)
    person.shown(2)


def test_right_clicks_the_toggle_boxes_and_dots(person):
    person.click(*ADULT, button="right")  # nothing to exclude from yet
    expect(person.get("note")).to_contain_text("Choose the object")
    person.click(*ADULT)
    expect(person.get("dot")).to_have_count(1)
    person.click(75, 80, button="right")
    expect(person.get("dot")).to_have_count(2)
    expect(person.get("dot").nth(1)).to_have_text("−")
    person.get("exclude").check(force=True)
    person.click(60, 95)
    expect(person.page.locator(".dot.minus")).to_have_count(2)
    person.click(60, 65, button="right")  # the other way round while toggled
    expect(person.page.locator(".dot:not(.minus)")).to_have_count(2)
    person.get("dot").nth(1).click()
    expect(person.get("dot")).to_have_count(3)
    person.press("n", "x")
    expect(person.get("include")).to_be_checked()
    person.drag(260, 15, 305, 65)
    person.objects(2)
    expect(person.page.locator(".frame-box")).to_have_count(1)
    person.page.locator(".dot.corner").click()
    person.objects(1)


def test_two_subjects_show_two_graphs(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("n")
    person.click(*DOG)
    person.objects(2)
    person.track()
    person.objects(5)
    person.get("graph-clip").check(force=True)
    expect(person.get("star")).to_have_count(2)
    first, second = person.get("star").all()
    expect(first).to_contain_text("holding")
    expect(first).not_to_contain_text("chasing")
    expect(second).to_contain_text("chasing")
    expect(second).to_contain_text("81 %")
    expect(person.get("star").locator("image")).to_have_count(6)


def test_a_relation_leads_to_its_frames_and_lights_up_both(person):
    person.click(*ADULT)
    person.objects(1)
    person.track()
    bar = person.get("relation-bar").filter(has_text="next to")
    bar.click()
    expect(person.get("place")).to_contain_text("Frame 9 of 24")
    expect(bar).to_have_attribute("aria-pressed", "true")
    expect(person.get("relation")).to_contain_text("1 adult next to 3 table")
    person.shown(3)
    x, y = 90 + 6 * 8, 90  # the cup, which has no part in it
    lit, dim = person.colour_at(160, 142), person.colour_at(x, y)
    assert lit[3] > 3 * dim[3] > 0
    assert lit[:3] == pytest.approx(list(object_color(3)), abs=3)
    person.get("relation-reject").click()
    expect(person.get("relation-lane")).to_have_count(1)
    expect(person.get("note")).to_have_text("They are not related.")


def test_lists_objects_by_hand_hiding_removing_and_thresholds(person):
    person.click(*ADULT)
    person.objects(1)
    person.get("add-object").click()
    expect(person.get("target")).to_contain_text("has to do with")
    person.click(160, 142)
    person.objects(2)
    expect(person.get("object").nth(1)).to_contain_text("table")
    person.shown(2)
    person.get("visible").nth(1).click()
    person.shown(1)
    expect(person.get("visible").nth(1)).to_have_attribute("aria-pressed", "false")
    person.get("visible").nth(1).click()
    person.track()
    expect(person.get("relation-lane")).to_have_count(2)
    person.get("threshold").fill("0.8")
    expect(person.get("relation-lane")).to_have_count(1)
    person.get("remove").first.click()
    expect(person.get("relation-lane")).to_have_count(0)
    person.get("undo").click()
    expect(person.get("relation-lane")).to_have_count(1)


def test_progress_and_cancel(browser, context, tmp_path, clip):
    with served(tmp_path / "state", FakeStudio(step=0.25), video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("place")).to_contain_text("Frame 1")
        person.click(*ADULT)
        person.objects(1)
        person.press("k")
        expect(person.get("left")).to_contain_text(re.compile(r"of 24 · \d s left"))
        expect(person.get("relation-lane").first).to_be_visible()  # it grows meanwhile
        expect(person.get("undo")).to_be_disabled()
        person.press("Escape")
        expect(person.get("note")).to_contain_text("cancelled")
        expect(person.get("track")).to_have_text("Track")
        place = person.get("place").text_content()
        assert "Frame 24" not in place
        expect(person.get("undo")).to_be_enabled()
    person.click(*ADULT)
    expect(person.get("alert")).to_contain_text("does not answer")


def test_two_tabs_at_once(context, url):
    one, two = Person(context, url), Person(context, url)
    for person in (one, two):
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
    assert one.page.url != two.page.url
    one.click(*ADULT)
    two.click(*DOG)
    for person, name in ((one, "1 adult"), (two, "1 cat")):
        person.objects(1)
        expect(person.get("object")).to_contain_text(name)
    # The same session in both: what one does, the other shows when it is looked at.
    two.page.goto(one.page.url)
    two.page.reload()
    expect(two.get("object")).to_contain_text("1 adult")
    one.get("rename").click()
    one.page.keyboard.type("child")
    expect(one.get("name")).to_have_count(1)
    one.press("Enter")
    expect(one.get("object")).to_contain_text("1 child")
    two.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(two.get("object")).to_contain_text("1 child")
    assert one.faults == two.faults == []


def test_uploads_good_and_broken(person, clip):
    person.get("open").click()
    broken = {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"not a video"}
    person.get("file").set_input_files(broken)
    expect(person.get("alert")).to_contain_text("Not a video or image known here")
    expect(person.get("clip-name")).to_have_text("kitchen.mp4")
    person.get("open").click()
    good = {"name": "mine.mp4", "mimeType": "video/mp4", "buffer": clip.read_bytes()}
    person.get("file").set_input_files(good)
    expect(person.get("clip-name")).to_have_text("mine.mp4")
    expect(person.get("alert")).to_be_hidden()
    person.click(*ADULT)
    person.objects(1)
    person.get("open").click()
    expect(person.get("recent")).to_contain_text("kitchen.mp4")
    person.get("recent").get_by_role("button").first.click()
    expect(person.get("clip-name")).to_have_text("kitchen.mp4")


def test_without_a_video_the_page_asks_for_one(context, tmp_path, clip):
    with served(tmp_path / "state") as (url, _):
        person = Person(context, url)
        expect(person.get("empty")).to_contain_text("Drop a video")
        person.page.get_by_role("button", name="Choose a file").click()
        person.get("file").set_input_files(clip)
        expect(person.get("empty")).to_be_hidden()
        person.click(*ADULT)
        person.objects(1)
        person.page.goto("about:blank")  # and an address of a session that is gone
        person.page.goto(f"{url}/#session=nonsense")
        expect(person.get("note")).to_contain_text("gone")
        expect(person.get("empty")).to_be_visible()
        assert person.faults == []


def test_by_keyboard_alone(person):
    page = person.page
    person.press("Tab", "Enter")  # the link that skips to the video
    expect(person.get("stage")).to_be_focused()
    person.press("c")
    expect(person.get("cursor")).to_be_visible()
    place = person.at(*ADULT)
    for _ in range(60):  # from the middle to the subject, in large steps
        box = person.get("cursor").bounding_box()
        dx = place["x"] - box["x"] - box["width"] / 2
        dy = place["y"] - box["y"] - box["height"] / 2
        if abs(dx) < 12 and abs(dy) < 12:
            break
        across = abs(dx) >= abs(dy)
        person.press(
            "Shift+"
            + (("ArrowRight" if dx > 0 else "ArrowLeft") if across else "")
            + (("ArrowDown" if dy > 0 else "ArrowUp") if not across else "")
        )
    person.press("Enter")
    person.objects(1)
    expect(person.get("object")).to_contain_text("1 adult")
    person.press("ArrowDown", "-")
    expect(page.locator(".dot.minus")).to_have_count(1)
    person.press("Control+z")
    expect(person.get("dot")).to_have_count(1)
    person.press("Escape")
    expect(person.get("cursor")).to_be_hidden()

    person.press("ArrowRight", "Shift+ArrowRight")
    expect(person.get("place")).to_contain_text("Frame 12")
    person.press("Home", "Space")
    expect(person.get("play")).to_have_attribute("aria-label", "Pause")
    expect(person.get("place")).to_contain_text("Frame 3")
    person.press("Space")
    expect(person.get("play")).to_have_attribute("aria-label", "Play")
    person.track()

    person.get("rename").first.focus()
    person.press("Enter")
    expect(person.get("search")).to_be_focused()
    page.keyboard.type("zebra")
    expect(person.get("names")).to_contain_text("No such name")
    person.press("Escape")
    expect(person.get("correct")).to_be_hidden()
    expect(person.get("rename").first).to_be_focused()
    person.press("Space")
    page.keyboard.type("c")
    expect(person.get("name").first).to_have_text("cabinet")
    person.press("ArrowDown", "ArrowDown", "Enter")
    expect(person.get("object").first).to_contain_text("by you")

    person.get("graph-clip").focus()
    person.press("Space")
    person.get("edge").first.focus()
    person.press("Enter")
    expect(person.get("relation")).to_be_visible()
    person.press("Escape")
    expect(person.get("relation")).to_be_hidden()

    person.get("export").focus()
    person.press("Enter", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown")
    with page.expect_download() as download:
        person.press("Enter")
    assert download.value.suggested_filename == "kitchen_csv.csv"
    person.press("?")
    expect(person.get("help-dialog")).to_be_visible()
    person.press("Escape")
    expect(person.get("help-dialog")).to_be_hidden()


# Text and controls that a person cannot read or name; run in the page.
NAMELESS = """() => [...document.querySelectorAll(
  'button, input, select, [role=button], [role=application], progress, svg[role]'
)].filter((e) => e.checkVisibility() && !(
  e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') ||
  e.textContent.trim() || [...(e.labels ?? [])].some((l) => l.textContent.trim())
)).map((e) => e.outerHTML.slice(0, 120))"""

CONTRAST = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility({opacityProperty: true}) || e.closest(
      ':disabled, .hidden, #tags, svg, script, .skip, .dim, option')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${e.textContent.trim().slice(0, 40)}: ${ratio}`);
  }
  return bad;
}"""

# Controls that lie over one another, or reach out of the window at the side.
ASTRAY = """() => {
  const all = [...document.querySelectorAll('button, select, input[type=range]')]
    .filter((e) => e.checkVisibility() && !e.closest('#dots, .lane-room, .notes'))
    .map((e) => [e, e.getBoundingClientRect()]);
  const bad = all.filter(([, a]) => a.left < -1 || a.right > innerWidth + 1)
    .map(([e]) => `out: ${e.outerHTML.slice(0, 80)}`);
  for (const [e, a] of all) for (const [f, b] of all)
    if (e !== f && !e.contains(f) && !f.contains(e) && a.left < b.right - 1 &&
        b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1 &&
        !e.closest('.panel, .timeline') && !f.closest('.panel, .timeline'))
      bad.push(`over: ${e.id || e.outerHTML.slice(0, 60)} ${f.id}`);
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (390, 844)])
def test_it_can_be_read_and_named_at_every_size(browser, url, tmp_path, size, scheme):
    folder = Path(os.environ.get("C2G_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    person = Person(context, url)
    expect(person.get("clip-name")).to_have_text("kitchen.mp4")

    def look(name):
        page = person.page
        path = folder / f"{size[0]}-{scheme}-{name}.png"
        page.screenshot(path=path, full_page=size[0] < 800)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(ASTRAY) == []

    look("start")
    person.click(*ADULT)
    person.objects(1)
    person.press("n")
    person.click(*DOG)
    person.objects(2)
    person.track()
    person.press(*8 * ["ArrowLeft"])
    person.shown(5)
    look("tracked")
    person.get("relation-bar").nth(1).click()
    person.shown(4)
    look("relation")
    person.get("relation-correct").click()
    person.page.keyboard.type("ca")
    person.page.screenshot(path=folder / f"{size[0]}-{scheme}-correct.png")
    person.press("Escape")
    expect(person.get("correct")).to_be_hidden()
    person.get("theme").click()
    ground = person.page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", ground)[:3])) > 384
    assert bright == (scheme == "dark"), "the button turns it over"
    assert person.faults == []
    context.close()
