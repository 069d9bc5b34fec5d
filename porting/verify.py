"""Compare the Flax model with the `sam2` package, stage by stage.

python -m porting.verify --checkpoint=sam2.1_hiera_large.pt --flax=checkpoints/large
python -m porting.verify --seeded=toy
python -m porting.verify --seeded=toy --video=clip.mp4 --max_frames=5

On a drawn video, or on your image or video, with a click in its centre. Exit code 1 if
an error is out of bound.
"""

from collections.abc import Sequence

import numpy as np
from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.launch import CHECKPOINT, IMAGE_SIZE, MAX_FRAMES, SEED, VIDEO
from c2g_jax.cli.paths import PATH
from c2g_jax.media.images import read_image
from c2g_jax.media.video import open_video
from c2g_jax.sam2.config import SIZES, sam2_config
from c2g_jax.types import InputError
from porting.compare import ERROR_BOUND, PIXEL_BOUND, Row, format_table
from porting.scenes import disc_centre, draw_video

for _name in ("checkpoint", "seed", "image_size", "video", "max_frames"):
    flags.declare_key_flag(_name)
_FLAX = flags.DEFINE(
    PATH,
    "flax",
    None,
    "Folder that porting.convert wrote; by default the checkpoint is ported now.",
)
_SEEDED = flags.DEFINE_enum(
    "seeded", None, SIZES, "Use a seeded checkpoint of this size instead."
)
_IMAGE = flags.DEFINE(PATH, "image", None, "Image to compare on.")


def _max_frames() -> int:
    frames = 3 if MAX_FRAMES.value is None else MAX_FRAMES.value
    if frames < 1:
        raise InputError(f"--max_frames={frames}: give a positive number")
    return frames


def _user_frames() -> np.ndarray | None:
    """Return the given image, or first frames of the video, uint8 [t, H, W, 3]."""
    if _IMAGE.value is not None:
        if VIDEO.value is not None or MAX_FRAMES.present:
            raise InputError("--image is one frame: leave out --video and --max_frames")
        return read_image(_IMAGE.value)[None]
    if VIDEO.value is not None:
        video = open_video(VIDEO.value, fps=None, max_frames=_max_frames())
        return np.stack([frame.rgb for frame in video])
    return None


def _pair():
    """Return the `porting.pair.Pair` that the flags select."""
    from porting.official import is_2_0, load_folder, port, read_state
    from porting.pair import make_pair
    from porting.seeded import seeded_state

    if (CHECKPOINT.value is None) == (_SEEDED.value is None):
        raise InputError(
            "give one of --checkpoint, with or without --flax, and --seeded"
        )
    if _SEEDED.value is not None:
        if _FLAX.value is not None:
            raise InputError("--seeded makes its own weights: leave --flax out")
        if not 0 <= SEED.value < 1 << 63:
            raise InputError(f"--seed is {SEED.value}: give 0 or more, below 2^63")
        size = _SEEDED.value
        config = sam2_config(size, IMAGE_SIZE.value)
        state = seeded_state(size, SEED.value)
        model = port(state, config)
    else:
        state, size, _ = read_state(CHECKPOINT.value)
        config = sam2_config(size, IMAGE_SIZE.value)
        if _FLAX.value is None:
            model = port(state, config, CHECKPOINT.value)
        else:
            model, _ = load_folder(_FLAX.value, IMAGE_SIZE.value, size)
    release = "SAM 2.0" if is_2_0(state) else "SAM2.1"
    print(f"{release} {size} at {config.image_size} pixels, float32")
    return make_pair(size, state, IMAGE_SIZE.value, model)


def main(_: Sequence[str]) -> int:
    with launch.needing("port"):
        from porting.suite import all_rows

    count = _max_frames()  # errors in flags and files come before the work
    frames, point = _user_frames(), (0.5, 0.5)
    pair = _pair()
    if frames is None:
        side = pair.config.image_size
        frames = draw_video(count, side * 3 // 4, side)
        point = disc_centre(0)
    rows: list[Row] = []
    for group in all_rows(pair, frames, point):
        table = format_table(group)
        print(table if not rows else table.partition("\n")[2], flush=True)
        rows += group
    if any(row.stage == "tracked mask logits" and not row.largest for row in rows):
        print(
            "note: the object is absent on all tracked frames, so tracked masks are "
            "not compared: use more --max_frames, or another --seed"
        )
    broken = [row.stage for row in rows if not row.within]
    if broken:
        print(f"out of bound: {', '.join(broken)}")
        return 1
    print(
        f"all {len(rows)} rows within bound: error {ERROR_BOUND:g}, "
        f"{PIXEL_BOUND:g} of the pixels"
    )
    return 0


if __name__ == "__main__":
    launch.run(main, lower="--image_size, or --max_frames")
