"""Full banks, several conditioning frames, strides, limits, other image sizes."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("sam2")

from porting.compare import assert_within
from porting.reference import float32_memory
from porting.runs import OurSession, ReferenceSession, VideoPrompt
from porting.stages import prompt_both, run_rows, tracking_rows

pytestmark = pytest.mark.parity

WIDTH, HEIGHT = 240, 180


def points(*shares):
    coords = [[x * WIDTH, y * HEIGHT] for x, y in shares]
    return dict(points=coords, labels=[1] * len(coords))


BOX = dict(box=[0.1 * WIDTH, 0.3 * HEIGHT, 0.5 * WIDTH, 0.7 * HEIGHT])
PROMPTS = [
    VideoPrompt(0, 1, BOX),
    VideoPrompt(3, 1, points((0.4, 0.5), (0.45, 0.55))),
    VideoPrompt(4, 1, points((0.45, 0.5), (0.5, 0.5))),
    VideoPrompt(11, 1, points((0.7, 0.5), (0.75, 0.55))),
]


def both_ways(clip, prompts, start, **options):
    """Forward over all frames, then in reverse from `start`, through both sides."""
    ours, theirs, rows = OurSession(clip, **options), ReferenceSession(clip), []
    with float32_memory():
        rows += prompt_both(ours, theirs, prompts)
        rows += run_rows(ours.propagate(), theirs.propagate())
        back = dict(start_frame_idx=start, reverse=True)
        rows += run_rows(ours.propagate(**back), theirs.propagate(**back))
    return rows


@pytest.mark.parametrize(
    ("size", "side"), [("toy", 256), ("trained", 256), ("tiny", 128)]
)
def test_a_full_bank_with_several_prompted_frames(clip_of, size, side):
    """20 frames: the last ones attend to four conditioning and six recent memories and
    nineteen pointers; in reverse, conditioning frames lie on both sides in time."""
    assert_within(both_ways(clip_of(size, side, 20), PROMPTS, 18))


@pytest.mark.parametrize(("stride", "limit"), [(3, -1), (1, 2), (2, 3)])
def test_memory_stride_and_limit_of_prompted_frames(
    clip_of, monkeypatch, stride, limit
):
    clip = clip_of("toy", 256, 20)
    reference = clip.pair.reference
    monkeypatch.setattr(reference, "memory_temporal_stride_for_eval", stride)
    monkeypatch.setattr(reference, "max_cond_frames_in_attn", limit)
    options = dict(memory_temporal_stride=stride, max_cond_frames_in_attn=limit)
    assert_within(both_ways(clip, PROMPTS, 18, **options))


def test_half_the_image_size(clip_of):
    clip = clip_of("tiny", 512, 3)
    assert_within(tracking_rows(clip, PROMPTS[:1]))
