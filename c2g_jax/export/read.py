"""Read annotations of a video: scene_graph.json, COCO instances, OpenPVSG's layout.

Each reader returns a `SceneGraph`, and raises InputError, in one line, for a file that
is damaged. The names that a file declares are in the graph's provenance, as DECLARED.
What the graph says is checked by its user, who knows the video.
"""

import glob
import json
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from c2g_jax.export.names import ascii_stem, plain_stem
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.images import natural_order
from c2g_jax.media.rle import (
    check_code,
    code_of_counts,
    code_of_polygons,
    encode_mask,
)
from c2g_jax.types import InputError, ObjectTrack, Relation, SceneGraph, VideoInfo
from c2g_jax.vocabulary import PREDICATE, STUFF, THING, UNKNOWN

PVSG = "pvsg.json"
DECLARED = "vocabulary"  # {"thing": [names], "stuff": [names], "predicate": [names]}
_WRONG = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip


def read_any(
    path: Path, video: VideoInfo, video_id: str | None = None
) -> tuple[SceneGraph, bool]:
    """Return the graph of a file or folder, and whether people make such files by hand.

    `video` is the one that it is for; its times are taken where a format has none.
    """
    if path.is_dir():
        return read_open_pvsg(path, video, video_id), True
    document = _json(path)
    if not isinstance(document, dict):
        raise InputError(
            f"{path}: holds no annotations, but {_shown(document)}: give a "
            "scene_graph.json, a file of COCO instances, or a folder of OpenPVSG"
        )
    if "annotations" in document:
        return read_coco(path, document, video), True
    graph = read_scene_graph(path)
    for track in graph.objects:
        for frame, code in track.masks.items():
            _check_code(path, track.object_id, frame, code)
    return graph, False


def read_coco(path: Path, document: Mapping, video: VideoInfo) -> SceneGraph:
    """Return the graph of COCO instances, whose annotations have a `track_id`.

    Frames are those of `frame_index`, else the images in the natural order of their
    file names.
    A segmentation is an RLE, compressed or not, or polygons.
    """
    try:
        images = document["images"]
        if not all("frame_index" in image for image in images):
            images = sorted(images, key=lambda one: natural_order(one["file_name"]))
            images = [image | {"frame_index": t} for t, image in enumerate(images)]
        if not images:
            raise InputError(f"{path}: it has no images: export them with the masks")
        frame_of, sizes = {}, set()
        for image in images:
            what = f"{path}: image {image['id']}"
            frame_of[image["id"]] = _whole(image, "frame_index", what)
            sizes.add((_whole(image, "width", what), _whole(image, "height", what)))
        if len(sizes) != 1:
            raise InputError(f"{path}: its images have several sizes: give one video")
        width, height = sizes.pop()
        names = {c["id"]: str(c["name"]) for c in document["categories"]}
        declared: dict[str, list[str]] = {THING: [], STUFF: []}
        for c in document["categories"]:
            stuff = c.get("isthing", c.get("supercategory") != "stuff") in (0, False)
            declared[STUFF if stuff else THING].append(str(c["name"]))
        masks: dict[int, dict[int, Mapping]] = {}
        category: dict[int, str] = {}
        for row in document["annotations"]:
            what = f"{path}: annotation {row['id']}"
            if row.get("track_id") is None:
                raise InputError(
                    f"{what} has no track_id: give the annotations of one object one"
                )
            for key, known in (("image_id", frame_of), ("category_id", names)):
                if row[key] not in known:
                    raise InputError(f"{what}: there is no {key} {row[key]}: mend it")
            track = _whole(row, "track_id", what)
            frame = frame_of[row["image_id"]]
            if frame in masks.setdefault(track, {}):
                raise InputError(
                    f"{what}: object {track} has two masks on frame {frame}: join them"
                )
            name = names[row["category_id"]]
            if category.setdefault(track, name) != name:
                raise InputError(
                    f"{what}: object {track} is {category[track]!r} and {name!r}: give "
                    "it one category"
                )
            try:
                code = _segmentation(row["segmentation"], height, width)
            except _WRONG as error:
                raise InputError(
                    f"{path}: the mask of object {track} on frame {frame} is damaged "
                    f"({_told(error)}): give polygons or an RLE, as COCO's"
                ) from None
            masks[track][frame] = code
    except InputError:
        raise
    except _WRONG as error:
        raise InputError(
            f"{path}: not COCO instances ({_told(error)}): export them again"
        ) from None
    size, length = (width, height), len(images)
    return _graph(path, video, size, length, masks, category, (), declared)


