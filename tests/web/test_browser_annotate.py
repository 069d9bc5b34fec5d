"""Annotating by hand in a browser: relations, spans, suggestions, identity, masks."""

import re

import pytest

from tests.web.annotating_session import AnnotatingHost
from tests.web.browser import Person
from tests.web.conftest import served, until

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO PLAYWRIGHT: install the extra `test`"
)
expect = sync_api.expect

ADULT, DOG, TABLE = (60, 80), (282, 40), (160, 142)


@pytest.fixture
def person(context, tmp_path, clip):
    host = AnnotatingHost(step=0.01)
    with served(tmp_path / "state", host, video=clip) as (url, _):
        person = Person(context, url)
        person.host = host
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        yield person
        assert person.faults == []


def session(person):
    return person.host.opened[-1]


def subject_and_table(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("n")
    person.click(*TABLE)
    person.objects(2)


def name(person, typed):
    expect(person.get("search")).to_be_focused()
    person.page.keyboard.type(typed)
    expect(person.get("name").first).to_contain_text(typed)
    person.press("Enter")
    expect(person.get("correct")).to_be_hidden()


def test_a_click_selects_shift_adds_and_a_double_click_makes_no_twin(person):
    person.page.mouse.dblclick(**person.at(*ADULT))
    person.objects(1)
    expect(person.get("dot")).to_have_count(1)
    person.press("Escape")
    expect(person.get("pick")).to_have_attribute("aria-pressed", "false")
    person.page.wait_for_timeout(700)
    person.click(62, 82)  # on its mask: selects
    expect(person.get("pick")).to_have_attribute("aria-pressed", "true")
    expect(person.get("dot")).to_have_count(1)
    person.page.keyboard.down("Shift")
    person.click(66, 86)
    person.page.keyboard.up("Shift")
    expect(person.get("dot")).to_have_count(2)
    person.page.keyboard.down("Control")
    person.click(50, 80)
    person.page.keyboard.up("Control")
    person.objects(2)
    person.press("n")
    person.click(70, 80)  # after N also on a mask
    person.objects(3)


def test_relate_by_r_search_and_enter_and_spans_by_keys(person):
    subject_and_table(person)
    person.click(*ADULT)
    person.press("r")
    expect(person.get("target")).to_contain_text("related to")
    person.click(*TABLE)
    name(person, "next to")
    expect(person.get("relation-lane")).to_have_count(1)
    assert session(person).state["drawn"] == [[1, 2, "next to", [[0, 23]]]]
    expect(person.get("note")).to_contain_text("on frames 0 to 23")
    person.press(*8 * ["ArrowRight"])
    person.press("o")
    expect(person.get("relation-bar")).to_have_attribute(
        "aria-label", re.compile("frames 0 to 8")
    )
    person.press(*3 * ["ArrowLeft"])
    person.press("i")
    expect(person.get("relation-bar")).to_have_attribute(
        "aria-label", re.compile("frames 5 to 8")
    )
    person.press("ArrowRight", "s")
    expect(person.get("relation-bar")).to_have_count(2)
    assert session(person).state["drawn"] == [[1, 2, "next to", [[5, 5], [7, 8]]]]
    person.press("Home", *5 * ["ArrowRight"])
    person.get("span-join").click()
    expect(person.get("relation-bar")).to_have_count(1)
    person.press("Backspace")
    expect(person.get("relation-lane")).to_have_count(0)
    person.press("Control+z")
    expect(person.get("relation-lane")).to_have_count(1)


def test_a_drag_from_mask_to_mask_relates_and_from_beside_it_is_a_box(person):
    subject_and_table(person)
    person.drag(*ADULT, *TABLE)
    name(person, "beside")
    expect(person.get("relation-bar")).to_have_text("beside")
    person.press("Escape", "n")
    person.drag(255, 15, 305, 65)
    person.objects(3)
    # From a node of the graph to another one.
    nodes = person.get("node")
    expect(nodes).to_have_count(2)
    a, b = nodes.nth(1).bounding_box(), nodes.nth(0).bounding_box()
    person.page.mouse.move(a["x"] + 20, a["y"] + 20)
    person.page.mouse.down()
    person.page.mouse.move(b["x"] + 20, b["y"] + 20, steps=4)
    person.page.mouse.up()
    name(person, "touching")
    expect(person.get("relation-lane")).to_have_count(2)


def test_a_related_object_that_the_click_makes(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("r")
    person.click(200, 150)
    person.objects(2)
    name(person, "on")
    expect(person.get("relation-bar")).to_have_text("on")


def test_ends_are_dragged_in_the_lane(person):
    subject_and_table(person)
    person.drag(*ADULT, *TABLE)
    name(person, "next to")
    person.press(*10 * ["ArrowRight"], "o")
    lane = person.get("relation-lane").locator(".lane-room")
    expect(person.get("relation-bar")).to_have_attribute(
        "aria-label", re.compile("frames 0 to 10")
    )
    room = lane.bounding_box()
    for side, to, said in ((1, 16, "0 to 16"), (0, 4, "4 to 16")):
        handle = lane.get_by_test_id("span-end").nth(side).bounding_box()
        person.page.mouse.move(handle["x"] + 5, handle["y"] + handle["height"] / 2)
        person.page.mouse.down()
        x = room["x"] + room["width"] * to / 23
        person.page.mouse.move(x, handle["y"] + 8, steps=5)
        person.page.mouse.up()
        expect(person.get("relation-bar")).to_have_attribute(
            "aria-label", re.compile(f"frames {said}")
        )
    person.press("Control+z")
    expect(person.get("relation-bar")).to_have_attribute(
        "aria-label", re.compile("frames 0 to 16")
    )


def test_suggestions_are_dashed_folded_and_accepted_by_a_key(person):
    person.track_two(ADULT, DOG)
    expect(person.get("relation-bar")).to_have_count(4)
    expect(person.page.locator("button.span.guess")).to_have_count(4)
    person.objects(2)  # those that are found are folded
    expect(person.get("guesses").first).to_contain_text("suggested")
    person.get("guesses").first.click()
    person.objects(3 + (person.get("guesses").count() == 1))
    expect(person.get("review")).to_contain_text("4 to decide")
    # The least sure first; a decision leads to the next one.
    person.press("j")
    expect(person.get("relation")).to_contain_text("looking at")
    person.press("d")
    expect(person.get("relation")).to_contain_text("next to")
    person.press("a")
    expect(person.get("relation")).to_contain_text("chasing")
    expect(person.get("review")).to_contain_text("2 to decide")
    expect(person.page.locator("button.span.guess")).to_have_count(2)
    person.press("Escape")
    person.get("threshold").fill("0.9")
    expect(person.get("accept-all")).to_have_text("Accept all from 90 %")
    person.get("accept-all").click()
    expect(person.get("note")).to_contain_text("1 relation is accepted")
    said = {r[2] for r in session(person).state["drawn"]}
    assert said == {"next to", "holding"}
    person.press("Control+z", "Control+z")
    expect(person.get("note")).to_contain_text("Undone")


def test_identity_merge_cut_promote_and_many_at_once(person):
    subject_and_table(person)
    person.press("n")
    person.click(*DOG)
    person.objects(3)
    person.get("same-as").click()
    expect(person.get("target")).to_contain_text("same as")
    person.get("pick").nth(1).click()
    person.objects(2)
    person.get("pick").nth(0).click()
    person.press("ArrowRight", "ArrowRight")
    person.get("cut").click()
    person.objects(3)
    assert session(person).state["presence"]["1"] == [[0, 1]]
    person.get("pick").nth(0).click()
    person.get("pick").nth(2).click(modifiers=["Shift"])
    expect(person.get("remove-several")).to_have_text("Remove 2 objects")
    person.press("Delete")
    person.objects(1)
    person.press("Control+z")
    person.objects(3)
    person.get("add-object").first.click()
    person.click(250, 44)
    person.objects(4)
    person.get("promote").click()
    expect(person.get("note")).to_contain_text("is a subject")
    assert [t["role"] for t in session(person).state["things"].values()].count(
        "subject"
    ) == 4


def test_brush_and_eraser_change_the_mask(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("b")
    expect(person.get("radius")).to_be_visible()
    assert person.colour_at(140, 30)[3] == 0
    person.drag(100, 30, 180, 30)
    person.page.wait_for_function(
        "() => document.getElementById('masks').getContext('2d')"
        ".getImageData(140, 30, 1, 1).data[3] > 60"
    )
    person.press("e")
    person.drag(120, 30, 160, 30)
    person.page.wait_for_function(
        "() => document.getElementById('masks').getContext('2d')"
        ".getImageData(140, 30, 1, 1).data[3] === 0"
    )
    assert [row[4] for row in session(person).state["painted"]] == [False, True]
    person.press("Control+z", "Control+z")
    expect(person.get("note")).to_contain_text("Undone: stroke")


def test_a_name_that_is_not_in_the_vocabulary_is_added(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("Enter")
    person.page.keyboard.type("Astronaut")
    expect(person.get("new-name").first).to_contain_text("“Astronaut”")
    person.press("Enter")
    expect(person.get("object")).to_contain_text("1 Astronaut")
    person.press("Enter")
    expect(person.get("name").first).to_have_text("Astronaut")  # recent names first
    person.press("Escape")


def test_a_name_of_a_subjects_object_comes_likeliest_first(person):
    subject_and_table(person)
    person.press("Enter")  # nobody's object yet
    expect(person.get("search")).to_be_focused()
    expect(person.get("name")).not_to_have_count(0)
    expect(person.get("name").first).not_to_have_text("mat")
    person.press("Escape")
    person.click(*ADULT)
    person.press("r")
    person.click(*TABLE)
    name(person, "next to")
    expect(person.get("relation-lane")).to_have_count(1)
    person.click(*TABLE)
    person.press("Enter")
    expect(person.get("name").first).to_have_text("mat")
    person.press("Escape")


def test_annotations_and_names_come_from_files(person):
    def give(field, name, text):
        person.get("open").click()
        person.get("own-files").locator("summary").click()
        file = {"name": name, "mimeType": "text/plain", "buffer": text.encode()}
        person.get(field).set_input_files(file)

    give("import", "mine.json", "{}")
    expect(person.get("note")).to_contain_text("1 object of mine.json is taken over")
    person.objects(1)
    give("import", "other.json", "[]")
    expect(person.get("alert")).to_contain_text("no annotations: give scene_graph.json")
    names = "[thing]\nrobot\n[stuff]\nlawn\n[predicate]\nmowing\n"
    give("vocabulary", "names.txt", names)
    expect(person.get("note")).to_contain_text("The project has its own names")
    person.get("rename").click()
    expect(person.get("name")).to_have_text(["robot", "lawn"])
    person.press("Escape")


def test_names_with_capitals_are_found_however_they_are_typed(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("Enter")
    expect(person.get("search")).to_be_focused()
    person.page.keyboard.type("Drone")
    person.get("new-name").first.click()
    expect(person.get("object")).to_contain_text("1 Drone")
    for typed in ("drone", "DRO", "Drone"):
        person.press("Enter")
        expect(person.get("search")).to_be_focused()
        person.page.keyboard.type(typed)
        expect(person.get("name").first).to_have_text("Drone")
        if typed != "DRO":
            expect(person.get("new-name")).to_have_count(0)
        person.page.keyboard.press("Escape")
        expect(person.get("correct")).to_be_hidden()


def test_what_cannot_be_done_while_tracking_says_so(context, tmp_path, clip):
    host = AnnotatingHost(step=0.5)
    with served(tmp_path / "state", host, video=clip) as (url, _):
        person = Person(context, url)
        person.host = host
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        subject_and_table(person)
        person.drag(*ADULT, *TABLE)
        name(person, "beside")
        expect(person.get("relation-bar")).to_have_count(1)
        before = session(person).state["drawn"]
        person.press("k")
        expect(person.get("left")).to_contain_text("of 24")
        clear = "document.getElementById('note').textContent = ''"
        for key in ("j", "a", "d", "r", "i", "s", " ", "Control+z"):
            person.page.evaluate(clear)
            person.press(key)
            expect(person.get("note")).to_have_text(
                "The video is being tracked: cancel that first (Esc)."
            )
        person.page.evaluate(clear)
        person.get("span-end").first.dispatch_event("pointerdown", {"button": 0})
        expect(person.get("note")).to_contain_text("is being tracked")
        person.press("Escape")
        expect(person.get("note")).to_contain_text("cancelled")
        assert session(person).state["drawn"] == before
        assert person.faults == []


def test_a_guess_that_is_taken_keeps_its_gaps_when_it_is_accepted(person):
    person.track_two(ADULT, DOG)
    gap = """async () => {
      const { store, emit } = await import("/static/store.js");
      const r = store.relations[0];
      Object.assign(r, { state: "accepted", fixed: false, spans: [[2, 4], [8, 9]] });
      store.chosen = { ...r, span: r.spans[0] };
      emit("chosen");
      return [r.subject_id, r.object_id, r.predicate];
    }"""
    triple = person.page.evaluate(gap)
    person.press("a")
    expect(person.get("alert")).to_be_hidden()
    until(lambda: session(person).state["drawn"])
    assert session(person).state["drawn"] == [[*triple, [[2, 4], [8, 9]]]]
