"""Click2Graph on a small SAM2.1: against a plain twin, and what it compiles."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.click2graph.model import Click2Graph, mask_ious, segment_points
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.click2graph.sch import best_triplets
from c2g_jax.sam2 import track
from c2g_jax.sam2.masks import resize_logits
from c2g_jax.sam2.memory import empty_bank
from c2g_jax.sam2.predictors.postprocess import enlarge_logits
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.tracking import loop as tracking
from c2g_jax.tracking.loop import begin_frame, finish_frame, frame_result
from c2g_jax.tracking.state import TrackingState
from c2g_jax.types import Frame, Prompt
from tests.small_click2graph import (
    CONFIG,
    HEIGHT,
    SAM2,
    VOCABULARY,
    WIDTH,
    build,
    click,
    resize,
    run,
)

# Most compilations for one subject in 4 slots, then two subjects in 4 and 8 slots.
BOUNDS = {
    "encode_frame": 1,
    "follow": 2,
    "apply_prompts": 2,
    "discover_objects": 2,
    "classify_pairs": 0,
    "remember": 2,
}
segment, segment_at = jax.jit(track.segment), jax.jit(segment_points)
discover = jax.jit(lambda didm, features, masks: didm(features, masks).points)


@pytest.fixture(scope="module")
def model() -> Click2Graph:
    return build(0)


@pytest.fixture(scope="module")
def video() -> list[Frame]:
    """A disc that moves over a slope of grey, and noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for i in range(4):
        rgb = np.stack([2 * x, 3 * y, 100 + 0 * x], axis=-1)
        rgb[(x - 20 - 4 * i) ** 2 + (y - 24) ** 2 < 100] = (220, 40, 40)
        rgb = np.clip(rgb + rng.normal(0, 8, rgb.shape), 0, 255).astype(np.uint8)
        frames.append(Frame(i, i / 5, rgb))
    return frames


def test_a_frame_is_four_dispatches_at_most_and_one_wait(model, video, monkeypatch):
    waits, calls = [], []
    fetch, value = jax.device_get, type(jnp.zeros(1))._value

    def count(name):
        known = getattr(tracking, name)

        def run(*given, **more):
            calls.append(name)
            return known(*given, **more)

        monkeypatch.setattr(tracking, name, run)

    def fetched(tree):
        waits.append("device_get")
        with monkeypatch.context() as within:
            within.setattr(type(jnp.zeros(1)), "_value", value)
            return fetch(tree)

    def read(array):
        waits.append("value")
        return value.fget(array)

    for name in BOUNDS:
        count(name)
    monkeypatch.setattr(jax, "device_get", fetched)
    monkeypatch.setattr(jax, "block_until_ready", lambda x: waits.append("block") or x)
    monkeypatch.setattr(type(jnp.zeros(1)), "_value", property(read))
    frames = iter(tracking.track_video(model, video, [click(0, 1, 20, 24)], resize, 4))
    for number in range(len(video)):
        waits.clear()
        calls.clear()
        next(frames)
        assert waits == ["device_get"]
        # The next frame is encoded ahead: the first answer comes after two.
        assert len(calls) <= 4 + (number == 0)


# --- the parts


def test_overlaps_by_hand():
    masks = np.zeros((3, 2, 4), bool)
    masks[0, 0] = True  # 4 pixels
    masks[1, :, :2] = True  # 4 pixels, 2 of them shared
    area, iou = mask_ious(jnp.asarray(masks))
    np.testing.assert_array_equal(area, [4, 4, 0])
    third = np.float32(2) / np.float32(6)
    np.testing.assert_array_equal(iou, [[1, third, 0], [third, 1, 0], [0, 0, 0]])
    half = np.zeros((2, 2, 4), bool)
    half[0, 0, :2], half[1, 0] = True, True
    assert mask_ious(jnp.asarray(half))[1][0, 1] == 0.5


def test_masks_are_differentiable_in_points_and_in_didm(model, video):
    features = track.encode_frame(model.sam2, resize(video[0].rgb, 64))

    @jax.jit
    def loss(didm, shift, mask, sam2, features):
        points = didm(features.embed, mask).points[0]
        answer = segment_points(sam2, features, points + shift)
        return jnp.mean(answer.candidates)

    grad = jax.jit(jax.grad(loss, argnums=(0, 1)))
    still = jnp.zeros((3, 2))
    disc = jnp.zeros((1, 16, 16)).at[0, 4:9, 3:8].set(1)
    for mask in (disc, jnp.zeros((1, 16, 16))):  # an absent subject too
        grads = grad(model.didm, still, mask, model.sam2, features)
        leaves = jax.tree.leaves(grads)
        assert all(np.isfinite(g).all() for g in leaves)
        assert min(np.abs(g).max() for g in jax.tree.leaves(grads[1])) > 0
        assert max(np.abs(g).max() for g in jax.tree.leaves(grads[0])) > 0
    for row, column in ((0, 0), (2, 1)):
        move = still.at[row, column].set(5e-4)
        ahead, behind = (
            loss(model.didm, m, mask, model.sam2, features) for m in (move, -move)
        )
        slope = (ahead - behind) / 1e-3
        np.testing.assert_allclose(grads[1][row, column], slope, rtol=0.05, atol=1e-3)


