"""The main job once, on a video that is drawn here: click, track, graph, overlay.

    python tools/demo.py [--output=demo]

draws a figure that carries a ball past a box, clicks on the figure and writes the
scene graph and the overlay. The same as `make demo`.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image, ImageDraw

from c2g_jax.types import Frame
from c2g_jax.video import write_mp4

OUTPUT = flags.DEFINE_string("output", "demo", "Folder for the clip and the results.")

WIDTH, HEIGHT, FPS, SECONDS = 320, 240, 10, 4
SKY, GRASS, BOX = (150, 190, 225), (95, 140, 80), (150, 105, 60)
SHIRT, SKIN, BALL = (190, 50, 50), (225, 180, 150), (245, 200, 40)


def draw_frame(t: float) -> np.ndarray:
    """The scene at t in [0, 1]: uint8 RGB [240, 320, 3]."""
    image = Image.new("RGB", (WIDTH, HEIGHT), SKY)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 150, WIDTH, HEIGHT), GRASS)
    draw.rectangle((205, 120, 285, 200), BOX)
    x, y = place_of_figure(t)
    draw.ellipse((x - 14, y - 78, x + 14, y - 50), SKIN)
    draw.rounded_rectangle((x - 18, y - 50, x + 18, y + 10), 8, SHIRT)
    swing = 8 * np.sin(6 * np.pi * t)
    for side in (-1, 1):
        foot = x + side * 8 + side * swing
        draw.line((x + side * 8, y + 8, foot, y + 50), (40, 40, 70), 10)
    draw.line((x + 14, y - 38, x + 40, y - 10), SKIN, 9)
    draw.ellipse((x + 28, y - 18, x + 60, y + 14), BALL)
    return np.asarray(image)


def place_of_figure(t: float) -> tuple[float, float]:
    return 60 + 160 * t, 150 + 4 * np.sin(12 * np.pi * t)


def main(argv) -> None:
    del argv
    folder = Path(OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / "clip.mp4"
    count = FPS * SECONDS
    frames = [Frame(i, i / FPS, draw_frame(i / (count - 1))) for i in range(count)]
    write_mp4(clip, frames, FPS)
    x, y = place_of_figure(0.0)
    command = [
        *(sys.executable, "-m", "c2g_jax.predict", f"--video={clip}", "--size=toy"),
        "--min_frames=1",
        "--seed=2",
        *(f"--point={x:.0f},{y - 20:.0f}", f"--output={folder / 'graph'}"),
    ]
    print("$", " ".join(["python", *command[1:]]), flush=True)
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    app.run(main)
