"""The page as a place of work: sizes, zoom, what it waits for, projects, film."""

import re

import pytest

from tests.web.browser import Person
from tests.web.conftest import prepare, served
from tests.web.fake_session import FakeModelHost, FakeSession

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="NO PLAYWRIGHT: install the extra `test`"
)
expect = sync_api.expect

ADULT, DOG = (60, 80), (282, 40)
WIDTH = "document.documentElement.scrollWidth"


def test_the_video_keeps_its_place_and_size_as_lanes_appear(person):
    before = person.get("stage").bounding_box()
    person.track_two(ADULT, DOG)
    expect(person.get("relation-lane")).to_have_count(4)
    assert person.get("stage").bounding_box() == before
    person.get("relation-bar").first.click()
    assert person.get("stage").bounding_box() == before


def test_from_one_window_size_to_another_while_open(person):
    person.track_two(ADULT, DOG)
    sizes = ((1280, 720), (390, 844), (1920, 1080), (390, 844), (800, 600), (1280, 720))
    for width, height in sizes:
        person.page.set_viewport_size({"width": width, "height": height})
        person.page.wait_for_function(
            "() => { const [a, b] = ['stage', 'room'].map((n) => (n === 'stage' ?"
            " document.getElementById(n) : document.querySelector('.stage-room'))"
            ".getBoundingClientRect()); return a.left >= b.left - 1 &&"
            " a.right <= b.right + 1 && a.bottom <= b.bottom + 1 &&"
            " (a.width > b.width - 2 || a.height > b.height - 2); }"
        )
        assert person.page.evaluate(WIDTH) <= width


def test_the_wheel_zooms_where_it_points_and_the_middle_button_pans(person):
    page, whole = person.page, person.get("stage").bounding_box()
    place = person.at(*ADULT)
    page.mouse.move(**place)
    page.mouse.wheel(0, -500)
    expect(person.get("fit")).to_contain_text("Fit")
    big = person.get("stage").bounding_box()
    assert big["width"] > 2 * whole["width"]
    under = person.at(*ADULT)
    assert abs(under["x"] - place["x"]) < 3
    assert abs(under["y"] - place["y"]) < 3
    person.click(*ADULT)
    person.objects(1)
    dot = person.get("dot").bounding_box()
    assert abs(dot["x"] + dot["width"] / 2 - place["x"]) < 3
    page.mouse.move(**place)
    page.mouse.down(button="middle")
    page.mouse.move(place["x"] + 40, place["y"] + 30)
    page.mouse.up(button="middle")
    moved = person.get("stage").bounding_box()
    assert (round(moved["x"] - big["x"]), round(moved["y"] - big["y"])) != (0, 0)
    person.press("0")
    expect(person.get("fit")).to_be_hidden()
    assert person.get("stage").bounding_box() == whole
    assert page.evaluate(WIDTH) <= 1280


def test_the_splitter_and_folded_panels_are_kept(person):
    page = person.page
    box = person.get("splitter").bounding_box()
    tall = person.get("timeline").bounding_box()["height"]
    page.mouse.move(box["x"] + 200, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 64)
    page.mouse.up()
    assert abs(tall - person.get("timeline").bounding_box()["height"] - 60) < 3
    person.get("splitter").press("ArrowUp")
    person.get("fold-objects").click()
    expect(person.get("objects")).to_be_hidden()
    lower = person.get("timeline").bounding_box()["height"]
    page.reload()
    expect(person.get("fold-objects")).to_have_attribute("aria-expanded", "false")
    assert person.get("timeline").bounding_box()["height"] == lower
    person.get("fold-objects").click()
    expect(person.get("fold-objects")).to_have_attribute("aria-expanded", "true")


def test_this_frame_and_the_lanes_say_the_same(person):
    person.track_two(ADULT, DOG)
    for keys in (["Home"], 8 * ["ArrowRight"], 9 * ["ArrowRight"], ["End"]):
        person.press(*keys)
        said = person.page.evaluate(
            """() => import("/static/store.js").then(({ store }) => [
              store.relations.filter((r) => r.spans.some(
                ([a, b]) => a <= store.frame && store.frame <= b)).length,
              document.querySelectorAll("[data-testid=edge]").length])"""
        )
        assert said[0] == said[1]


