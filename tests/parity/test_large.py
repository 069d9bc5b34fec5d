"""The default size at the size it is used at: Large, 1024 pixels."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("sam2")

from porting.compare import assert_within
from porting.pair import Clip
from porting.runs import Prompted
from porting.scenes import disc_centre, draw_video
from porting.stages import image_rows, prompt_rows, tracking_rows
from porting.suite import standard_prompts

pytestmark = [pytest.mark.parity, pytest.mark.large]


def test_large_image_and_video(pair_of):
    clip = Clip(pair_of("large"), draw_video(3, 360, 480))
    assert clip.pair.config.image_size == 1024
    assert_within(image_rows(clip))
    assert_within(prompt_rows(clip, standard_prompts(1024)))
    x, y = disc_centre(0)
    prompt = Prompted(0, 1, dict(points=[[480 * x, 360 * y]], labels=[1]))
    rows = tracking_rows(clip, [prompt])
    assert [row.stage for row in rows][-3:] == ["frame 0", "frame 1", "frame 2"]
    assert_within(rows)
