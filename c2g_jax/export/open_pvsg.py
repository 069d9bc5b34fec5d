"""A scene graph as a folder in the layout of OpenPVSG.

FOLDER/pvsg.json; FOLDER/SOURCE/masks/VIDEO/0000.png, whose pixels are object ids, 0 for
background; FOLDER/SOURCE/videos/VIDEO.mp4.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from c2g_jax.export.names import plain_stem
from c2g_jax.export.overlay import object_color
from c2g_jax.media.outputs import output_folder
from c2g_jax.media.rle import decode_mask
from c2g_jax.media.video import write_mp4
from c2g_jax.tracking.scene_graph import UNKNOWN
from c2g_jax.types import Frame, InputError, ObjectTrack, SceneGraph
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

SOURCE = "click2graph"
_MAX_OBJECTS = 255  # ids in the 8-bit pixels of a mask


def write_open_pvsg(
    folder: str | Path,
    graph: SceneGraph,
    frames: Iterable[Frame],
    split: str = "val",
    vocabulary: Vocabulary | None = None,
) -> None:
    """Write the folder atomically; `frames` are those of the graph, in order.

    Objects are numbered from 1 in the order of their ids. OpenPVSG requires a category
    for every object and at most one object per pixel: objects without a category are
    left out, and where masks overlap the smaller one wins. vocabulary: the names that
    the graph may use, default OpenPVSG's; InputError if it uses another.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already: name a new folder")
    vocabulary = vocabulary or load_vocabulary()
    tracks = [t for t in graph.objects if t.category != UNKNOWN]
    _check_names("object", (t.category for t in tracks), vocabulary.objects)
    predicates = (r.predicate for r in graph.relations)
    _check_names("predicate", predicates, vocabulary.predicates)
    if len(tracks) > _MAX_OBJECTS:
        raise InputError(
            f"{len(tracks)} objects are too many: OpenPVSG's masks hold "
            f"{_MAX_OBJECTS}: remove some"
        )
    number = {track.object_id: k + 1 for k, track in enumerate(tracks)}
    video_id = _video_id(graph.video.name)
    document = _document(graph, number, video_id, split, vocabulary)
    with output_folder(folder) as temporary:
        masks = temporary / SOURCE / "masks" / video_id
        videos = temporary / SOURCE / "videos"
        masks.mkdir(parents=True)
        videos.mkdir(parents=True)
        palette = [0, 0, 0]
        palette += [c for i in range(1, _MAX_OBJECTS + 1) for c in object_color(i)]
        for t in range(graph.video.num_frames):
            picture = Image.fromarray(_segments(graph, tracks, number, t))
            picture.putpalette(palette)
            picture.save(masks / f"{t:04d}.png")
        write_mp4(videos / f"{video_id}.mp4", frames, graph.video.fps)
        text = json.dumps(document, allow_nan=False)
        (temporary / "pvsg.json").write_text(text, encoding="utf-8")


def _check_names(kind: str, used: Iterable[str], known: Iterable[str]) -> None:
    """Raise InputError if a used name is not among the known ones."""
    unknown = sorted(set(used) - set(known))
    if unknown:
        raise InputError(
            f"the {kind} {unknown[0]!r} is not in the vocabulary: give the vocabulary "
            "of the model that named it"
        )


def _document(
    graph: SceneGraph,
    number: dict[int, int],
    video_id: str,
    split: str,
    vocabulary: Vocabulary,
) -> dict:
    video = graph.video
    fps = float(video.fps or 1.0)
    entry = {
        "video_id": video_id,
        "meta": {
            "height": video.height,
            "width": video.width,
            "fps": fps,
            "duration": video.num_frames / fps,
            "num_frames": video.num_frames,
        },
        "objects": [
            {
                "object_id": number[track.object_id],
                "category": track.category,
                "is_thing": track.category in vocabulary.things,
                "status": [],
            }
            for track in graph.objects
            if track.object_id in number
        ],
        "relations": [
            [
                number[r.subject_id],
                number[r.object_id],
                r.predicate,
                [list(span) for span in r.spans],
            ]
            for r in graph.relations
            if r.subject_id in number and r.object_id in number
        ],
        "captions": [],
        "qa_pairs": [],
        "summary": "",
    }
    other = "train" if split == "val" else "val"
    return {
        "objects": {
            "thing": list(vocabulary.things),
            "stuff": list(vocabulary.stuff),
        },
        "relations": list(vocabulary.predicates),
        "split": {SOURCE: {split: [video_id], other: []}},
        "data": [entry],
    }


def _segments(
    graph: SceneGraph, tracks: list[ObjectTrack], number: dict[int, int], frame: int
) -> np.ndarray:
    """Return uint8 [H, W]: the object's number at each pixel, 0 for background."""
    segments = np.zeros((graph.video.height, graph.video.width), np.uint8)
    masks = {
        number[track.object_id]: decode_mask(track.masks[frame])
        for track in tracks
        if frame in track.masks
    }
    for i in sorted(masks, key=lambda i: -np.count_nonzero(masks[i])):
        segments[masks[i]] = i
    return segments


def _video_id(name: str) -> str:
    """Return the video's name as a file name."""
    name = plain_stem(name)
    # Readers of OpenPVSG skip folders named "frames", which hold decoded videos.
    return "video" if name == "frames" else name
