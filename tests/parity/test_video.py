"""Videos through both predictors, by their own methods; 10 frames by default."""

import dataclasses
import functools

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sam2")

from porting.compare import assert_within, compare_masks, worst
from porting.reference import float32_memory
from porting.runs import (
    OurSession,
    ReferenceSession,
    VideoPrompt,
    run_ours,
    run_reference,
)
from porting.scenes import disc_centre
from porting.stages import prompt_both, run_rows, tracking_rows

pytestmark = pytest.mark.parity

HEIGHT, WIDTH = 180, 240
SIDE = 256


def at(*shares):
    """Pixels of the video from coordinates in [0, 1]."""
    return [[x * WIDTH, y * HEIGHT] for x, y in shares]


def disc_mask(frame):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    cx, cy = disc_centre(frame)
    return (x / WIDTH - cx) ** 2 + (y / HEIGHT - cy) ** 2 < 0.15**2


BOX = [0.1 * WIDTH, 0.3 * HEIGHT, 0.5 * WIDTH, 0.7 * HEIGHT]
POINT = dict(points=at((0.3, 0.5)), labels=[1])
POINTS = dict(points=at((0.3, 0.5), (0.7, 0.3), (0.4, 0.6)), labels=[1, 0, 1])
BEYOND = [-0.1 * WIDTH, 0.3 * HEIGHT, 0.5 * WIDTH, 1.2 * HEIGHT]
MASK = dict(mask=disc_mask(0))

PROMPTS = {
    "point": [VideoPrompt(0, 1, POINT)],
    "points": [VideoPrompt(0, 1, POINTS)],
    "box": [VideoPrompt(0, 1, dict(box=BOX))],
    "a box beyond the edges": [VideoPrompt(0, 1, dict(box=BEYOND))],
    "box and points": [VideoPrompt(0, 1, dict(box=BOX, **POINTS))],
    "mask": [VideoPrompt(0, 1, MASK)],
    "several objects": [
        VideoPrompt(0, 7, POINT),
        VideoPrompt(0, 2, dict(box=BOX)),
        VideoPrompt(0, 5, MASK),
    ],
    "two frames": [VideoPrompt(0, 1, POINT), VideoPrompt(5, 1, POINTS)],
    "a later frame": [VideoPrompt(3, 1, POINTS)],
    "two clicks": [
        VideoPrompt(0, 1, POINT),
        VideoPrompt(0, 1, dict(**POINTS, clear_old_points=False)),
    ],
    "an empty mask": [VideoPrompt(0, 1, dict(mask=np.zeros((HEIGHT, WIDTH), bool)))],
}


@pytest.fixture(scope="module")
def rows_of(clip_of):
    """A cached function: the rows of a size and of prompts by name."""
    return functools.cache(
        lambda size, name: tracking_rows(clip_of(size, SIDE), PROMPTS[name])
    )


@pytest.mark.parametrize("size", ["toy", "tiny", "trained"])
@pytest.mark.parametrize("name", PROMPTS)
def test_video(rows_of, size, name):
    prompts = PROMPTS[name]
    rows = rows_of(size, name)
    # Frame t attends to the prompted frame and to t - 1 others: banks of 0 to 8.
    frames = [row.stage for row in rows if row.stage.startswith("frame")]
    assert len(frames) == 10 - min(prompt.frame for prompt in prompts)
    assert_within(rows)


@pytest.mark.parametrize("size", ["toy", "tiny"])
def test_an_object_hides_and_comes_back(clip_of, rows_of, size):
    """The object score turns negative and positive again, on both sides."""
    clip = clip_of(size, SIDE)
    for name in ("box", "mask", "points"):
        run = run_ours(clip, PROMPTS[name])
        scores = [run[t, 1].object_score for t in range(10)]
        signs = "".join("+" if score > 0 else "-" for score in scores)
        if "+-" in signs and "+" in signs[signs.index("+-") + 1 :]:
            break
    else:
        pytest.fail(f"no video in which it leaves and returns, the last: {signs}")
    assert min(abs(score) for score in scores) > 1e-3  # no sign is decided by rounding
    assert_within(rows_of(size, name))


