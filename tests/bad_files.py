"""Invalid input files, and odd but valid ones, by name."""

import json
import struct
import zlib
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.clips import numbered, numbered_clip

BOMB = "[" * 100_000
PROMPTS = {
    "nan": [{"frame": 0, "object": 1, "points": [[float("nan"), 1]]}],
    "infinite": '[{"frame": 0, "object": 1, "points": [[1e999, 1]]}]',
    "huge_number": f'[{{"frame": 0, "object": 1, "points": [[1{"0" * 400}, 1]]}}]',
    "endless_number": f'[{{"frame": 1{"0" * 5000}, "object": 1}}]',
    "text_number": [{"frame": "first", "object": 1, "points": [[1, 1]]}],
    "negative_frame": [{"frame": -1, "object": 1, "points": [[1, 1]]}],
    "late_frame": [{"frame": 7, "object": 1, "points": [[1, 1]]}],
    "object_0": [{"frame": 0, "object": 0, "points": [[1, 1]]}],
    "true": [{"frame": 0, "object": True, "points": [[1, 1]]}],
    "twice": [{"frame": 0, "object": 2, "points": [[9, 9]]}] * 2,
    "empty": {"prompts": []},
    "nothing": [{"frame": 0, "object": 1}],
    "unknown_key": [{"frame": 0, "object": 1, "point": [1, 1]}],
    "text_points": [{"frame": 0, "object": 1, "points": [["1", "1"]]}],
    "flat_points": [{"frame": 0, "object": 1, "points": [1, 1]}],
    "label": [{"frame": 0, "object": 1, "points": [[1, 1]], "labels": [7]}],
    "a_number": "3",
    "half": '{"prompts": [',
    "bomb": BOMB,
    "huge_mask": [
        {"frame": 0, "object": 1, "mask": {"size": [10**8, 10**8], "counts": "PPYo0"}}
    ],
    "torn_mask": [
        {"frame": 0, "object": 1, "mask": {"size": [48, 64], "counts": "zzzzzz"}}
    ],
    "no_mask": [{"frame": 0, "object": 1, "mask": "nowhere.png"}],
    "mask_and_point": [
        {"frame": 0, "object": 1, "points": [[1, 1]], "mask": "small_mask.png"}
    ],
}
MANIFESTS = {
    "manifest_text": "not JSON",
    "manifest_list": "[]",
    "manifest_bomb": BOMB,
    "manifest_alone": json.dumps({"size": "toy", "sha256": "0" * 64}),
    "manifest_side": json.dumps({"size": "toy", "sha256": "0", "image_size": "wide"}),
    "manifest_size": json.dumps({"size": "huge", "sha256": "0"}),
}


def write_bad_files(folder: Path) -> Path:
    """Write the files that `test_bad_inputs` uses."""
    folder.mkdir(exist_ok=True)
    numbered_clip(folder / "clip.mp4", 6, fps=5)
    whole = (folder / "clip.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (folder / "text.mp4").write_text("no video")
    (folder / "nothing.mp4").touch()
    write_sound(folder / "sound.mp4")
    (folder / "empty").mkdir()
    Image.fromarray(numbered(1)).save(folder / "frame.png")
    (folder / "text.png").write_text("no image")
    (folder / "nothing.png").touch()
    (folder / "cut.png").write_bytes((folder / "frame.png").read_bytes()[:60])
    (folder / "bomb.png").write_bytes(png_bomb())
    (folder / "sizes").mkdir()
    for name, width in (("1.png", 64), ("2.png", 64), ("10.png", 32)):
        Image.fromarray(numbered(1, width=width)).save(folder / "sizes" / name)
    Image.fromarray(numbered(1, width=32)).save(folder / "small_mask.png")
    Image.new("L", (64, 48)).save(folder / "black.png")
    dim = Image.new("L", (64, 48), 90)
    dim.putpixel((5, 5), 2)
    dim.save(folder / "dim.png")
    ids = Image.new("P", (64, 48), 1)
    ids.putpalette(range(30))
    ids.putpixel((5, 5), 2)
    ids.save(folder / "ids.png")
    turning = [Image.new("L", (64, 48), level) for level in (0, 255)]
    turning[0].save(folder / "turning.webp", save_all=True, append_images=turning[1:])
    for name, value in PROMPTS.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00[\x00]")
    for name, text in MANIFESTS.items():
        (folder / name).mkdir()
        (folder / name / "manifest.json").write_text(text)
    return folder


def write_sound(path: Path) -> None:
    """Write a video file with only an audio track."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def png_bomb() -> bytes:
    """Return a tiny PNG file whose header claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )
