"""A scene graph as COCO instances: one image per frame, one annotation per mask."""

import json
from pathlib import Path

from pycocotools import mask as coco

from c2g_jax.media.outputs import write_text
from c2g_jax.media.rle import coco_code
from c2g_jax.types import SceneGraph
from c2g_jax.vocabulary import Vocabulary, load_vocabulary


def write_coco(
    path: str | Path, graph: SceneGraph, vocabulary: Vocabulary | None = None
) -> None:
    """Write the masks as COCO instances, as RLE; the file is replaced atomically.

    In addition to COCO's fields, annotations have `track_id` (the object's id) and
    `score`, and images have `frame_index` and `time` in seconds. File names are
    %06d.jpg by frame index. vocabulary: numbers the categories, default OpenPVSG's.
    """
    text = json.dumps(coco_document(graph, vocabulary), allow_nan=False)
    write_text(path, text)


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
    things = set(vocabulary.things)
    return {
        "info": {"description": graph.video.name, "version": "1.0"},
        "images": [
            {
                "id": t + 1,
                "file_name": f"{t:06d}.jpg",
                "width": graph.video.width,
                "height": graph.video.height,
                "frame_index": t,
                "time": time,
            }
            for t, time in enumerate(graph.video.times)
        ],
        "categories": [
            {"id": i, "name": name, "isthing": int(name in things)}
            for name, i in number.items()
        ],
        "annotations": annotations,
    }