def read_open_pvsg(
    folder: Path, video: VideoInfo, video_id: str | None = None
) -> SceneGraph:
    """Return the graph of a video of a folder in the layout of OpenPVSG.

    The video is `video_id`, else the one of the name of `video`, else the only one.
    """
    path = folder / PVSG
    document = _json(path)
    try:
        entries = {str(entry["video_id"]): entry for entry in document["data"]}
        stem, old = plain_stem(video.name), ascii_stem(video.name)
        if stem not in entries and old in entries and old != ascii_stem(""):
            stem = old
        if video_id is None and len(entries) == 1:
            video_id = next(iter(entries))
        name = stem if video_id is None else video_id
        if name not in entries:
            listed = ", ".join(sorted(entries)[:5])
            raise InputError(
                f"{path}: there is no video {name!r}, but {listed}: name it by video_id"
            )
        entry, meta = entries[name], entries[name]["meta"]
        relations = tuple(
            Relation(int(s), int(o), str(p), tuple(map(tuple, spans)), 1.0)
            for s, o, p, spans in entry["relations"]
        )
        category = {int(o["object_id"]): str(o["category"]) for o in entry["objects"]}
        size = int(meta["width"]), int(meta["height"])
        length = int(meta["num_frames"])
        listed = document.get("objects") or {}
        declared = {
            THING: list(map(str, listed.get(THING) or ())),
            STUFF: list(map(str, listed.get(STUFF) or ())),
            PREDICATE: list(map(str, document.get("relations") or ())),
        }
    except InputError:
        raise
    except _WRONG as error:
        raise InputError(
            f"{path}: not a pvsg.json ({_told(error)}): give one as OpenPVSG's"
        ) from None
    own = glob.escape(name)
    places = [*sorted(folder.glob(f"*/masks/{own}")), *folder.glob(f"masks/{own}")]
    if not places:
        raise InputError(f"{folder}: there are no masks/{name}: unpack the masks there")
    masks: dict[int, dict[int, Mapping]] = {}
    files = [x for x in places[0].glob("*.png") if x.stem.isdecimal()]
    for frame, file in sorted((int(x.stem), x) for x in files):
        pixels = _pixels(file, size)
        for i in np.unique(pixels[pixels > 0]).tolist():
            if i not in category:
                raise InputError(f"{file}: {path} has no object {i}: mend one of them")
            masks.setdefault(i, {})[frame] = encode_mask(pixels == i)
    # What is never in view has no mask to go on from.
    seen = {i: category[i] for i in masks}
    return _graph(path, video, size, length, masks, seen, relations, declared)


def _graph(
    path: Path,
    video: VideoInfo,
    size: tuple[int, int],
    length: int,
    masks: Mapping[int, Mapping[int, Mapping]],
    category: Mapping[int, str],
    relations: Iterable[Relation],
    declared: Mapping[str, list[str]],
) -> SceneGraph:
    times = video.times
    if length != len(times):
        times = tuple(t / (video.fps or 1.0) for t in range(length))
    objects = tuple(
        ObjectTrack(i, category.get(i, UNKNOWN), 1.0, None, dict(sorted(own.items())))
        for i, own in sorted(masks.items())
    )
    info = VideoInfo(video.name, *size, video.fps, times)
    made_by = {"imported": path.name, DECLARED: declared}
    return SceneGraph(info, objects, tuple(relations), made_by)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}): check the path"
        ) from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not JSON: give annotations, as exported") from None


def _segmentation(value: Any, height: int, width: int) -> dict:
    """Return a segmentation of COCO as a valid RLE with its counts as text."""
    if isinstance(value, list):
        return code_of_polygons(value, height, width)
    if isinstance(value["counts"], list):
        return code_of_counts(value["size"], value["counts"])
    code = {"size": list(value["size"]), "counts": value["counts"]}
    check_code(code)
    return code


def _check_code(path: Path, object_id: int, frame: int, code: Any) -> None:
    try:
        check_code(code)
    except _WRONG:
        raise InputError(
            f"{path}: the mask of object {object_id} on frame {frame} is damaged: "
            "export it again"
        ) from None


def _whole(row: Mapping, key: str, what: str) -> int:
    """Return a whole number of a row; InputError, with `what`, for anything else."""
    value = row[key]
    try:
        number = int(value)
        if isinstance(value, bool | list) or (number != value and value != str(number)):
            raise ValueError
    except (ArithmeticError, TypeError, ValueError):
        raise InputError(
            f"{what} has the {key} {_shown(value)}: give a whole number"
        ) from None
    return number


def _shown(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())


def _told(error: BaseException) -> str:
    """Return what an error of a file's values says, in words."""
    if isinstance(error, KeyError):
        return f"there is no {error}"
    if isinstance(error, TypeError | AttributeError):
        return "a value is of the wrong kind"
    return " ".join(str(error).split()) or type(error).__name__


def _pixels(file: Path, size: tuple[int, int]) -> np.ndarray:
    """Return the ids of a mask of OpenPVSG, [H, W]."""
    try:
        with Image.open(file) as picture:
            if picture.size != size:
                raise InputError(f"{file}: is not {size[0]}x{size[1]}: give its masks")
            pixels = np.asarray(picture)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        raise InputError(f"{file}: is no picture: export the masks again") from None
    if pixels.ndim != 2:
        raise InputError(f"{file}: has colours, not ids: give the masks of OpenPVSG")
    return pixels
