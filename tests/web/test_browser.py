"""The page in a browser, used by mouse and keyboard."""

import json
import re

import pytest

from c2g_jax.export.overlay import object_color
from tests.web.browser import Person, delete_projects
from tests.web.conftest import served, until
from tests.web.fake_session import FakeModelHost

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO PLAYWRIGHT: install the extra `test`"
)
expect = sync_api.expect

ADULT, DOG = (60, 80), (282, 40)


def test_from_a_click_to_a_corrected_graph_taken_away(person, tmp_path):
    expect(person.page.locator("#place")).to_have_text("Frame 0 / 23 · 0.0 s")
    person.click(*ADULT)
    person.shown(1)
    assert person.colour_at(*ADULT)[3] > 60
    assert person.colour_at(160, 20)[3] == 0
    person.track()
    expect(person.get("relation-lane")).to_have_count(2)
    expect(person.get("relation-bar").first).to_contain_text("holding")

    # A wrong category: search the vocabulary, Enter.
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

    # A wrong predicate over its span.
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
    person.click(*ADULT, button="right")  # no object is selected yet
    expect(person.get("note")).to_contain_text("Select the object")
    person.click(*ADULT)
    expect(person.get("dot")).to_have_count(1)
    person.click(75, 80, button="right")
    expect(person.get("dot")).to_have_count(2)
    expect(person.get("dot").nth(1)).to_have_text("−")
    person.get("exclude").check(force=True)
    person.click(60, 95)
    expect(person.page.locator(".dot.minus")).to_have_count(2)
    person.click(60, 65, button="right")  # include, while Exclude is on
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
    person.track_two(ADULT, DOG)
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
    expect(person.get("place")).to_contain_text("Frame 8 / 23")
    expect(bar).to_have_attribute("aria-pressed", "true")
    expect(person.get("relation")).to_contain_text("1 adult next to 3 table")
    person.shown(3)
    x, y = 90 + 6 * 8, 90  # the cup, which is not in the relation
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
    expect(person.get("target")).to_contain_text("related to")
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


def test_what_nothing_sure_is_told_of_stays_in_the_background(person):
    person.click(*ADULT)
    person.objects(1)
    person.track()
    person.press("Home")
    names = person.page.locator("#tags .tag")
    expect(names).to_have_text(["1 adult", "2 cup"])
    person.shown(2)
    person.get("threshold").fill("1")
    expect(names).to_have_text(["1 adult"])
    person.shown(2)  # its mask is still drawn
    person.get("pick").nth(1).click()
    expect(names).to_have_text(["2 cup", "1 adult"])


def test_the_video_is_there_while_the_model_is_at_work(context, tmp_path, clip):
    with served(tmp_path / "state", FakeModelHost(step=4.0), video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("place")).to_contain_text("Frame 0 /")
        person.click(*ADULT)
        person.objects(1)
        person.press("k")
        expect(person.get("left")).to_contain_text("1 of 24", timeout=10_000)
        other = Person(context, person.page.url)
        expect(other.get("clip-name")).to_have_text("kitchen.mp4", timeout=2_000)
        expect(other.get("busy")).to_contain_text("Reading the project")
        expect(other.get("busy")).to_contain_text("tracking kitchen.mp4")
        expect(other.get("object").first).to_contain_text("1 adult")
        person.press("Escape")
        expect(person.get("left")).to_contain_text("stopping")
        expect(person.get("note")).to_contain_text("cancelled", timeout=10_000)


def test_another_browser_goes_on_with_the_project(browser, tmp_path, clip):
    host = FakeModelHost(step=0.3)
    with served(tmp_path / "state", host, video=clip) as (url, service):
        first = browser.new_context()
        person = Person(first, url)
        expect(person.get("place")).to_contain_text("Frame 0 /")
        person.click(*ADULT)
        person.objects(1)
        person.press("k")
        expect(person.get("left")).to_contain_text(re.compile(r"\d+ of 24"))
        first.close()
        second = browser.new_context()
        other = Person(second, url)
        expect(other.get("object").first).to_contain_text("1 adult")
        (entry,) = service.registry
        until(lambda: entry.tracking is None, 3.0)  # nobody waits for it
        assert len(list(service.registry.root.iterdir())) == 1
        other.press("k")
        expect(other.get("left")).to_contain_text("of 24")
        other.press("Escape")
        expect(other.get("note")).to_contain_text("cancelled")
        assert person.faults == other.faults == []
        second.close()


