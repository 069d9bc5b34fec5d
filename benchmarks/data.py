"""Clips per second from a prepared data set, compared with decoding the mp4.

    python -m benchmarks.data --clips=200 --memory_clips=2000
    python -m benchmarks.data --data_dir=DIR --name=toy_pvsg --image_size=256

The first form generates a video of 400 frames at 480x360, prepares it, and compares
reading random clips of 8 frames with PyAV (seek to the previous key frame, decode to
the end of the clip) in interleaved rounds; then it runs the loader and records its
memory. The second form runs only the loader, on an existing data set.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from absl import flags
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.measures import (
    check_json,
    record,
    resident_megabytes,
    whole_numbers,
)
from c2g_jax.cli import launch
from c2g_jax.cli.launch import DATA_DIR, DEFAULT_NAME, IMAGE_SIZE, NAME
from c2g_jax.vocabulary import load_vocabulary

with launch.needing("train"):
    from c2g_jax.data.clip_config import TASKS, ClipConfig
    from c2g_jax.data.dataset import Dataset, open_dataset
    from c2g_jax.data.loader import clip_loader

flags.declare_key_flag("data_dir")
flags.declare_key_flag("name")
SPLIT = flags.DEFINE_string("split", "train", "Split of the data set.")
CLIPS = flags.DEFINE_integer("clips", 100, "Clips per measurement.", 10)
MEMORY_CLIPS = flags.DEFINE_integer(
    "memory_clips", 0, "Clips to record memory over.", 0
)
flags.declare_key_flag("image_size")
BATCH = flags.DEFINE_integer("batch_size", 2, "Batch size of the loader.", 1)
WORKERS = flags.DEFINE_list("workers", ["0", "1", "2"], "Numbers of loader processes.")
flags.declare_key_flag("json")

FRAMES, HEIGHT, WIDTH, FPS, CLIP_LENGTH = 400, 360, 480, 5, 8
VIDEO, DISCS = "0001_drawn", 5


def image_size() -> int:
    """Return the side of the loader's square image: --image_size, or 256."""
    return IMAGE_SIZE.value or 256


def draw(rng: np.random.Generator):
    """Yield frames uint8 [H, W, 3] and object ids [H, W]: discs over a floor."""
    coarse = rng.integers(0, 256, (24, 32, 3), np.uint8)
    ground = Image.fromarray(coarse).resize(
        (WIDTH + 100, HEIGHT + 100), Image.Resampling.BICUBIC
    )
    ground = np.asarray(ground).astype(np.float32) * 0.6 + 40
    ground += rng.normal(0, 6, ground.shape)  # texture that moves with the camera
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    phase, colour = rng.uniform(0, 6, (DISCS, 2)), rng.uniform(0, 255, (DISCS, 3))
    for t in range(FRAMES):
        down, right = int(50 + 40 * np.sin(t / 40)), int(50 + 40 * np.cos(t / 55))
        rgb = ground[down : down + HEIGHT, right : right + WIDTH].copy()
        ids = np.where(y > 0.8 * HEIGHT, DISCS + 1, 0).astype(np.uint8)
        for i in range(DISCS):
            cx = WIDTH * (0.5 + 0.45 * np.sin(t / 20 + phase[i, 0]))
            cy = HEIGHT * (0.5 + 0.4 * np.cos(t / 26 + phase[i, 1]))
            disc = (x - cx) ** 2 + (y - cy) ** 2 < (25 + 8 * i) ** 2
            stripes = 40 * np.sin((x - cx + (i + 1) * (y - cy)) / 5)
            rgb[disc] = (colour[i] + stripes[..., None])[disc]
            ids[disc] = i + 1
        rgb += rng.normal(0, 2, (HEIGHT, WIDTH, 1))  # sensor noise
        yield np.clip(rgb, 0, 255).astype(np.uint8), ids


