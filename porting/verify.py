"""Compare the Flax model with PyTorch, stage by stage: SAM2.1, DIDM, SCH, the loss.

python -m porting.verify
python -m porting.verify --checkpoint=sam2.1_hiera_large.pt --flax=checkpoints/large
python -m porting.verify --checkpoint=sam2.1_hiera_large.pt --heads=heads.safetensors
python -m porting.verify --seeded=toy
python -m porting.verify --seeded=toy --video=clip.mp4 --max_frames=5

The first compares the trained checkpoint that ships, on its example clip; the others a
drawn video, or your image or video, with a click in its centre. SAM2.1 is compared with
the `sam2` package, the heads with `porting.heads`; without --heads those are seeded.
Exit code 1 if an error is out of bound, or if no tracked frame shows the object, so
that tracked masks are not compared.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

import c2g_jax
from c2g_jax.cli import launch
from c2g_jax.cli.launch import CHECKPOINT, HEADS, IMAGE_SIZE, MAX_FRAMES, SEED, VIDEO
from c2g_jax.cli.paths import PATH
from c2g_jax.data.prompts import interior_distance
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.images import read_image
from c2g_jax.media.rle import decode_mask
from c2g_jax.media.video import open_video
from c2g_jax.sam2.config import SIZES, Sam2Config, sam2_config
from c2g_jax.types import InputError
from porting.compare import ERROR_BOUND, HEADS_BOUND, PIXEL_BOUND, Row, format_table
from porting.scenes import disc_centre, draw_video

EXAMPLE = Path(c2g_jax.__file__).parent / "example"
_CENTRE = (0.5, 0.5)
for _name in ("checkpoint", "heads", "seed", "image_size", "video", "max_frames"):
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


class _Scene(NamedTuple):
    """Frames uint8 [t, H, W, 3], and the click on the first one, (x, y) in [0, 1]."""

    frames: np.ndarray
    point: tuple[float, float]


def _scene() -> _Scene | None:
    """Return the given image, or first frames of the video; None to draw one."""
    if _IMAGE.value is not None:
        if VIDEO.value is not None or MAX_FRAMES.present:
            raise InputError("--image is one frame: leave out --video and --max_frames")
        return _Scene(read_image(_IMAGE.value)[None], _CENTRE)
    if VIDEO.value is not None:
        return _Scene(_read_frames(VIDEO.value), _CENTRE)
    if CHECKPOINT.value is None and _SEEDED.value is None:
        truth = read_scene_graph(EXAMPLE / "example.json")
        mask = decode_mask(truth.object(truth.relations[0].subject_id).masks[0])
        depth = interior_distance(mask)
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        point = ((x + 0.5) / mask.shape[1], (y + 0.5) / mask.shape[0])
        return _Scene(_read_frames(EXAMPLE / "example.mp4"), point)
    return None


def _read_frames(path: str | Path) -> np.ndarray:
    video = open_video(path, fps=None, max_frames=_max_frames())
    return np.stack([frame.rgb for frame in video])


def _drawn(config: Sam2Config) -> _Scene:
    side = config.image_size
    return _Scene(draw_video(_max_frames(), side * 3 // 4, side), disc_centre(0))


def _compared(scene: _Scene | None):
    """Return the `porting.pair.Pair` that the flags select, and the scene."""
    from c2g_jax.checkpoints.pretrained import find_checkpoint
    from c2g_jax.checkpoints.released.official import is_2_0
    from porting.official import load_folder, port, read_state, state_of
    from porting.pair import make_pair
    from porting.seeded import keep_in_view, seeded_state

    if CHECKPOINT.value is not None and _SEEDED.value is not None:
        raise InputError("--checkpoint and --seeded exclude each other: give one")
    if _FLAX.value is not None and CHECKPOINT.value is None:
        raise InputError("--flax is of a --checkpoint: give that, or leave --flax out")
    if _SEEDED.value is not None:
        if not 0 <= SEED.value < 1 << 63:
            raise InputError(f"--seed is {SEED.value}: give 0 or more, below 2^63")
        size = _SEEDED.value
        config = sam2_config(size, IMAGE_SIZE.value)
        scene = scene or _drawn(config)
        state = seeded_state(size, SEED.value)
        state = keep_in_view(state, size, *scene, IMAGE_SIZE.value)
        model = port(state, config)
    elif CHECKPOINT.value is None:
        model, manifest = load_folder(find_checkpoint(None), IMAGE_SIZE.value)
        state, size = state_of(model, manifest), manifest["size"]
    else:
        state, size, source, names = read_state(CHECKPOINT.value)
        for note in source.get("notes", ()):
            print(note)
        if _FLAX.value is None:
            config = sam2_config(size, IMAGE_SIZE.value)
            model = port(state, config, CHECKPOINT.value, names)
        else:
            model, _ = load_folder(_FLAX.value, IMAGE_SIZE.value, size)
    release = "SAM 2.0" if is_2_0(state) else "SAM2.1"
    print(f"{release} {size} at {model.config.image_size} pixels, float32")
    pair = make_pair(size, state, model.config.image_size, model)
    return pair, scene or _drawn(model.config)


def _heads(sam2):
    """Return a Click2Graph around a `Sam2`, and the twin of its heads."""
    from c2g_jax.checkpoints.heads import read_heads, with_heads
    from c2g_jax.click2graph.model import click2graph_config
    from porting.heads import seeded_heads
    from porting.heads_files import flax_heads, torch_heads

    if HEADS.value is not None:
        found = read_heads(HEADS.value)
        model, twin = with_heads(sam2, found), torch_heads(found)
        print(f"DIDM and SCH of {HEADS.value}")
        return model, twin
    config = click2graph_config(sam2.config)
    twin = seeded_heads(config.didm, config.sch, SEED.value)
    return flax_heads(twin, sam2, config.vocabulary), twin


def main(_: Sequence[str]) -> int:
    with launch.needing("port"):
        importlib.import_module("torch")
        from porting.suite import all_rows

    _max_frames()  # errors in flags and files come before the work
    pair, scene = _compared(_scene())
    rows: list[Row] = []
    for group in all_rows(pair, *scene, *_heads(pair.ours)):
        table = format_table(group)
        print(table if not rows else table.partition("\n")[2], flush=True)
        rows += group
    broken = [row.stage for row in rows if not row.within]
    if broken:
        print(f"out of bound: {', '.join(broken)}")
        return 1
    tracked = [row for row in rows if row.stage.startswith("frame ")][1:]
    if tracked and not any(row.shown for row in tracked):
        print(
            "the object is on no tracked frame, so tracked masks are not compared: "
            "click on another --video, or use more --max_frames"
        )
        return 1
    print(
        f"all {len(rows)} rows within bound: error {ERROR_BOUND:g}, of DIDM and SCH "
        f"{HEADS_BOUND:g}, {PIXEL_BOUND:g} of the pixels"
    )
    return 0


if __name__ == "__main__":
    launch.run(main, lower="--image_size, or --max_frames")