def test_a_press_on_a_lane_goes_to_its_frame(person):
    person.click(*ADULT)
    person.objects(1)
    room = person.page.locator("#lanes .lane-room").first.bounding_box()
    person.page.mouse.click(room["x"] + room["width"] / 23 * 7, room["y"] + 8)
    expect(person.get("place")).to_contain_text("Frame 7 /")


def test_a_new_row_is_scrolled_into_view(person):
    for x, y in (ADULT, DOG, (160, 142), (90, 84), (250, 44), (20, 20), (300, 170)):
        count = person.get("object").count()
        person.press("n")
        person.click(x, y)
        person.objects(count + 1)
    last = person.get("object").last.bounding_box()
    panel = person.page.locator("#objects-panel").bounding_box()
    assert last["y"] + last["height"] <= panel["y"] + panel["height"] + 1


def test_tracking_leaves_the_list_of_lanes_where_it_is(person):
    person.page.set_viewport_size({"width": 1280, "height": 560})
    person.track_two(ADULT, DOG)
    expect(person.get("relation-lane")).to_have_count(4)
    top = "() => document.getElementById('timeline').scrollTop"
    assert person.page.evaluate(top) == 0


def test_on_a_phone_the_tools_are_in_one_row(person):
    person.page.set_viewport_size({"width": 390, "height": 844})
    button = person.get("new-subject").bounding_box()
    tools = person.page.locator(".toolbar .segments").bounding_box()
    assert (
        tools["y"] < button["y"] + button["height"] / 2 < tools["y"] + tools["height"]
    )
    assert tools["x"] + tools["width"] <= 390


def test_a_subject_is_named_before_it_is_tracked(person):
    person.click(*ADULT)
    person.objects(1)
    person.press("Enter")
    person.page.keyboard.type("child")
    expect(person.get("name")).to_have_count(1)
    person.press("Enter")
    expect(person.get("object")).to_contain_text("1 child")
    expect(person.get("star")).to_contain_text("Track the video")


