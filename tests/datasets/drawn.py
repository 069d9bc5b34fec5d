"""A download of three small videos, independent of the generator."""

import json
import shutil
import zipfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

SIZE = (48, 64)  # height, width
FRAMES = {"0001_1": 20, "0002_2": 11, "0003_3": 16}  # the last is for validation
VOCABULARY = Path(__file__).resolve().parents[2] / "c2g_jax" / "vocabulary.json"


def mask_of(video_id: str, frame: int) -> np.ndarray:
    """Return uint8 [H, W]: a wall (1), a moving cup (2), a dog (3) on some frames."""
    height, width = SIZE
    mask = np.zeros(SIZE, np.uint8)
    mask[: height // 3] = 1
    left = (3 * frame) % (width - 16)
    mask[20:30, left : left + 10] = 2
    if frame % 7 < 4:
        mask[36:44, 40:60] = 3
    return mask


def picture_of(video_id: str, frame: int) -> np.ndarray:
    """Return uint8 [H, W, 3], smooth, so that codecs change little."""
    ramp = np.linspace(40, 200, SIZE[1])[None, :, None] * np.ones((SIZE[0], 1, 3))
    picture = ramp + 12 * mask_of(video_id, frame)[..., None] * np.array([1, 2, 3])
    return np.clip(picture, 0, 255).astype(np.uint8)


def annotations() -> dict:
    names = json.loads(VOCABULARY.read_text(encoding="utf-8"))
    return {
        "data": [_video(video_id, n) for video_id, n in FRAMES.items()],
        "objects": {"thing": names["thing"], "stuff": names["stuff"]},
        "relations": names["predicate"],
        "split": {"drawn": {"train": ["0002_2", "0001_1"], "val": ["0003_3"]}},
    }


def _video(video_id: str, num_frames: int) -> dict:
    things = (("wall", False), ("cup", True), ("dog", True))
    return {
        "video_id": video_id,
        "meta": {
            "height": SIZE[0],
            "width": SIZE[1],
            "fps": 5,
            "duration": num_frames / 5,
            "num_frames": num_frames,
        },
        "objects": [
            {"object_id": i, "category": name, "is_thing": thing, "status": []}
            for i, (name, thing) in enumerate(things, 1)
        ],
        "relations": [
            [3, 2, "chasing", [[0, 3], [5, num_frames - 1]]],
            [2, 1, "in front of", [[0, num_frames - 1]]],
        ],
        "captions": [{"time": "0000-0002", "description": "A dog (3) runs."}],
        "qa_pairs": [{"time": "0001", "question": "Who?", "answer": "The dog (3)."}],
        "summary": f"A dog and a cup, {video_id}",
    }


def write_tree(root: Path, content: dict | None = None) -> Path:
    """Write the tree of a download; content of pvsg.json: default `annotations()`."""
    content = content or annotations()
    for video_id, num_frames in FRAMES.items():
        folder = root / "drawn" / "masks" / video_id
        folder.mkdir(parents=True)
        for frame in range(num_frames):
            image = Image.fromarray(mask_of(video_id, frame), "P")
            image.putpalette(np.arange(768, dtype=np.uint8).tobytes())
            image.save(folder / f"{frame:04d}.png")
        video = root / "drawn" / "videos" / f"{video_id}.mp4"
        video.parent.mkdir(exist_ok=True)
        write_video(video, [picture_of(video_id, t) for t in range(num_frames)])
    write_json(root, content)
    return root


def write_json(root: Path, content: dict) -> None:
    (root / "pvsg.json").write_text(json.dumps(content), encoding="utf-8")


def write_video(path: Path, pictures: list[np.ndarray]) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "10"}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


PREFIX = "mnt/somewhere/openpvsg/data"  # released zips hold such a path


def zip_tree(tree: Path, root: Path) -> Path:
    """Write the download of a tree as zips, with member names as released."""
    root.mkdir(parents=True, exist_ok=True)
    for kind in ("videos", "masks"):
        with zipfile.ZipFile(root / f"drawn_{kind}.zip", "w") as archive:
            for path in sorted((tree / "drawn" / kind).rglob("*.*")):
                name = path.relative_to(tree).as_posix()
                archive.write(path, f"{PREFIX}/{name}")
                junk = f"__MACOSX/{PREFIX}/{name}".rpartition("/")
                archive.writestr(f"{junk[0]}/._{junk[2]}", b"no image")
    shutil.copy(tree / "pvsg.json", root)
    return root
