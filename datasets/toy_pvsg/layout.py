"""File formats of OpenPVSG: palette masks, videos, archives, and their names."""

import json
import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from PIL import Image

# Class and predicate names of the released pvsg.json, in its order.
_VOCABULARY = Path(__file__).resolve().parents[2] / "c2g_jax" / "vocabulary.json"
_ARCHIVES = {
    "vidor": "VidOR",
    "epic_kitchen": "EpicKitchen",
    "ego4d": "Ego4D",
    "toy_pvsg": "Toy",
}
_MEMBERS = "mnt/lustre/jkyang/CVPR23/openpvsg/data"
LAYOUTS = ("tree", "zips", "flattened")


def palette() -> list[int]:
    """Return 256 RGB colours, flat; bits of the index alternate between channels."""
    colours = []
    for index in range(256):
        rgb = [0, 0, 0]
        for bit in range(8):
            rgb[bit % 3] |= ((index >> bit) & 1) << (7 - bit // 3)
        colours += rgb
    return colours


_PALETTE = palette()


def mask_png(segments: np.ndarray) -> bytes:
    """Encode object_ids, uint8 [H, W], as a palette PNG."""
    image = Image.fromarray(np.ascontiguousarray(segments, np.uint8))
    image.putpalette(_PALETTE)  # makes it mode P
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def write_video(path: Path, frames: list[np.ndarray], fps: int) -> None:
    """Write a near-lossless H.264 mp4; one thread keeps the bytes the same."""
    height, width = frames[0].shape[:2]
    # mbtree is off: with it the bytes differ from run to run unless the width is a
    # multiple of 128.
    coding = "mbtree=0:rc-lookahead=0"
    options = {"crf": "14", "preset": "veryfast", "x264-params": coding}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def video_name(source: str, split: str, index: int) -> str:
    """Return a video id in the naming style of its source."""
    number = index + 1 + (2000 if split == "val" else 0)
    if source == "vidor":
        return f"{number:04d}_{4000000000 + 7919 * number}"
    if source == "epic_kitchen":
        return f"P{number // 50 + 1:02d}_{number % 50 + 1:02d}"
    if source == "ego4d":
        tail = f"{0x5EED00000000 + 104729 * number:012x}"
        return f"{number:08x}-0000-4000-8000-{tail}"
    return f"{source}_{split}_{index:04d}"


def annotations(entries: list[dict], split: dict) -> bytes:
    """Encode pvsg.json. split: {source: {train: ids, val: ids}}."""
    names = json.loads(_VOCABULARY.read_text(encoding="utf-8"))
    whole = {
        "objects": {"thing": names["thing"], "stuff": names["stuff"]},
        "relations": names["predicate"],
        "split": split,
        "data": entries,
    }
    return json.dumps(whole).encode()


def pack(folder: Path, layout: str, sources: tuple[str, ...]) -> None:
    """Convert the tree in `folder` to the given layout, in place."""
    for source in sources:
        if layout == "flattened":
            _flatten(folder / source / "masks")
        elif layout == "zips":
            for kind in ("videos", "masks"):
                place = folder / _ARCHIVES.get(source, source)
                place.mkdir(exist_ok=True)
                _zip(folder, source, kind, place / f"{source}_{kind}.zip")
            shutil.rmtree(folder / source)


def _flatten(masks: Path) -> None:
    """Drop the folders of the videos, as the official script does: masks collide."""
    for path in sorted(masks.glob("*/*.png")):
        path.replace(masks / path.name)
    for path in sorted(masks.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)


def _zip(folder: Path, source: str, kind: str, target: Path) -> None:
    paths = sorted((folder / source / kind).rglob("*"))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            name = f"{_MEMBERS}/{path.relative_to(folder).as_posix()}"
            if "__MACOSX" in path.parts:  # a parallel tree, as macOS Finder packs it
                inner = path.relative_to(folder / source / kind / "__MACOSX")
                name = f"__MACOSX/{_MEMBERS}/{source}/{kind}/{inner.as_posix()}"
            info = zipfile.ZipInfo(name + ("/" if path.is_dir() else ""))
            info.external_attr = (0o40755 if path.is_dir() else 0o100644) << 16
            archive.writestr(info, b"" if path.is_dir() else path.read_bytes())