def test_a_point_is_the_click_on_its_pixel(model, video):
    features = track.encode_frame(model.sam2, resize(video[0].rgb, 64))
    # The middle of pixel (16, 32) of 64 is at 16.5 / 64, 32.5 / 64.
    ours = segment_at(model.sam2, features, np.float32([[16.5, 32.5]]) / 64)
    prompts = Prompts(np.float32([[[16, 32]]]), np.int32([[1]]))
    theirs = segment(model.sam2, features, prompts)
    np.testing.assert_allclose(
        ours.mask_logits, theirs.mask_logits, rtol=1e-6, atol=1e-5
    )


# --- the whole


def twin(model: Click2Graph, video: list[Frame], prompt: Prompt):
    """One subject, object by object, each with a bank of its own and n = 1."""
    sam2, num_frames = model.sam2, np.int32(len(video))
    track_step, remember = jax.jit(track.track_step), jax.jit(track.remember)
    one = np.array([True])
    banks, confidences, next_id = {}, {}, prompt.object_id + 1

    @jax.jit
    def name(features, subject, thing):
        pooled = [
            pool_mask(features.embed, a.mask_logits > 0) for a in (subject, thing)
        ]
        return best_triplets(model.sch(*pooled, subject.obj_ptr, thing.obj_ptr))

    def overlap(a, b):
        a, b = np.asarray(a.mask_logits) > 0, np.asarray(b.mask_logits) > 0
        return float((a & b).sum() / max((a | b).sum(), 1))

    for t, frame in enumerate(video):
        features = track.encode_frame(sam2, resize(frame.rgb, 64))
        at, answers = np.int32(t), {}
        for i in banks:
            banks[i], answers[i] = track_step(
                sam2, banks[i], features, at, one, num_frames=num_frames
            )
        if t == prompt.frame:
            coords = prompt.points * 64 / np.float32([WIDTH, HEIGHT])
            answer = segment(sam2, features, Prompts(coords[None], prompt.labels[None]))
            bank = empty_bank(SAM2, 1)
            banks[prompt.object_id] = remember(
                sam2, bank, features, answer, at, one, one
            )
            answers[prompt.object_id] = answer
        subject = answers[prompt.object_id]
        seen = subject.mask_logits > 0
        points = discover(model.didm, features.embed, seen)
        met = []
        for point in points[0]:
            fresh = segment_at(sam2, features, point[None])
            if not (np.asarray(fresh.mask_logits) > 0).any():
                continue
            if overlap(fresh, subject) >= CONFIG.rules.subject_iou:
                continue
            old = [i for i in answers if i != prompt.object_id]
            ious = [overlap(fresh, answers[i]) for i in old]
            if old and max(ious) >= 0.5:
                i = old[int(np.argmax(ious))]
            else:
                i, next_id = next_id, next_id + 1
                answers[i] = fresh
                bank = empty_bank(SAM2, 1)
                banks[i] = remember(sam2, bank, features, fresh, at, one, one)
            best = name(features, subject, answers[i])
            confidences[i] = float(best.confidence[0])
            met.append(i)
        ended = {}  # of tracks in one place the oldest stays
        for i in sorted(confidences):
            for older in sorted(j for j in confidences if j < i and j not in ended):
                if overlap(answers[i], answers[older]) >= CONFIG.rules.twin_iou:
                    ended[i] = older
                    break
        triplets = []
        for i in (ended.get(i, i) for i in met):
            best = name(features, subject, answers[i])
            values = (int(x[0]) for x in best[:3])
            triplets.append((i, *values, float(best.confidence[0])))
        for i in ended:
            del confidences[i], banks[i]
        while len(confidences) > CONFIG.rules.max_tracks:
            least = min(confidences, key=confidences.get)
            del confidences[least], banks[least]
        yield points[0], answers, triplets


