"""Memory and time per frame over a long stream, at the toy size.

    python -m benchmarks.long_video --frames=20000 --objects=2

Tracks a stream of unknown length, at 64 pixels unless --image_size is given. Resident
memory is measured at frame 50 and at every tenth of the run; the exit status is 1 if
the last value differs by more than 1% from the one at frame 50.
"""

import sys
import time

import numpy as np
from absl import flags

from benchmarks.measures import resident_megabytes
from c2g_jax.checkpoints.safetensors import initialise
from c2g_jax.cli import launch
from c2g_jax.cli.launch import IMAGE_SIZE
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor

FRAMES = flags.DEFINE_integer("frames", 20_000, "Length of the stream.", 1000)
OBJECTS = flags.DEFINE_integer("objects", 2, "Objects to track.", 1)
flags.declare_key_flag("image_size")
BASE, BOUND = 50, 0.01


def camera():
    """Yield frames without end: a moving square on noise, uint8 [48, 64, 3]."""
    rng = np.random.default_rng(0)
    t = 0
    while True:
        frame = rng.integers(0, 80, (48, 64, 3), np.uint8)
        x = 10 + t % 30
        frame[15:35, x : x + 20] = (220, 200, 40)
        yield frame
        t += 1


def main(argv) -> None:
    del argv
    config = sam2_config("toy", IMAGE_SIZE.value or 64)
    model = initialise(abstract_sam2(config), 0)
    predictor = Sam2VideoPredictor(model)
    state = predictor.init_state(camera())
    for obj_id in range(OBJECTS.value):
        point = [[15 + 10 * obj_id, 25]]
        predictor.add_new_points_or_box(state, 0, obj_id, points=point, labels=[1])
    marks = {BASE, *(FRAMES.value * k // 10 for k in range(1, 11))}
    base, last, then = None, 0, time.perf_counter()
    for result in predictor.propagate_in_video(state):
        frame = result.frame_idx
        if frame in marks:
            now, memory = time.perf_counter(), resident_megabytes()
            base = base or memory
            pace = 1000 * (now - then) / max(frame - last, 1)
            last, then = frame, now
            print(
                f"frame {frame:6d}: {memory:7.1f} MB ({memory / base - 1:+.2%}),"
                f" {pace:.1f} ms per frame",
                flush=True,
            )
        if frame == FRAMES.value:
            break
    state.close()
    sys.exit(abs(memory / base - 1) > BOUND)


if __name__ == "__main__":
    launch.run(main)