@pytest.mark.parametrize("size", ["toy", "trained"])
def test_longer_than_every_ring(clip_of, size):
    assert_within(tracking_rows(clip_of(size, SIDE, 20), PROMPTS["box"]))


@pytest.mark.parametrize("num_frames", [2, 3])
def test_short_videos_scale_pointer_time_by_their_length(clip_of, num_frames):
    assert_within(tracking_rows(clip_of("toy", SIDE, num_frames), PROMPTS["box"]))


@pytest.mark.parametrize("size", ["toy", "trained"])
def test_reverse(clip_of, size):
    prompts = [VideoPrompt(7, 1, POINTS)]
    clip = clip_of(size, SIDE)
    rows = tracking_rows(clip, prompts, start_frame_idx=7, reverse=True)
    assert [row.stage for row in rows][-1] == "frame 7"
    assert_within(rows)


@pytest.mark.parametrize("size", ["toy", "tiny", "trained"])
def test_an_object_that_joins_late_is_tracked_as_if_alone(clip_of, size):
    clip = clip_of(size, SIDE)
    late = VideoPrompt(3, 9, dict(box=BOX))
    ours, alone, rows = OurSession(clip), {}, []
    with float32_memory():
        for prompts in (PROMPTS["point"], [late]):
            theirs = ReferenceSession(clip)
            rows += prompt_both(ours, theirs, prompts)
            alone |= theirs.propagate()
    both = ours.propagate()
    assert {key for key in alone if key[1] == 9} == {(t, 9) for t in range(3, 10)}
    assert_within(rows + run_rows(both, alone))


@pytest.mark.parametrize("size", ["toy", "tiny", "trained"])
def test_corrections(clip_of, size, monkeypatch):
    """A click on a tracked frame; the reference is set to make it conditioning."""
    clip = clip_of(size, SIDE)
    reference = clip.pair.reference
    monkeypatch.setattr(reference, "add_all_frames_to_correct_as_cond", True)
    ours, theirs = OurSession(clip), ReferenceSession(clip)
    with float32_memory():
        rows = prompt_both(ours, theirs, PROMPTS["point"])
        rows += run_rows(ours.propagate(), theirs.propagate())
        rows += prompt_both(ours, theirs, [VideoPrompt(4, 1, POINTS)])
        rows += run_rows(ours.propagate(), theirs.propagate())
    assert_within(rows)


@pytest.mark.parametrize("size", ["toy", "tiny"])
def test_masks_with_the_reference_as_it_is_shipped(clip_of, size):
    """It rounds memories to bfloat16, 1 part in 256: the masks alone are compared.

    Seeded masks are close to noise, with many logits around 0, so some pixels change.
    """
    clip = clip_of(size, SIDE)
    ours = run_ours(clip, PROMPTS["mask"])
    theirs = run_reference(clip, PROMPTS["mask"])
    rows = [compare_masks("", ours[key].masks, theirs[key].masks) for key in ours]
    row = worst("masks", rows)
    assert row.error > 1e-6  # otherwise nothing was rounded
    assert row.pixels <= 1e-3


def test_runs_must_have_the_same_frames(clip_of):
    run = run_ours(clip_of("toy", SIDE, 2), PROMPTS["box"])
    assert_within(run_rows(run, run))
    with pytest.raises(ValueError, match="the reference"):
        run_rows(run, {key: run[key] for key in list(run)[:1]})
    broken = {
        key: dataclasses.replace(tracked, masks=-tracked.masks)
        for key, tracked in run.items()
    }
    with pytest.raises(AssertionError, match="OUT OF BOUND"):
        assert_within(run_rows(broken, run))