def test_progress_and_cancel(browser, context, tmp_path, clip):
    with served(tmp_path / "state", FakeModelHost(step=0.25), video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("place")).to_contain_text("Frame 0 /")
        person.click(*ADULT)
        person.objects(1)
        person.press("k")
        expect(person.get("left")).to_contain_text(re.compile(r"of 24 · \d s left"))
        expect(
            person.get("relation-lane").first
        ).to_be_visible()  # lanes grow during tracking
        expect(person.get("undo")).to_be_disabled()
        person.press("Escape")
        expect(person.get("note")).to_contain_text("cancelled")
        expect(person.get("track")).to_have_text("Track")
        place = person.get("place").text_content()
        assert "Frame 23 /" not in place
        expect(person.get("undo")).to_be_enabled()
    person.click(20, 150)
    expect(person.get("alert")).to_contain_text("does not answer")


def test_everything_is_found_by_a_button(context, tmp_path, clip):
    host = FakeModelHost(step=0.1)
    with served(tmp_path / "state", host, video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        person.click(*ADULT)
        person.objects(1)
        person.get("find").click()
        expect(person.get("track")).to_have_text("Cancel")
        expect(person.get("find")).to_be_disabled()
        expect(person.get("left")).to_contain_text("of 24")
        expect(person.get("bar")).to_have_attribute("aria-label", "Finding everything")
        person.press("Escape")
        expect(person.get("note")).to_contain_text("nothing is changed")
        person.objects(1)

        person.get("find").click()
        expect(person.get("note")).to_contain_text("4 objects are found")
        person.objects(5)
        person.shown(5)
        expect(person.get("find")).to_be_enabled()
        person.press("Control+z")
        person.objects(1)
        expect(person.get("note")).to_have_text("Undone: everything found.")

        person.press("k")
        expect(person.get("find")).to_be_disabled()
        person.press("Escape")
        expect(person.get("find")).to_be_enabled()
        person.press("n")
        person.get("find").click()
        expect(person.get("note")).to_contain_text("found")
        person.get("find").click()
        expect(person.get("note")).to_have_text(
            "Nothing else that stays in view is found."
        )
        assert person.faults == []


def test_two_tabs_at_once(context, url):
    delete_projects(url)
    one, two = Person(context, url), Person(context, url)
    for person in (one, two):
        expect(person.page).to_have_url(re.compile("#session="))
    assert one.page.url == two.page.url, "who opens the page goes on with the project"
    two.get("open").click()
    two.get("open-example").click()
    expect(two.get("open-dialog")).to_be_hidden()
    two.page.wait_for_function("url => location.href !== url", arg=one.page.url)
    for person in (one, two):
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
    assert one.page.url != two.page.url
    one.click(*ADULT)
    two.click(*DOG)
    for person, name in ((one, "1 adult"), (two, "1 cat")):
        person.objects(1)
        expect(person.get("object")).to_contain_text(name)
    # One session in two tabs: a tab shows the other's changes when it becomes visible.
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
    person.click(*DOG)
    person.objects(1)
    person.get("open").click()
    broken = {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"not a video"}
    person.get("file").set_input_files(broken)
    expect(person.get("alert")).to_contain_text("Unsupported file format")
    expect(person.get("clip-name")).to_have_text("kitchen.mp4")
    person.get("open").click()
    good = {"name": "mine.mp4", "mimeType": "video/mp4", "buffer": clip.read_bytes()}
    person.get("file").set_input_files(good)
    expect(person.get("clip-name")).to_have_text("mine.mp4")
    expect(person.get("alert")).to_be_hidden()
    expect(person.get("object")).to_have_count(0)
    expect(person.get("busy")).to_be_hidden()
    expect(person.get("place")).to_contain_text("Frame 0 /")
    person.click(*ADULT)
    person.objects(1)
    person.get("open").click()
    expect(person.get("projects")).to_contain_text("kitchen.mp4")
    person.get("project").filter(has_text="kitchen.mp4").first.get_by_test_id(
        "project-open"
    ).click()
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
        person.page.goto("about:blank")  # then the URL of a deleted session
        person.page.goto(f"{url}/#session=nonsense")
        expect(person.get("note")).to_contain_text("no longer exists")
        expect(person.get("empty")).to_be_visible()
        assert person.faults == []
