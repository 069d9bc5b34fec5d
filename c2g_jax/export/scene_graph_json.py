"""Writing and reading of `scene_graph.json`; its schema is `scene_graph.schema.json`.

Relations have the form of OpenPVSG's pvsg.json, [subject_id, object_id, predicate,
spans], with spans of inclusive zero-based sampled frames. Their scores and seconds are
parallel lists.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from c2g_jax.export.names import unicode_text
from c2g_jax.media.outputs import write_text
from c2g_jax.types import (
    InputError,
    ObjectTrack,
    Relation,
    SceneGraph,
    SubjectFrame,
    Triplet,
    VideoInfo,
)

SCHEMA_VERSION = 1
BY_USER = "user"  # `prompted_by` of objects that the user prompted


def write_scene_graph(path: str | Path, graph: SceneGraph) -> None:
    """Write the graph as JSON, one top-level key per line; replaced atomically."""
    document = graph_to_json(graph)
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
        for key, value in document.items()
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_text(path, text)


def read_scene_graph(path: str | Path) -> SceneGraph:
    """Read a file that `write_scene_graph` wrote; InputError if it is not valid."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path}: no such scene graph: check the path") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not JSON: write it again with predict") from None
    if not isinstance(document, dict):
        raise InputError(
            f"{path}: a list or a value, not a scene graph: give a scene_graph.json"
        )
    version = document.get("schema_version")
    if version is None:
        raise InputError(
            f"{path}: no schema_version, so it is no scene graph: give a "
            "scene_graph.json, as predict writes it"
        )
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema version {version}, but this reads {SCHEMA_VERSION}: "
            "write it again with predict"
        )
    try:
        _check_parts(document)
        return graph_from_json(document)
    except KeyError as error:
        said = f"there is no {error}"
    except InputError as error:
        said = str(error)
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        said = "a value is of the wrong kind"
    raise InputError(
        f"{path}: not a complete scene graph: {said}: mend it there, or write it again "
        "with predict"
    )


def _check_parts(document: Mapping) -> None:
    """Raise InputError where a relation is incomplete, or a part is of another kind."""
    for key, kind, name in (
        ("video", dict, "an object"),
        ("objects", list, "a list"),
        ("relations", list, "a list"),
        ("relation_scores", list, "a list"),
        ("provenance", dict, "an object"),
    ):
        if not isinstance(document[key], kind):
            raise InputError(f'"{key}" is not {name}')
    count, times = document["video"]["num_frames"], document["video"]["times"]
    if count != len(times):
        raise InputError(
            f'"num_frames" is {count}, but there are {len(times)} "times", one a frame'
        )
    counts = len(document["relations"]), len(document["relation_scores"])
    if counts[0] != counts[1]:
        raise InputError(
            f'it has {counts[0]} "relations", but {counts[1]} "relation_scores", where '
            "each relation has one"
        )
    for number, track in enumerate(document["objects"]):
        if type(track["object_id"]) is not int or not isinstance(
            track["category"], str
        ):
            raise InputError(
                f'number {number} of "objects" has no whole number as object_id, or no '
                "text as category"
            )
    for number, relation in enumerate(document["relations"]):
        kinds = [type(x) for x in relation] if isinstance(relation, list) else ()
        if kinds != [int, int, str, list]:
            raise InputError(
                f'number {number} of "relations" is not [subject, object, predicate, '
                "spans]"
            )


def graph_to_json(graph: SceneGraph) -> dict:
    """Return the graph as JSON values in the form of the schema."""
    video, times = graph.video, graph.video.times
    document = {
        "schema_version": SCHEMA_VERSION,
        "video": {
            "name": unicode_text(video.name),
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "num_frames": video.num_frames,
            "times": list(times),
        },
        "objects": [
            {
                "object_id": track.object_id,
                "category": track.category,
                "score": track.score,
                "prompted_by": BY_USER
                if track.prompted_by is None
                else track.prompted_by,
                "masks": {str(t): dict(mask) for t, mask in track.masks.items()},
            }
            for track in graph.objects
        ],
        "relations": [
            [r.subject_id, r.object_id, r.predicate, [list(span) for span in r.spans]]
            for r in graph.relations
        ],
        "relation_scores": [r.score for r in graph.relations],
        "relation_seconds": [
            [[times[first], times[last]] for first, last in r.spans]
            for r in graph.relations
        ],
        "provenance": unicode_text(dict(graph.provenance)),
    }
    if graph.frames:
        document["frames"] = [_subject_to_json(subject) for subject in graph.frames]
    if graph.run:
        document["run"] = dict(graph.run)
    return document


def graph_from_json(document: dict) -> SceneGraph:
    """Build the graph from a document of the schema; KeyError and others if invalid."""
    video = document["video"]
    return SceneGraph(
        video=VideoInfo(
            video["name"],
            video["width"],
            video["height"],
            video["fps"],
            tuple(video["times"]),
        ),
        objects=tuple(
            ObjectTrack(
                entry["object_id"],
                entry["category"],
                entry["score"],
                None if entry["prompted_by"] == BY_USER else entry["prompted_by"],
                {int(t): mask for t, mask in entry["masks"].items()},
            )
            for entry in document["objects"]
        ),
        relations=tuple(
            Relation(subject, object_, predicate, tuple(map(tuple, spans)), score)
            for (subject, object_, predicate, spans), score in zip(
                document["relations"], document["relation_scores"], strict=True
            )
        ),
        provenance=document["provenance"],
        frames=tuple(map(_subject_from_json, document.get("frames", ()))),
        run=document.get("run", {}),
    )


def _subject_to_json(subject):
    return {
        "t": subject.frame,
        "subject": subject.subject_id,
        "points": np.round(subject.points.astype(float), 2).tolist(),
        "predictions": [
            {
                "object": triplet.object_id,
                "subject_category": triplet.subject_category,
                "object_category": triplet.object_category,
                "predicate": triplet.predicate,
                "confidence": triplet.confidence,
            }
            for triplet in subject.triplets
        ],
    }


def _subject_from_json(entry):
    return SubjectFrame(
        entry["t"],
        entry["subject"],
        np.array(entry["points"], np.float32).reshape(-1, 2),
        tuple(
            Triplet(
                guess["object"],
                guess["subject_category"],
                guess["object_category"],
                guess["predicate"],
                guess["confidence"],
            )
            for guess in entry["predictions"]
        ),
    )