def test_a_reload_says_that_tracking_stopped_and_goes_on(context, tmp_path, clip):
    with served(tmp_path / "state", FakeModelHost(step=0.1), video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        person.click(*ADULT)
        person.objects(1)
        person.press("k")
        expect(person.get("left")).to_contain_text("of 24 ")
        person.page.reload()
        expect(person.get("stopped")).to_contain_text("Tracking stopped")
        expect(person.get("stopped")).to_contain_text("of 24 frames are done")
        person.get("go-on").click()
        expect(person.get("note")).to_contain_text("Tracked", timeout=20_000)
        expect(person.get("stopped")).to_be_hidden()
        person.page.reload()
        person.objects(2 + 1)
        expect(person.get("stopped")).to_be_hidden()
        assert person.faults == []


SEEN = """() => new Promise((seen) => {
  const begin = performance.now();
  const look = () => document.getElementById("busy").checkVisibility() &&
    document.querySelector("#pending > *") ? seen(performance.now() - begin)
    : performance.now() - begin > 5000 ? seen(null) : setTimeout(look, 10);
  look();
})"""


# An answer that breaks off, as when the server is killed.
LOST = """() => {
  const real = window.fetch;
  const broken = { pull: (body) => body.error(new TypeError("network error")) };
  window.fetch = (path, options) => path.endsWith("/track")
    ? Promise.resolve(new Response(new ReadableStream(broken)))
    : real(path, options);
}"""


def test_a_connection_that_is_lost_while_tracking_is_named(person):
    person.click(*ADULT)
    person.objects(1)
    person.page.evaluate(LOST)
    person.press("k")
    expect(person.get("alert")).to_contain_text("The connection was lost during")
    expect(person.get("track")).to_have_text("Track")


def test_a_click_that_takes_long_is_seen_at_once(context, tmp_path, clip, monkeypatch):
    import time

    click = FakeSession.click

    def slow(*arguments, **options):
        time.sleep(1.5)
        return click(*arguments, **options)

    monkeypatch.setattr(FakeSession, "click", slow)
    with served(tmp_path / "state", video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        person.page.evaluate(f"() => {{ window.seen = ({SEEN})(); }}")
        person.click(*ADULT)
        assert person.page.evaluate("window.seen") is not None
        expect(person.get("busy")).to_contain_text("Finding the object on frame 0")
        person.objects(1)
        expect(person.get("busy")).to_be_hidden()
        expect(person.get("pending").locator("*")).to_have_count(0)
        assert person.faults == []


def test_getting_ready_is_said_and_a_click_waits_for_no_tracking(
    context, tmp_path, clip
):
    import threading

    hold, tracks = threading.Event(), threading.Event()
    host = FakeModelHost(hold=hold)

    def warm_tracking(report):
        report("compiling tracking")
        tracks.wait(30)

    host.warm_tracking = warm_tracking
    with served(tmp_path / "state", host, video=clip) as (url, _):
        try:
            person = Person(context, url)
            expect(person.get("busy")).to_contain_text(
                "Getting ready: compiling the first click"
            )
            hold.set()
            expect(person.get("busy")).to_be_hidden()
            person.click(*ADULT)
            person.objects(1)
        finally:
            hold.set(), tracks.set()


def test_the_frame_that_is_looked_at_is_encoded_and_no_more(context, tmp_path, clip):
    host = FakeModelHost()
    with served(tmp_path / "state", host, video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        person.page.wait_for_timeout(300)
        person.press("Home", *4 * ["ArrowRight"])
        person.page.wait_for_timeout(1200)
        prepared = host.opened[0].prepared
        assert {3, 4, 5} <= set(prepared)
        assert len(prepared) == len(set(prepared)) <= 6
        asked = []
        person.page.on("request", lambda request: asked.append(request.url))
        person.page.wait_for_timeout(2000)
        assert asked == [], "an idle page asks for nothing"


def test_the_film_plays_between_the_sampled_frames(person):
    page = person.page
    # Slowly: other tests may use the cores, and a film keeps its time.
    person.page.evaluate("document.getElementById('film').defaultPlaybackRate = 0.2")
    can = page.evaluate("document.createElement('video').canPlayType('video/mp4')")
    person.press("Space")
    expect(person.get("play")).to_have_attribute("aria-label", "Pause")
    expect(person.get("place")).to_contain_text(re.compile(r"Frame [3-9] /"))
    person.press("Space")
    expect(person.get("film")).to_be_hidden()
    place = person.get("place").text_content()
    page.wait_for_timeout(500)
    assert person.get("place").text_content() == place, can


def test_projects_are_named_copied_and_deleted_after_a_second_question(
    context, tmp_path, clip
):
    with served(tmp_path / "state", video=clip) as (url, _):
        person = Person(context, url)
        expect(person.get("clip-name")).to_have_text("kitchen.mp4")
        expect(person.get("rate")).to_have_text("24 frames, 5 a second")
        person.click(*ADULT)
        person.objects(1)
        person.get("open").click()
        expect(person.get("project")).to_have_count(1)
        person.get("project-rename").click()
        person.page.keyboard.type("breakfast")
        person.press("Enter")
        expect(person.get("project")).to_contain_text("breakfast")
        expect(person.get("clip-name")).to_have_text("breakfast")
        person.get("project-copy").click()
        expect(person.get("project")).to_have_count(2)
        copy = person.get("project").filter(has_text="copy")
        copy.get_by_test_id("project-open").click()
        expect(person.get("clip-name")).to_have_text("breakfast copy")
        person.objects(1)
        person.get("open").click()
        copy.get_by_test_id("project-delete").click()
        expect(person.get("projects")).to_contain_text("Delete breakfast copy and all")
        person.page.get_by_role("button", name="Keep").click()
        expect(person.get("project")).to_have_count(2)
        refused = {"status": 409, "json": {"error": "the project is at work."}}
        person.page.route("**/sessions/*", lambda route: route.fulfill(**refused))
        copy.get_by_test_id("project-delete").click()
        person.get("project-delete-yes").click()
        expect(person.get("alert")).to_contain_text("The project is at work.")
        expect(person.get("note")).not_to_contain_text("deleted")
        person.page.unroute("**/sessions/*")
        copy.get_by_test_id("project-delete").click()
        person.get("project-delete-yes").click()
        # The newest that is left of the film.
        expect(person.get("clip-name")).to_have_text("breakfast")
        person.get("open").click()
        expect(person.get("project")).to_have_count(1)
        # Frames per second are chosen on opening.
        person.get("fps").fill("2")
        person.get("open-example").click()
        expect(person.get("rate")).to_have_text("10 frames, 2 a second")
        assert person.faults == []


def test_a_change_by_another_tab_is_shown_and_not_written_over(context, url):
    one = Person(context, url)
    expect(one.get("clip-name")).to_have_text("kitchen.mp4")
    one.click(*ADULT)
    one.objects(1)
    two = Person(context, one.page.url)
    two.objects(1)
    two.press("n")
    two.click(*DOG)
    two.objects(2)
    one.get("remove").click()
    expect(one.get("alert")).to_contain_text("Another tab changed this project")
    one.objects(2)
    assert one.faults == two.faults == []


def test_with_a_token_the_page_opens_by_its_link_alone(browser, tmp_path, clip):
    import socket
    import threading

    from c2g_jax.web.access import Access
    from c2g_jax.web.app import create_app, make_server
    from c2g_jax.web.service import Settings
    from tests.web.conftest import until

    state = prepare(tmp_path / "state", clip)
    app = create_app(
        FakeModelHost(), Settings(state=state, video=clip), Access(token="s3cret")
    )
    server = make_server(app, seconds=1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        run = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        run.start()
        context = browser.new_context()
        try:
            until(lambda: server.started)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            page = context.new_page()
            assert page.goto(url).status == 401
            person = Person(context, f"{url}?token=s3cret")
            expect(person.get("clip-name")).to_have_text("kitchen.mp4")
            assert "s3cret" not in person.page.url
            assert "s3cret" not in person.page.evaluate("document.cookie")
            person.click(*ADULT)
            person.objects(1)
        finally:
            context.close()
            server.should_exit = True
            run.join(20)


def test_the_help_opens_at_its_beginning(person):
    person.page.set_viewport_size({"width": 390, "height": 500})
    person.press("?")
    dialog = person.get("help-dialog")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("(d) => d.scrollHeight > d.clientHeight && d.scrollTop") == 0


def test_what_is_said_of_the_selection_and_where(person):
    expect(person.get("threshold")).to_be_hidden()  # nothing is guessed yet
    person.track_two(ADULT, DOG)
    expect(person.get("threshold")).to_be_visible()
    lane = person.get("relation-lane").first.locator(".lane-name")
    expect(lane).to_have_text("1 adult holding 3 cup")
    person.get("pick").first.click()
    person.get("pick").last.click(modifiers=["Shift"])
    expect(person.get("target")).to_contain_text("2 objects are selected")
    # The timeline has no more to scroll than lanes.
    for _ in range(8):
        person.get("splitter").press("ArrowUp")
    person.press("Control+z")  # what was tracked
    person.objects(2)
    rest = "(t) => t.scrollHeight - t.clientHeight"
    assert person.get("timeline").evaluate(rest) == 0


def test_the_row_of_the_selected_object_and_what_can_be_done_are_in_view(person):
    for x, y in (ADULT, DOG, (160, 142), (90, 84), (250, 44), (20, 20), (300, 170)):
        count = person.get("object").count()
        person.press("n")
        person.click(x, y)
        person.objects(count + 1)
    panel = person.page.locator("#objects-panel").bounding_box()
    tools = person.get("relate").bounding_box()
    assert tools["y"] + tools["height"] <= panel["y"] + panel["height"] + 1
