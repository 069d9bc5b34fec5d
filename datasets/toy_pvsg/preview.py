"""Render a download for inspection: a contact sheet and a video with the graph."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from . import layout

_COLUMNS = 6  # frames per video on the contact sheet
_LINES = 4  # relations listed below each frame
_CELL_WIDTH = 240  # width of a frame on the sheet, in pixels
_COLOURS = np.array(layout.palette(), np.uint8).reshape(256, 3)


def preview(root: str | Path, output: str | Path, videos: int = 8) -> None:
    """Write contact_sheet.png and overlay.mp4 of a download (tree or zips) at root.

    The videos are evenly spaced over pvsg.json.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    with open(Path(root) / "pvsg.json", encoding="utf-8") as file:
        entries = json.load(file)["data"]
    places = spread(len(entries), videos)
    shown = [_Video(Path(root), entries[place]) for place in places]
    rows = [_row(video) for video in shown]
    whole = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    whole.save(output / "contact_sheet.png")
    fps = shown[0].entry["meta"]["fps"]
    panels = [_panel(v, t) for v in shown for t in range(len(v.frames))]
    layout.write_video(output / "overlay.mp4", panels, fps)


def spread(count: int, most: int) -> list[int]:
    """Return up to `most` evenly spaced indices below `count`, both ends included."""
    places = np.linspace(0, count - 1, min(most, count))
    return [int(place) for place in places.round()]


class _Video:
    """Frames, masks and annotations of one video of a download."""

    def __init__(self, root: Path, entry: dict):
        self.entry = entry
        name = entry["video_id"]
        data = _find(root, "videos", f"{name}.mp4")
        with av.open(BytesIO(data)) as container:
            self.frames = [
                f.to_ndarray(format="rgb24") for f in container.decode(video=0)
            ]
        self.masks = []
        for t in range(len(self.frames)):
            png = _find(root, "masks", f"{name}/{t:04d}.png")
            self.masks.append(np.array(Image.open(BytesIO(png))))
        self.names = {o["object_id"]: o["category"] for o in entry["objects"]}

    def relations_at(self, t: int) -> list[str]:
        """Return the relations of a frame as text."""
        return [
            f"{self.names[s]} {s} {predicate} {self.names[o]} {o}"
            for s, o, predicate, spans in self.entry["relations"]
            if any(start <= t <= end for start, end in spans)
        ]

    def with_masks(self, t: int, width: int) -> Image.Image:
        """Return the frame at a given width with masks, mask edges and object_ids."""
        frame, mask = self.frames[t].astype(np.float32), self.masks[t]
        things = [o["object_id"] for o in self.entry["objects"] if o["is_thing"]]
        tint = np.isin(mask, things)[..., None]
        edge = np.zeros(mask.shape, bool)
        edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
        edge[1:] |= mask[1:] != mask[:-1]
        colour = _COLOURS[mask].astype(np.float32)
        frame = np.where(tint, 0.72 * frame + 0.28 * colour, frame)
        frame = np.where(edge[..., None], colour, frame)
        picture = Image.fromarray(frame.astype(np.uint8))
        scale = width / picture.width
        picture = picture.resize((width, round(picture.height * scale)))
        draw = ImageDraw.Draw(picture)
        for number in things:
            y, x = np.nonzero(mask == number)
            if len(x):
                place = (
                    float(np.median(x)) * scale - 4,
                    float(np.median(y)) * scale - 6,
                )
                draw.text(
                    place, str(number), "white", stroke_width=2, stroke_fill="black"
                )
        return picture


def _find(root: Path, kind: str, name: str) -> bytes:
    """Read a video or mask file from the tree or from the archives."""
    for path in sorted(root.glob(f"*/{kind}/{name}")):
        return path.read_bytes()
    for path in sorted(root.glob(f"**/*_{kind}.zip")):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(f"/{kind}/{name}") and "__MACOSX" not in member:
                    return archive.read(member)
    raise FileNotFoundError(f"{root}: no {kind}/{name}, unpacked or in an archive")


def _row(video: _Video) -> Image.Image:
    """Return six frames of a video side by side, each above its relations."""
    times = np.linspace(0, len(video.frames) - 1, _COLUMNS).round().astype(int)
    cells = [video.with_masks(int(t), _CELL_WIDTH) for t in times]
    height = cells[0].height
    row = Image.new(
        "RGB", (_COLUMNS * (_CELL_WIDTH + 4), height + 12 * (_LINES + 1)), "white"
    )
    draw = ImageDraw.Draw(row)
    for k, (t, cell) in enumerate(zip(times, cells, strict=True)):
        left = k * (_CELL_WIDTH + 4)
        row.paste(cell, (left, 0))
        lines = [
            f"{video.entry['video_id']}  frame {t}",
            *video.relations_at(int(t))[:_LINES],
        ]
        draw.text((left + 2, height), "\n".join(lines), "black", spacing=1)
    return row


def _panel(video: _Video, t: int) -> np.ndarray:
    """Return one frame of the overlay video: the picture with the graph beside it."""
    panel = Image.new("RGB", (768, 512), "black")
    picture = video.with_masks(t, 512)
    if picture.height > 512:
        picture = picture.resize((round(picture.width * 512 / picture.height), 512))
    panel.paste(picture, (0, (512 - picture.height) // 2))
    lines = [video.entry["video_id"], f"frame {t}", "", *video.relations_at(t)]
    ImageDraw.Draw(panel).text((524, 12), "\n".join(lines), "white", spacing=6)
    return np.asarray(panel)