def write_download(root: Path) -> None:
    """Write the generated video in the layout of an OpenPVSG download."""
    videos, masks = root / "vidor/videos", root / "vidor/masks" / VIDEO
    videos.mkdir(parents=True)
    masks.mkdir(parents=True)
    palette = np.random.default_rng(1).integers(0, 256, 768, np.uint8).tobytes()
    with av.open(str(videos / f"{VIDEO}.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t, (rgb, ids) in enumerate(draw(np.random.default_rng(0))):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            image = Image.fromarray(ids)
            image.putpalette(palette)
            image.save(masks / f"{t:04d}.png")
        file.mux(stream.encode(None))
    names = load_vocabulary()
    things = [
        {"object_id": i + 1, "category": "ball", "is_thing": True, "status": []}
        for i in range(DISCS)
    ]
    floor = {"object_id": DISCS + 1, "category": "floor", "is_thing": False}
    meta = {"height": HEIGHT, "width": WIDTH, "fps": FPS, "num_frames": FRAMES}
    video = {
        "video_id": VIDEO,
        "meta": {**meta, "duration": FRAMES / FPS},
        "objects": [*things, {**floor, "status": []}],
        "relations": [
            [1, 2, "next to", [[0, FRAMES - 1]]],
            [2, 3, "touching", [[0, 199], [250, FRAMES - 1]]],
            [1, DISCS + 1, "on", [[0, FRAMES - 1]]],
        ],
        "captions": [],
        "qa_pairs": [],
        "summary": "Balls over a floor.",
    }
    annotations = {
        "data": [video],
        "objects": {"thing": list(names.things), "stuff": list(names.stuff)},
        "relations": list(names.predicates),
        "split": {"vidor": {"train": [VIDEO], "val": []}},
    }
    (root / "pvsg.json").write_text(json.dumps(annotations), encoding="utf-8")


def prepare(download: Path, data_dir: Path) -> None:
    """Prepare the generated download as `c2g_jax.prepare` does."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "datasets"))
    from open_pvsg.build import build

    build(download, data_dir, configs=("videos", "default"))


def decode_mp4(path: Path, start: int, stop: int) -> np.ndarray:
    """Return frames start to stop - 1 of an mp4, uint8 [t, H, W, 3]."""
    frames = []
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.thread_type = "AUTO"
        file.seek(round(start / FPS / stream.time_base), stream=stream)
        for frame in file.decode(stream):
            number = round(frame.pts * stream.time_base * FPS)
            if start <= number < stop:
                frames.append(frame.to_ndarray(format="rgb24"))
            if number >= stop - 1:
                return np.stack(frames)
    raise ValueError(f"{path} ends before frame {stop - 1}")


def decode_masks(folder: Path, start: int, stop: int) -> np.ndarray:
    """Return masks start to stop - 1 of a folder of PNGs, ids uint8 [t, H, W]."""
    return np.stack(
        [np.asarray(Image.open(folder / f"{t:04d}.png")) for t in range(start, stop)]
    )


def compare(download: Path, dataset: Dataset) -> dict[str, list[float]]:
    """Return seconds per clip of each method, over the same random clips."""
    video = dataset.videos("train")[0]
    mp4 = download / f"vidor/videos/{VIDEO}.mp4"
    masks = download / "vidor/masks" / VIDEO
    methods: dict[str, Callable[[int], object]] = {
        "prepared": lambda t: dataset.read(video, t, t + CLIP_LENGTH),
        "mp4, frames only": lambda t: decode_mp4(mp4, t, t + CLIP_LENGTH),
        "mp4 and PNG masks": lambda t: (
            decode_mp4(mp4, t, t + CLIP_LENGTH),
            decode_masks(masks, t, t + CLIP_LENGTH),
        ),
    }
    check(dataset.read(video, 203, 211), decode_mp4(mp4, 203, 211))
    times = {name: [] for name in methods}
    starts = np.random.default_rng(2).integers(0, FRAMES - CLIP_LENGTH + 1, CLIPS.value)
    for start in starts.tolist():
        for name, read in methods.items():
            start_time = time.perf_counter()
            read(start)
            times[name].append(time.perf_counter() - start_time)
    return times


def check(ours: tuple[np.ndarray, np.ndarray], theirs: np.ndarray) -> None:
    """Raise ValueError if frames differ by more than 3 grey levels on average."""
    off = np.abs(ours[0].astype(int) - theirs).mean(axis=(1, 2, 3))
    if off.max() > 3:
        raise ValueError(f"the frames differ by {off.tolist()} grey levels")


def run_loader(dataset: Dataset, task: str, workers: int) -> tuple[float, float]:
    """Return clips per second after warm-up, and seconds to the first batch."""
    config = ClipConfig(task=task, image_size=image_size())
    loader = clip_loader(dataset, SPLIT.value, config, BATCH.value, num_workers=workers)
    batches = iter(loader)
    start_time = time.perf_counter()
    next(batches)
    first = time.perf_counter() - start_time
    for _ in range(4 * max(workers, 1)):
        next(batches)  # prefetched batches
    count = max(CLIPS.value // BATCH.value, 1)
    start_time = time.perf_counter()
    for _ in range(count):
        next(batches)
    speed = count * BATCH.value / (time.perf_counter() - start_time)
    batches.close()
    return speed, first


def watch_memory(dataset: Dataset, workers: int) -> dict[int, float]:
    """Return {clips read: megabytes} at every tenth of the run."""
    config = ClipConfig(image_size=image_size())
    loader = clip_loader(dataset, SPLIT.value, config, BATCH.value, num_workers=workers)
    batches, total = iter(loader), MEMORY_CLIPS.value // BATCH.value
    marks = {max(total * k // 10, 1) for k in range(1, 11)}
    measured = {}
    for i in range(1, total + 1):
        next(batches)
        if i in marks:
            measured[i * BATCH.value] = resident_megabytes()
    batches.close()
    return measured


def show_methods(console: Console, times: dict[str, list[float]]) -> None:
    table = Table(title=f"{CLIP_LENGTH}-frame clips at {WIDTH}x{HEIGHT}")
    for heading in ("method", "ms per clip: mean, median (min-max)", "x prepared"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    ours = statistics.mean(times["prepared"])
    for name, values in times.items():
        ms = [1000 * v for v in values]
        mean, median = statistics.mean(ms), statistics.median(ms)
        spread = f"{mean:.1f}, {median:.1f} ({min(ms):.1f}-{max(ms):.1f})"
        table.add_row(name, spread, f"{mean / 1000 / ours:.2f}")
    console.print(table)


def show_loader(console: Console, speeds: dict[str, dict[str, tuple]]) -> None:
    table = Table(title=f"loader, {image_size()}x{image_size()}, clips/s")
    workers = next(iter(speeds.values()))
    for heading in ("task", *(f"{w} workers (first)" for w in workers)):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    for task, row in speeds.items():
        cells = [f"{speed:.1f} ({first:.1f} s)" for speed, first in row.values()]
        table.add_row(task, *cells)
    console.print(table)


def main(argv) -> None:
    del argv
    check_json()
    workers = whole_numbers(WORKERS, least=0)
    console, figures = Console(width=100), {}
    with tempfile.TemporaryDirectory() as scratch:
        data_dir = Path(DATA_DIR.value or Path(scratch) / "prepared")
        if not DATA_DIR.value:
            download = Path(scratch) / "download"
            write_download(download)
            prepare(download, data_dir)
        dataset = open_dataset(data_dir, NAME.value or DEFAULT_NAME)
        if not DATA_DIR.value:
            figures["seconds"] = compare(download, dataset)
            show_methods(console, figures["seconds"])
        figures["loader"] = {
            task: {w: run_loader(dataset, task, w) for w in workers} for task in TASKS
        }
        show_loader(console, figures["loader"])
        if MEMORY_CLIPS.value:
            for count in workers:
                measured = watch_memory(dataset, count)
                figures.setdefault("memory", {})[count] = measured
                marks = ", ".join(f"{n}: {mb:.0f}" for n, mb in measured.items())
                console.print(f"MB after clips, {count} workers: {marks}")
    record("data", figures)


if __name__ == "__main__":
    launch.run(main)
