"""The simulated world: relations are visible, and none is too easy to guess."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from toy_pvsg import film, generate, things
from toy_pvsg.background import Background
from toy_pvsg.render import Renderer
from toy_pvsg.scene import outlines

PREDICATES = {
    "holding", "carrying", "kicking", "throwing", "chasing", "riding", "sitting on",
    "standing on", "pushing", "next to", "looking at", "playing with",
}  # fmt: skip


@pytest.fixture(scope="module")
def films():
    return [film.make(5, "train", i, (64, 64), 40) for i in range(40)]


def middles(shown, first, target):
    """Return the centre of a thing in each frame, world units [frames, 2]."""
    found = []
    for parts in shown.frames:
        points = [part.points for i, part in parts if i == target - first]
        points = np.concatenate(points)
        found.append((points.min(0) + points.max(0)) / 2)
    return np.array(found)


def spans(films, predicate, among=None):
    """Yield (subject path, object path, start, end) of every span between things."""
    for shown in films:
        objects = {o["object_id"]: o for o in shown.record["objects"]}
        first = len(shown.stuff) + 1
        for subject, target, name, found in shown.record["relations"]:
            category = objects[target]["category"]
            if name != predicate or not objects[target]["is_thing"]:
                continue
            if among is None or category in among:
                a, b = (middles(shown, first, i) for i in (subject, target))
                for start, end in found:
                    yield a, b, start, end


def travelled(path, start, end):
    return float(np.abs(np.diff(path[start : end + 1], axis=0)).sum())


def test_all_predicates_occur_and_none_dominates(films):
    records, pairs, stuff, beside = Counter(), defaultdict(set), 0, Counter()
    whole = spans_all = 0
    for shown in films:
        objects = {o["object_id"]: o for o in shown.record["objects"]}
        met = defaultdict(set)
        for subject, target, predicate, found in shown.record["relations"]:
            records[predicate] += 1
            stuff += not objects[target]["is_thing"]
            names = objects[subject]["category"], objects[target]["category"]
            pairs[names].add(predicate)
            for start, end in found:
                spans_all += 1
                whole += end - start + 1 == 40
                for t in range(start, end + 1):
                    met[subject, t].add(target)
        beside.update(len(m) for m in met.values())
    assert set(records) == PREDICATES
    assert stuff <= 0.25 * records.total()
    assert max(records.values()) <= 0.25 * records.total()
    assert sum(len(p) > 1 for p in pairs.values()) >= 15
    assert whole < 0.1 * spans_all
    assert {1, 2, 3} <= set(beside)
    assert max(beside) <= 3


def test_many_scenes_have_distractors(films):
    """The class alone does not identify the object: others of it are uninvolved."""
    like = 0
    for shown in films:
        names = [o["category"] for o in shown.record["objects"]]
        bound = {i for r in shown.record["relations"] for i in r[:2]}
        idle = {names[i - 1] for i in range(1, len(names) + 1) if i not in bound}
        like += bool(idle & {names[i - 1] for i in bound})
    assert like >= 0.3 * len(films)


def test_kicked_and_thrown_balls_fly(films):
    for predicate in ("kicking", "throwing"):
        found = [
            travelled(b, start, end)
            for _, b, start, end in spans(films, predicate)
            if end - start >= 6
        ]
        assert len(found) >= 3
        assert min(found) > 20


def test_carrying_moves_and_holding_stands(films):
    moved = [travelled(a, s, e) / (e - s) for a, _, s, e in spans(films, "carrying")]
    stood = [travelled(a, s, e) / (e - s) for a, _, s, e in spans(films, "holding")]
    assert np.median(moved) > 4 * np.median(stood)
    for name in ("carrying", "holding"):
        for a, b, start, end in spans(films, name):
            assert np.abs(a - b)[start : end + 1].max() < 80


def test_riding_and_pushing_move_together(films):
    for name, among in (("riding", ("bike",)), ("pushing", ("bike", "cart"))):
        found = list(spans(films, name, among))
        assert found
        for a, b, start, end in found:
            steps = np.diff(b[start : end + 1, 0])
            assert np.abs(steps).max() > 1
            together = np.abs((a - b)[start + 1 : end + 1, 0]).max()
            assert together < 75


def test_the_chaser_runs_behind_and_the_watcher_stands(films):
    for a, b, start, end in spans(films, "chasing", things.ALIVE):
        middle = (start + end) // 2
        velocity = b[middle + 1, 0] - b[middle, 0]
        if abs(velocity) > 4:  # not while it turns
            assert (b[middle, 0] - a[middle, 0]) * velocity > 0
    watched = list(spans(films, "looking at"))
    assert len(watched) > 10
    for a, _, start, end in watched:
        assert np.median(np.abs(np.diff(a[start : end + 1, 0]))) < 1


def test_who_is_next_to_another_is_close_and_still(films):
    found = list(spans(films, "next to"))
    assert len(found) > 10
    for a, b, start, end in found:
        assert np.abs((a - b)[start : end + 1, 0]).max() < 110
        assert travelled(b, start, end) < 4 * (end - start + 1)


@pytest.mark.parametrize("category", sorted(things.SIZES))
def test_each_class_is_large_enough_to_be_seen(category):
    """At 256 pixels: balls and cups 18 across, animals 35 long, adults 80 high."""
    least = {"adult": 80, "child": 50, "dog": 35, "cat": 35, "bike": 50, "cart": 50}
    for seed in range(4):
        thing = things.create(np.random.default_rng(seed), category)
        points = np.concatenate([p.points for p in outlines(thing)])
        across = points.max(0) - points.min(0)
        assert max(across) >= least.get(category, 18 if category != "sofa" else 50)
        assert min(across) >= 14


def test_backgrounds_cover_the_view_and_name_their_ground():
    for seed in range(12):
        back = Background.draw(np.random.default_rng(seed), 256.0, 0.25)
        regions = np.asarray(back.regions)
        present = set(np.unique(regions)) - {0}
        assert present == set(range(1, len(back.names) + 1))
        if back.ground is not None:
            assert (regions[-1] == back.ground).all()


def test_things_leave_the_picture_and_come_back(films):
    back = 0
    for shown in films[:12]:
        drawn = Renderer(shown)
        seen = [set(np.unique(drawn.segments(t))) for t in range(0, 40, 3)]
        for number in range(len(shown.stuff) + 1, len(shown.record["objects"]) + 1):
            runs = [k for k, _ in itertools.groupby(number in s for s in seen)]
            back += runs.count(True) > 1
    assert back >= 1


def test_sizes_are_the_promised_ones():
    assert generate.SIZES["full"][:3] == (600, 120, 40)
    assert len(generate.videos("full")) == 720
    assert len({p.video_id for p in generate.videos("full")}) == 720
    for source in ("vidor", "epic_kitchen", "ego4d"):
        names = [p.video_id for p in generate.videos("full", (source,))]
        assert len(set(names)) == 720
