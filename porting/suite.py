"""The full comparison, with a prompt of each kind."""

from collections.abc import Iterator

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from porting.compare import Row
from porting.heads import Heads
from porting.heads_stages import heads_rows
from porting.pair import Clip, Pair
from porting.runs import VideoPrompt
from porting.scenes import disc_centre
from porting.stages import PointPrompt, image_rows, prompt_rows, tracking_rows


def standard_prompts(image_size: int) -> list[PointPrompt]:
    """Return a prompt of each kind: points, a box, both, points with a mask prompt."""
    x, y = disc_centre(0)
    rng = np.random.default_rng(0)
    earlier = 10 * rng.normal(size=(image_size // 4, image_size // 4))
    asked: list[tuple[list, list[int]]] = [
        ([(x, y)], [1]),
        ([(0.8, 0.1)], [1]),
        ([(x, y), (0.9, 0.9)], [1, 0]),
        ([(0.2, 0.7), (0.6, 0.4), (0.9, 0.1)], [0, 1, 1]),
        ([(0.1, 0.3), (0.5, 0.7)], [2, 3]),
        ([(0.5, 0.1), (0.9, 0.4), (0.7, 0.2)], [2, 3, 1]),
    ]
    prompts = [
        PointPrompt(image_size * np.array(points), np.array(labels))
        for points, labels in asked
    ]
    again = (prompts[0], prompts[3])
    return prompts + [p._replace(mask_logits=earlier.astype(np.float32)) for p in again]


def all_rows(
    pair: Pair,
    frames: np.ndarray,
    point: tuple[float, float],
    model: Click2Graph,
    twin: Heads,
) -> Iterator[list[Row]]:
    """Compare every stage, in groups: image, prompts, video if there are frames, heads.

    `frames` uint8 [t, H, W, 3]; the object is clicked at `point`, (x, y) in [0, 1], on
    the first frame. `model` has the pair's SAM2.1 and the heads of `twin`.
    """
    clip = Clip(pair, frames)
    yield image_rows(clip)
    yield prompt_rows(clip, standard_prompts(pair.config.image_size))
    if len(frames) > 1:
        height, width = clip.size
        click = {"points": [[point[0] * width, point[1] * height]], "labels": [1]}
        yield tracking_rows(clip, [VideoPrompt(0, 1, click)])
    yield heads_rows(clip, model, twin)
