"""Clicks that come fast, dots, keys in the list, thumbnails, and a full disk."""

import errno
import time

import pytest

from c2g_jax.media.outputs import DiskFull
from c2g_jax.types import InputError
from tests.web.browser import Person
from tests.web.conftest import served
from tests.web.fake_session import FakeSession

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO PLAYWRIGHT: install the extra `test`"
)
expect = sync_api.expect

ADULT, DOG, NOTHING = (60, 80), (282, 40), (20, 170)
STORE = 'import("/static/store.js").then(({ store }) => %s)'


def prompts(person):
    """Return how many points each object has on this frame, by its id."""
    code = "Object.fromEntries(store.views.get(store.frame).objects.map("
    code += "(o) => [o.object_id, o.prompts.length]))"
    return person.page.evaluate("() => " + STORE % code)


def test_a_click_goes_to_what_the_click_before_it_made(
    context, tmp_path, clip, monkeypatch
):
    click = FakeSession.click

    def slow(*arguments, **options):
        time.sleep(0.5)
        return click(*arguments, **options)

    monkeypatch.setattr(FakeSession, "click", slow)
    with served(tmp_path / "state", video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        person.click(*ADULT)
        person.click(*NOTHING)  # before the first one is answered
        expect(person.get("dot")).to_have_count(2)
        assert prompts(person) == {"1": 2}
        person.press("n")
        person.click(*DOG)
        person.click(160, 20)
        person.click(*ADULT, button="right")
        expect(person.get("dot")).to_have_count(3)
        assert prompts(person) == {"1": 2, "2": 3}
        person.press("n")
        person.click(160, 142)
        person.press("Delete")  # of what is made, not of what was selected before
        expect(person.get("note")).to_contain_text("3 table is removed. Undo")
        assert prompts(person) == {"1": 2, "2": 3}
        # What a person selects meanwhile stays selected.
        person.press("n")
        person.click(160, 142)
        person.get("pick").first.click()
        person.click(10, 10)
        person.objects(3)
        expect(person.get("dot")).to_have_count(3)
        assert prompts(person) == {"1": 3, "2": 3, "4": 1}
        assert person.faults == []


def test_the_last_dot_takes_its_object_and_says_so(person):
    person.click(*ADULT)
    person.objects(1)
    person.page.wait_for_timeout(700)  # no double click
    x, y = ADULT
    for modifier in ("Shift", "Shift"):  # beside the dot, and on it
        person.page.keyboard.down(modifier)
        person.click(x + 2, y)
        person.page.keyboard.up(modifier)
        person.page.wait_for_timeout(700)
    expect(person.get("dot")).to_have_count(3)
    person.get("dot").last.click()
    expect(person.get("note")).to_contain_text("A point of 1 adult is deleted. Undo")
    person.get("dot").last.click()
    expect(person.get("dot")).to_have_count(1)
    person.track()
    person.press("Home")
    dot = person.get("dot")
    expect(dot).to_have_attribute("title", "Delete, and 1 adult with it")
    dot.click()
    expect(person.get("note")).to_have_text(
        "That was its only point: 1 adult and its 2 relations went with it. "
        "Undo (Ctrl+Z) brings it back."
    )
    person.press("Control+z")
    expect(person.get("object").first).to_contain_text("1 adult")


def test_enter_names_what_was_selected_in_the_list(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("Escape")
    person.get("pick").click()
    expect(person.get("stage")).to_be_focused()
    person.press("Enter")
    expect(person.page.locator("#correct-title")).to_have_text("What is 1 adult?")
    person.press("Escape")
    person.get("pick").focus()
    person.press("Enter")
    expect(person.page.locator("#correct-title")).to_be_visible()
    person.press("Escape", "Space")  # deselects
    expect(person.get("pick")).to_have_attribute("aria-pressed", "false")
    person.press("Enter")
    expect(person.get("pick")).to_have_attribute("aria-pressed", "true")
    expect(person.page.locator("#correct")).to_be_hidden()


def test_a_thumbnail_shows_the_object_that_has_the_id_now(person):
    person.click(*ADULT)
    image = person.get("object").locator("img")
    expect(image).to_have_count(1)
    first = image.get_attribute("src")
    person.press("Control+z")
    person.objects(0)
    person.click(*DOG)  # smaller, and of the same id
    expect(person.get("object")).to_contain_text("1 cat")
    expect(image).to_have_count(1)
    expect(image).not_to_have_attribute("src", first)


def test_what_is_not_saved_is_selected_all_the_same(
    context, tmp_path, clip, monkeypatch
):
    end, full = FakeSession._end, []

    def unsaved(self):
        end(self)
        if full:
            try:
                raise DiskFull(self.saved, errno.ENOSPC)
            except InputError as error:
                raise InputError("what was done stands, but was not saved") from error

    monkeypatch.setattr(FakeSession, "_end", unsaved)
    with served(tmp_path / "state", video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        full.append(True)
        person.click(*ADULT)
        person.objects(1)
        expect(person.get("alert")).to_contain_text("stands")
        expect(person.get("pick")).to_have_attribute("aria-pressed", "true")
        full.clear()
