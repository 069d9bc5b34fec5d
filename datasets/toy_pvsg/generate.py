"""Write the synthetic data set in the layout of an OpenPVSG download.

from toy_pvsg.generate import generate
report = generate("download", size="tiny", seed=0)
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import film
from . import layout as files
from . import quirks as faults
from .render import Renderer


class Size(NamedTuple):
    """Dimensions of a data set."""

    train: int  # number of videos
    val: int
    frames: int  # per video
    pictures: tuple  # (width, height) of the videos, used in rotation


_SMALL = ((128, 96), (128, 96), (96, 128), (112, 112))
SIZES = {
    "tiny": Size(8, 4, 24, _SMALL),
    "train": Size(600, 0, 40, ((256, 256),)),
    "val": Size(0, 120, 40, ((256, 256),)),
    "full": Size(600, 120, 40, ((256, 256),)),
    "large": Size(3000, 120, 40, ((256, 256),)),
}


class VideoPlan(NamedTuple):
    """The name of a video and the (split, index) that determine its content."""

    video_id: str
    source: str
    split: str
    index: int


@dataclass(frozen=True)
class Truth:
    """Ground truth of a video, before any fault is planted."""

    segments: np.ndarray  # object_ids, uint8 [frames, H, W]
    objects: list[dict]
    relations: list[list]  # [subject_id, object_id, predicate, [[start, end], ...]]


@dataclass(frozen=True)
class GenerateReport:
    """Summary of a generated download.

    quirks: {name: locations of the planted faults}. maskless: number of annotated
    (frame, subject, object) triples of valid records in which one of the two has no
    pixel, for any reason. unseen: number of objects without a pixel in any frame,
    planted or not.
    """

    frames: int
    seconds: float
    videos: tuple[VideoPlan, ...]
    quirks: dict[str, list[dict]]
    maskless: int
    unseen: int

    @property
    def counts(self) -> dict[str, int]:
        """Number of planted faults per quirk."""
        return {name: len(where) for name, where in self.quirks.items()}


def videos(size: str, sources: tuple[str, ...] = ("toy_pvsg",)) -> list[VideoPlan]:
    """Return the videos of a size, assigned to the sources in rotation.

    The source affects names only, not content.
    """
    plans = []
    for split in film.SPLITS:
        for index in range(getattr(_size(size), split)):
            source = sources[index % len(sources)]
            name = files.video_name(source, split, index)
            plans.append(VideoPlan(name, source, split, index))
    return plans


def _size(size: str) -> Size:
    if size not in SIZES:
        raise ValueError(f"no size {size!r}; there are {', '.join(SIZES)}")
    return SIZES[size]


def _film(size: str, seed: int, split: str, index: int) -> film.Film:
    wanted = _size(size)
    picture = wanted.pictures[index % len(wanted.pictures)]
    return film.make(seed, split, index, picture, wanted.frames)


def truth(size: str, split: str, index: int, seed: int = 0) -> Truth:
    """Return the exact masks, objects and spans of a video, without reading files."""
    video = _film(size, seed, split, index)
    renderer = Renderer(video)
    segments = np.stack([renderer.segments(t) for t in range(len(video.frames))])
    return Truth(segments, video.record["objects"], video.record["relations"])


def generate(
    root: str | Path,
    size: str = "tiny",
    seed: int = 0,
    run: Callable[[Callable, list], Iterable] = map,
    layout: str = "tree",
    sources: tuple[str, ...] = ("toy_pvsg",),
    quirks=(),
    progress: Callable[[int, int], None] | None = None,
) -> GenerateReport:
    """Write pvsg.json, videos and masks below root; bytes depend on seed and size.

    run(function, tasks): yields the results in the order of the tasks; the default,
    `map`, runs in this process. quirks: names from quirks.QUIRKS, each planted once, or
    {name: count}. progress(done, total) is called after each video. All files are
    written to a temporary folder and moved into place at the end, pvsg.json last.
    Raises ValueError for an unknown name.
    """
    start_time = time.perf_counter()
    if layout not in files.LAYOUTS:
        raise ValueError(f"no layout {layout!r}; there are {', '.join(files.LAYOUTS)}")
    plans = videos(size, sources)
    given = faults.plan(quirks, [p.video_id for p in plans])
    if "truncated_zip" in quirks and layout != "zips":
        raise ValueError("truncated_zip needs the layout zips")
    root = Path(root)
    aside = root / f".partial-{os.getpid()}"
    aside.mkdir(parents=True)
    try:
        tasks = [(aside, size, seed, p, given[p.video_id]) for p in plans]
        done = []
        for result in run(_write, tasks):
            done.append(result)
            if progress is not None:
                progress(len(done), len(tasks))
        used = tuple(dict.fromkeys(p.source for p in plans))
        files.pack(aside, layout, used)
        planted: dict[str, list[dict]] = {}
        for written in done:
            for name, where in written.planted.items():
                planted.setdefault(name, []).append(where)
        if "truncated_zip" in quirks:
            planted["truncated_zip"] = [faults.truncate(aside)]
        split = {s: {name: [] for name in film.SPLITS} for s in used}
        for p in plans:
            split[p.source][p.split].append(p.video_id)
        data = files.annotations([written.entry for written in done], split)
        (aside / "pvsg.json").write_bytes(data)
        _move_in(aside, root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    frames = sum(written.entry["meta"]["num_frames"] for written in done)
    return GenerateReport(
        frames, time.perf_counter() - start_time, tuple(plans), planted,
        sum(w.maskless for w in done), sum(w.unseen for w in done),
    )  # fmt: skip


def _move_in(aside: Path, root: Path) -> None:
    names = sorted(p.name for p in aside.iterdir() if p.name != "pvsg.json")
    for name in (*names, "pvsg.json"):
        target = root / name
        if target.is_dir():
            shutil.rmtree(target)
        (aside / name).replace(target)


class _Written(NamedTuple):
    entry: dict
    planted: dict
    maskless: int
    unseen: int


def _write(task) -> _Written:
    folder, size, seed, plan, names = task
    video = _film(size, seed, plan.split, plan.index)
    renderer = Renderer(video)
    pictures, masks = [], []
    for t in range(len(video.frames)):
        picture, segments = renderer.frame(t)
        pictures.append(picture)
        masks.append(segments)
    meta = {
        "height": video.height,
        "width": video.width,
        "fps": film.FPS,
        "duration": len(pictures) / film.FPS,
        "num_frames": len(pictures),
    }
    entry = {"video_id": plan.video_id, "meta": meta, **video.record}
    draft = faults.Draft(plan.video_id, entry, pictures, masks)
    planted = faults.plant(draft, names)
    draft.write(folder, plan.source, film.FPS)
    return _Written(entry, planted, *_missing(draft))


def _missing(draft: faults.Draft) -> tuple[int, int]:
    """Count annotated (frame, pair)s that lack a mask, and objects without any mask."""
    seen = [set(np.unique(mask).tolist()) for mask in draft.masks]
    pairs = set()
    for subject, target, predicate, found in draft.entry["relations"]:
        if predicate == "climbing" or subject == target:
            continue
        for start, end in found:
            for t in range(max(start, 0), min(end, draft.length - 1) + 1):
                if subject not in seen[t] or target not in seen[t]:
                    pairs.add((t, subject, target))
    listed = {o["object_id"] for o in draft.entry["objects"]}
    return len(pairs), len(listed - set().union(*seen))
