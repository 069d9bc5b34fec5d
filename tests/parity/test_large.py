"""Parity of the Large size at 1024 pixels."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("sam2")

from porting.compare import assert_within
from porting.pair import Clip
from porting.reference import float32_memory
from porting.runs import OurSession, ReferenceSession, VideoPrompt
from porting.scenes import disc_centre, draw_video
from porting.stages import image_rows, prompt_both, prompt_rows, run_rows, tracking_rows
from porting.suite import standard_prompts

pytestmark = [pytest.mark.parity, pytest.mark.large]

POINT = dict(
    points=[[480 * x, 360 * y] for x, y in (disc_centre(0),)],
    labels=[1],
)
CORRECTION = dict(points=[[300, 190], [60, 40]], labels=[1, 0])


@pytest.fixture(scope="module")
def clip(pair_of):
    return Clip(pair_of("large"), draw_video(3, 360, 480))


def test_large_image_and_video(clip):
    assert clip.pair.config.image_size == 1024
    assert_within(image_rows(clip))
    assert_within(prompt_rows(clip, standard_prompts(1024)))
    rows = tracking_rows(clip, [VideoPrompt(0, 1, POINT)])
    assert [row.stage for row in rows][-3:] == ["frame 0", "frame 1", "frame 2"]
    assert_within(rows)


def test_large_correction_and_reverse(clip, monkeypatch):
    """A correction on tracked frame 2, then reverse."""
    monkeypatch.setattr(clip.pair.reference, "add_all_frames_to_correct_as_cond", True)
    ours, theirs, rows = OurSession(clip), ReferenceSession(clip), []
    with float32_memory():
        for frame, arguments in ((0, POINT), (2, CORRECTION)):
            rows += prompt_both(ours, theirs, [VideoPrompt(frame, 1, arguments)])
            rows += run_rows(ours.propagate(), theirs.propagate())
        back = dict(start_frame_idx=2, reverse=True)
        rows += run_rows(ours.propagate(**back), theirs.propagate(**back))
    assert_within(rows)
