"""Seconds a frame of video, ours beside the `sam2` package, in one run on one machine.

    python -m benchmarks.video --size=tiny --objects=1,4 --rounds=5

Both sides have the same seeded weights, prompts and frames, in float32. An encoded
frame and a tracked frame (with a full memory bank) are timed apart, in interleaved
rounds; shown are medians with the least and the greatest, and the ratio of medians.
Compilation is timed apart. Peak memory is that of a process of its own for each side.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version

import jax
import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from benchmarks.measures import processor, ratio, record, seconds
from c2g_jax import launch
from c2g_jax.images import resize_frame
from c2g_jax.launch import IMAGE_SIZE
from c2g_jax.sam2.config import SIZES, sam2_config
from c2g_jax.sam2.model import Sam2, abstract_sam2
from c2g_jax.sam2.track import encode_frame
from c2g_jax.sam2.video_predictor import Sam2VideoPredictor
from c2g_jax.weights import initialise
from porting.scenes import draw_video

SIZE = flags.DEFINE_enum("size", "tiny", SIZES, "Size of SAM2.1.")
flags.declare_key_flag("image_size")
OBJECTS = flags.DEFINE_list("objects", ["1", "4"], "Numbers of objects to track.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Interleaved rounds.", lower_bound=1)
JSON = flags.DEFINE_string(
    "json", None, "File for the figures, kept beside those of other runs in it."
)
SIDE = flags.DEFINE_enum(
    "side", None, ["ours", "sam2"], "Run one side alone and print its peak memory."
)

_FULL = 8  # frames until the bank holds a prompted and six recent ones


def prompt(predictor, state, objects: int, size: tuple[int, int]) -> None:
    """Click on n objects of the first frame, along its middle."""
    height, width = size
    for obj_id in range(objects):
        point = [[width * (obj_id + 1) / (objects + 1), height / 2]]
        predictor.add_new_points_or_box(
            state, 0, obj_id, points=np.float32(point), labels=np.int32([1])
        )


def follow_ours(model: Sam2, frames: np.ndarray, objects: int) -> Iterator:
    """Track n objects through frames that are all the same, and encoded once."""
    predictor = Sam2VideoPredictor(model, fill_hole_area=0)
    features = encode_frame(model, resize_frame(frames[0], model.config.image_size))
    predictor.tracker.features = lambda *_: features
    state = predictor.init_state(frames)
    prompt(predictor, state, objects, frames.shape[1:3])
    return predictor.propagate_in_video(state)


def follow_sam2(clip, objects: int) -> Iterator:
    """The same by the `sam2` package; `clip` is a porting.pair.Clip."""
    clip.reference_levels(0)
    known = clip.reference_features
    known.update(dict.fromkeys(range(len(clip.frames)), known[0]))
    state = clip.open_reference()
    prompt(clip.pair.reference, state, objects, clip.size)
    return clip.pair.reference.propagate_in_video(state)


def measure(clip) -> dict[str, dict]:
    """{stage: {side: [seconds of each round]}}, and what compiling took."""
    import torch

    model, reference, stages = clip.pair.ours, clip.pair.reference, {}
    image = torch.from_numpy(clip.images[:1]).permute(0, 3, 1, 2).contiguous()

    def encode_ours():
        return encode_frame(model, clip.square[0])

    @torch.inference_mode()
    def encode_sam2():
        reference.forward_image(image)

    actions = {"encode": (encode_ours, encode_sam2)}
    compiling = {"encode": seconds(encode_ours)}
    for text in OBJECTS.value:
        ours = follow_ours(model, clip.frames, int(text))
        sam2 = follow_sam2(clip, int(text))
        name = f"track, {text} object" + "s" * (int(text) > 1)
        next(ours)
        compiling[name] = seconds(lambda ours=ours: next(ours).masks)
        for _ in range(_FULL - 2):
            next(ours)
        for _ in range(_FULL):
            next(sam2)
        actions[name] = (
            lambda ours=ours: next(ours).masks,
            lambda sam2=sam2: next(sam2)[0],
        )
    for _ in range(ROUNDS.value):
        for name, (ours, sam2) in actions.items():
            times = stages.setdefault(name, {"ours": [], "sam2": []})
            times["ours"].append(seconds(ours))
            times["sam2"].append(seconds(sam2))
    return {"seconds": stages, "compile_seconds": compiling}


def measure_side(side: str, frames: np.ndarray) -> None:
    """Encode and track on one side with the most objects; print its peak memory."""
    objects = max(map(int, OBJECTS.value))
    if side == "ours":
        config = sam2_config(SIZE.value, IMAGE_SIZE.value)
        shapes = abstract_sam2(config)
        results = follow_ours(initialise(shapes, 0), frames, objects)
    else:
        from porting.pair import Clip, Pair
        from porting.reference import build_reference

        reference = build_reference(SIZE.value, IMAGE_SIZE.value)
        config = sam2_config(SIZE.value, IMAGE_SIZE.value)
        results = follow_sam2(Clip(Pair(config, None, reference), frames), objects)
    for _ in range(_FULL):
        next(results)
    # Not getrusage: what that counts goes on from the process that started this one.
    with open("/proc/self/status", encoding="ascii") as file:
        peak = next(line for line in file if line.startswith("VmHWM"))
    print(json.dumps({"gigabytes": int(peak.split()[1]) / 2**20}))


def peak_memory(side: str) -> float:
    """Peak gigabytes of a process that does one side alone."""
    command = [sys.executable, "-m", "benchmarks.video", f"--side={side}"]
    command += [f"--size={SIZE.value}", f"--objects={','.join(OBJECTS.value)}"]
    if IMAGE_SIZE.value:
        command.append(f"--image_size={IMAGE_SIZE.value}")
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])["gigabytes"]


def ratios(stages: dict[str, dict]) -> dict[str, float]:
    """Medians of ours over theirs, by the names that docs/performance.json has."""
    found = {}
    for stage, sides in stages.items():
        name = "encoder" if stage == "encode" else f"track_{stage.split()[1]}"
        found[f"{name}_vs_torch"] = round(ratio(sides), 3)
    return found


def show(figures: dict) -> None:
    table = Table(title=figures["title"])
    for heading in ("stage", "ours, s", "sam2, s", "ours / sam2", "compile, s"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for name, sides in figures["seconds"].items():
        cells = [
            f"{statistics.median(times):.3f} ({min(times):.3f}-{max(times):.3f})"
            for times in sides.values()
        ]
        compiled = figures["compile_seconds"][name]
        table.add_row(name, *cells, f"{ratio(sides):.2f}", f"{compiled:.1f}")
    memory = figures["peak_gigabytes"]
    cells = [f"{value:.2f} GB" for value in memory.values()]
    share = f"{memory['ours'] / memory['sam2']:.2f}"
    table.add_row("peak memory", *cells, share, "")
    Console(width=100).print(table)


def main(argv) -> None:
    del argv
    # Long enough for all rounds; every frame is the same to both sides.
    frames = np.repeat(draw_video(1, 480, 640), _FULL + ROUNDS.value + 2, axis=0)
    if SIDE.value:
        measure_side(SIDE.value, frames)
        return
    with launch.needing("port"):
        from porting.pair import Clip, make_pair
        from porting.seeded import seeded_state

    pair = make_pair(SIZE.value, seeded_state(SIZE.value), IMAGE_SIZE.value)
    side = pair.config.image_size
    title = (
        f"{SIZE.value} at {side}x{side}, float32, {processor()},"
        f" jax {version('jax')}, torch {version('torch')}, {ROUNDS.value} rounds"
    )
    figures = {"title": title, **measure(Clip(pair, frames))}
    figures["peak_gigabytes"] = {name: peak_memory(name) for name in ("ours", "sam2")}
    show(figures)
    if JSON.value:
        setting = f"{SIZE.value}_{side}_float32"
        figures = {**ratios(figures["seconds"]), "video": figures}
        record(JSON.value, jax.default_backend(), setting, figures)


if __name__ == "__main__":
    launch.run(main)
