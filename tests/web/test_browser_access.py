"""Accessibility of the page: keyboard, window sizes, themes."""

import os
import re
from pathlib import Path

import pytest

from tests.web.browser import Person, delete_projects

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO PLAYWRIGHT: install the extra `test`"
)
expect = sync_api.expect

ADULT, DOG = (60, 80), (282, 40)


def test_by_keyboard_alone(person):
    page = person.page
    person.press("Tab", "Enter")  # the "Skip to the video" link
    expect(person.get("stage")).to_be_focused()
    person.press("c")
    expect(person.get("cursor")).to_be_visible()
    place = person.at(*ADULT)
    for _ in range(60):  # from the centre to the subject, in large steps
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
    expect(person.get("place")).to_contain_text("Frame 11 /")
    # Slowly: other tests may use the cores, and a film keeps its time.
    person.page.evaluate("document.getElementById('film').defaultPlaybackRate = 0.2")
    person.press("Home", "Space")
    expect(person.get("play")).to_have_attribute("aria-label", "Pause")
    expect(person.get("place")).to_contain_text(re.compile(r"Frame [2-9] /"))
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
    expect(person.get("graph-clip")).to_be_checked()
    expect(person.get("play")).to_have_attribute("aria-label", "Play")
    person.get("threshold").focus()
    person.press("End")
    expect(person.get("edge")).to_have_count(0)
    person.press("Home")
    person.get("edge").first.focus()
    person.press("Enter")
    expect(person.get("relation")).to_be_visible()
    person.press("Escape")
    expect(person.get("relation")).to_be_hidden()

    person.get("export").focus()
    person.press("Enter", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown")
    with page.expect_download() as download:
        person.press("Enter")
    assert download.value.suggested_filename == "kitchen.csv"
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


def test_focus_comes_back_to_a_button_that_was_drawn_anew(person):
    person.click(*ADULT)
    person.objects(1)
    person.get("rename").first.focus()
    person.press("Enter")
    expect(person.get("search")).to_be_focused()
    person.page.evaluate(
        """() => {
          const button = document.querySelector("[data-testid=rename]");
          button.replaceWith(button.cloneNode(true));
        }"""
    )
    person.press("Escape")
    expect(person.get("correct")).to_be_hidden()
    expect(person.get("rename").first).to_be_focused()


# All that is drawn by what the server says, drawn anew.
DRAW = """import("/static/store.js").then(({ emit }) =>
  emit("session", "summary", "view", "selection", "thumbnails"))"""


@pytest.mark.parametrize("name", ["rename", "relation-edit", "node"])
def test_what_is_drawn_between_down_and_up_loses_no_press(person, name):
    page = person.page
    person.track_two(ADULT, DOG)
    person.get("graph-clip").focus()
    person.press("Space")
    expect(person.get("graph-clip")).to_be_checked()
    expect(person.get("star").locator("image")).to_have_count(6)  # everything is drawn
    button = person.get(name).first
    box = button.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.evaluate(DRAW)
    page.mouse.up()
    expect(person.get("search")).to_be_focused()
    person.press("Escape")
    expect(person.get("correct")).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.down("Space")
    page.evaluate(DRAW)
    page.keyboard.up("Space")
    expect(person.get("search")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (390, 844)])
def test_it_can_be_read_and_named_at_every_size(browser, url, tmp_path, size, scheme):
    folder = Path(os.environ.get("C2G_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    delete_projects(url)
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
    person.track_two(ADULT, DOG)
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
