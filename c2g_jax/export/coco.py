"""A scene graph as COCO instances: one image per frame, one annotation per mask."""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from pycocotools import mask as coco

from c2g_jax.export.names import plain_stem, unicode_text
from c2g_jax.media.outputs import file_named, output_folder, write_text
from c2g_jax.media.rle import coco_code
from c2g_jax.types import Frame, InputError, SceneGraph
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

_QUALITY = 95  # of JPEGs
_WRITTEN = "frames_written"  # in a document's info: its export wrote its images too


def write_coco(
    path: str | Path,
    graph: SceneGraph,
    vocabulary: Vocabulary | None = None,
    frames: Iterable[Frame] | None = None,
) -> None:
    """Write the masks as COCO instances, as RLE; the file is replaced atomically.

    In addition to COCO's fields, annotations have `track_id` (the object's id) and
    `score`, and images have `frame_index` and `time` in seconds. Images are named
    VIDEO/%06d.jpg by frame index; with `frames`, those of the graph in order, they are
    written to that folder beside the file, and `info` has `frames_written`; InputError
    if that folder is there already, unless an earlier export of the same file wrote all
    that is in it. vocabulary: numbers the categories, default OpenPVSG's.
    """
    path = file_named(path)
    document = coco_document(graph, vocabulary)
    names = {image["file_name"] for image in document["images"]}
    if frames is not None or names == _written_with(path):
        document["info"][_WRITTEN] = True
    if frames is not None:
        folder = frames_folder(path, graph)
        owned = _written_before(folder, path)
        with output_folder(folder, owned) as to:
            for frame in frames:
                picture = Image.fromarray(frame.rgb)
                picture.save(to / _image_name(frame.index), quality=_QUALITY)
    write_text(path, json.dumps(document, allow_nan=False))


def frames_folder(path: str | Path, graph: SceneGraph) -> Path:
    """Return the folder, beside the file, that the images of a document are named in.

    It is the video's name: a video that is itself a folder may lie there.
    """
    return Path(path).absolute().parent / plain_stem(graph.video.name)


def _written_before(folder: Path, path: Path) -> list[str]:
    """Return the names of the files in the folder, which the document at `path` lists.

    InputError if the folder holds anything that an earlier export of the document did
    not write there.
    """
    if not os.path.lexists(folder):
        return []
    found = set(os.listdir(folder)) if folder.is_dir() else {""}
    listed = _written_with(path)
    foreign = {name for name in found if f"{folder.name}/{name}" not in listed}
    if foreign:
        raise InputError(
            f"{folder} is there already, and no earlier export to {path.name} wrote "
            f"it: move it away, or write {path.name} to another folder"
        )
    return sorted(found)


def _written_with(path: Path) -> set[str]:
    """Return the names of the images that an earlier export wrote with a document."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["info"][_WRITTEN] is True:
            return {str(image["file_name"]) for image in document["images"]}
    return set()


def coco_document(graph: SceneGraph, vocabulary: Vocabulary | None = None) -> dict:
    """Return the document; categories are the vocabulary's, then other names in use."""
    vocabulary = vocabulary or load_vocabulary()
    used = sorted({track.category for track in graph.objects})
    names = [*vocabulary.objects, *(n for n in used if n not in vocabulary.objects)]
    number = {name: i + 1 for i, name in enumerate(names)}
    annotations = []
    for track in graph.objects:
        for frame, code in track.masks.items():
            packed = coco_code(code)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": frame + 1,
                    "category_id": number[track.category],
                    "segmentation": dict(code),
                    "area": int(coco.area(packed)),
                    "bbox": coco.toBbox(packed).tolist(),
                    "iscrowd": 0,
                    "track_id": track.object_id,
                    "score": track.score,
                }
            )
    things, folder = set(vocabulary.things), plain_stem(graph.video.name)
    return {
        "info": {"description": unicode_text(graph.video.name), "version": "1.0"},
        "images": [
            {
                "id": t + 1,
                "file_name": f"{folder}/{_image_name(t)}",
                "width": graph.video.width,
                "height": graph.video.height,
                "frame_index": t,
                "time": time,
            }
            for t, time in enumerate(graph.video.times)
        ],
        "categories": [
            {
                "id": i,
                "name": name,
                "supercategory": "thing" if name in things else "stuff",
                "isthing": int(name in things),
            }
            for name, i in number.items()
        ],
        "annotations": annotations,
    }


def _image_name(frame: int) -> str:
    return f"{frame:06d}.jpg"