def test_equals_a_twin_that_takes_one_object_at_a_time(model, video):
    prompt = click(0, 1, 20, 24)
    results = run(model, video, [prompt])
    differing = pixels = named = 0
    for result, (points, answers, triplets) in zip(
        results, twin(model, video, prompt), strict=True
    ):
        (subject,) = result.subjects
        np.testing.assert_allclose(
            subject.points, np.asarray(points) * [WIDTH, HEIGHT], atol=1e-2
        )
        assert len(subject.triplets) == len(triplets)
        for ours, (i, who, what, how, confidence) in zip(
            subject.triplets, triplets, strict=True
        ):
            assert ours.object_id == i
            assert ours.subject_category == VOCABULARY.objects[who]
            assert ours.object_category == VOCABULARY.objects[what]
            assert ours.predicate == VOCABULARY.predicates[how]
            np.testing.assert_allclose(ours.confidence, confidence, rtol=1e-3)
            named += 1
        shown = {i: a for i, a in answers.items() if np.any(a.mask_logits > 0)}
        assert set(result.masks) == set(shown)
        for i, answer in shown.items():
            mask = resize_logits(answer.mask_logits[0], HEIGHT, WIDTH) > 0
            assert result.masks[i].shape == (HEIGHT, WIDTH)
            differing += (result.masks[i] != mask).sum()
            pixels += mask.size
    assert named >= 5
    assert differing / pixels <= 1e-4


def test_a_later_subject_leaves_the_first_alone(model, video):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:30, 40:70] = True
    alone = run(model, video, [click(0, 1, 20, 24)])
    both = run(model, video, [click(0, 1, 20, 24), Prompt(2, 7, mask=mask)])
    assert [len(r.subjects) for r in both] == [1, 1, 2, 2]
    for one, other in zip(alone, both, strict=True):
        # Another bucket, so another order of sums: 1 pixel in 10,000 may differ.
        assert (one.masks[1] != other.masks[1]).sum() <= 1
        np.testing.assert_allclose(
            one.subjects[0].points, other.subjects[0].points, atol=0.05
        )
    assert 7 not in both[1].masks
    # A mask that a person gives is the answer, but for its way through 16 x 16.
    given = both[2].masks[7]
    assert (given & mask).sum() / (given | mask).sum() > 0.75


def test_compilations_are_shared_and_bounded(model, video):
    def compiled() -> dict[str, int]:
        return {name: getattr(tracking, name)._cache_size() for name in BOUNDS}

    cold = compiled()
    run(model, video, [click(0, 1, 20, 24)])
    run(model, video, [click(0, 1, 20, 24), click(1, 2, 60, 10)])
    warm = compiled()
    for name, bound in BOUNDS.items():
        assert warm[name] - cold[name] <= bound, name
    # Another model of the same shape, another video and other prompts: nothing new.
    turned = [dataclasses.replace(f, rgb=f.rgb[:, ::-1].copy()) for f in video]
    other = build(1)
    run(other, turned[:1], [click(0, 3, 70, 40)])
    run(other, turned, [click(0, 5, 30, 30), click(1, 9, 50, 8)])
    assert compiled() == warm


def test_an_image_gives_one_frame(model, video):
    (result,) = run(model, video[:1], [click(0, 4, 20, 24)])
    assert result.frame == 0
    assert {4} < set(result.masks)
    assert all(m.shape == (HEIGHT, WIDTH) for m in result.masks.values())
    for triplet in result.subjects[0].triplets:
        assert triplet.subject_category in VOCABULARY.objects
        assert 0 < triplet.confidence < 1


def test_another_than_didm_may_choose_the_points(model, video, monkeypatch):
    # A random model may see the subject itself at a point.
    rules = dataclasses.replace(CONFIG.rules, subject_iou=None)
    monkeypatch.setattr(model, "config", dataclasses.replace(CONFIG, rules=rules))
    features = track.encode_frame(model.sam2, resize(video[0].rgb, 64))
    before = TrackingState(HEIGHT, WIDTH, len(video), 5)
    prompts = [click(0, 1, 20, 24)]
    asked = begin_frame(model, before, features, prompts)
    output = finish_frame(model, asked)
    result, rows = frame_result(model, output), output.row_of
    points = np.array(asked.scene.points)
    assert points.shape == (1, 3, 2)
    told = begin_frame(model, before, features, prompts, points)
    output = finish_frame(model, told)
    state, same = output.after, frame_result(model, output)
    assert same.subjects[0].triplets == result.subjects[0].triplets
    assert len(result.subjects[0].triplets) == 3
    # Each linked object is in its row of the scene.
    assert rows[1] == 0
    for object_id in state.subjects[0].linked:
        logits = np.asarray(asked.scene.rows.mask_logits[rows[object_id]])
        np.testing.assert_array_equal(
            result.masks[object_id], enlarge_logits(logits, HEIGHT, WIDTH) > 0
        )
    # A point that is none shows nothing, and leaves the others as they are.
    points[0, 1] = np.nan
    told = begin_frame(model, before, features, prompts, points)
    output = finish_frame(model, told)
    state, fewer = output.after, frame_result(model, output)
    assert [m is None for m in state.subjects[0].linked] == [False, True, False]
    first, _, last = (t.confidence for t in result.subjects[0].triplets)
    assert [t.confidence for t in fewer.subjects[0].triplets] == [first, last]
    assert np.isfinite(np.asarray(told.scene.triplets.confidence)).all()
