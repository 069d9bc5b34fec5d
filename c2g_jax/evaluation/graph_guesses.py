"""What a graph says of one of its subjects, as the metrics want it."""

from collections.abc import Mapping

import numpy as np

from c2g_jax.evaluation.claims import Names
from c2g_jax.evaluation.metrics import FrameGuess
from c2g_jax.evaluation.overlaps import CodedFrame, columns_of, ious
from c2g_jax.evaluation.protocol import Protocol, SubjectTruth
from c2g_jax.types import SceneGraph, SubjectFrame


def graph_guesses(
    graph: SceneGraph,
    subject_id: int,
    truth: SubjectTruth,
    coded: Mapping[int, CodedFrame],
    names: Names,
    protocol: Protocol,
) -> list[FrameGuess]:
    """The guesses for a subject, by its id in the graph, on every frame that has any.

    Overlaps are computed on the frames of `truth`; guesses for others may vote.
    """
    masks = {o.object_id: o.masks for o in graph.objects}
    wanted = set(truth.frames.tolist())
    return [
        _guess(entry, masks, truth, coded[entry.frame], names, protocol)
        if entry.frame in wanted
        else _word(entry, truth, names)
        for entry in graph.frames
        if entry.subject_id == subject_id
    ]


def _word(entry: SubjectFrame, truth: SubjectTruth, names: Names) -> FrameGuess:
    """What is said, without a look at the masks."""
    said = entry.triplets
    labels = [
        (
            names.object(x.subject_category),
            names.object(x.object_category),
            names.predicate(x.predicate),
        )
        for x in said
    ]
    return FrameGuess(
        entry.frame,
        0.0,
        np.array([x.object_id for x in said], int),
        np.array(labels, int).reshape(-1, 3),
        np.array([x.confidence for x in said], float),
        np.zeros((len(said), len(truth.objects))),
        np.zeros(0, int),
    )


def _guess(
    entry: SubjectFrame,
    masks: Mapping[int, Mapping[int, Mapping]],
    truth: SubjectTruth,
    coded: CodedFrame,
    names: Names,
    protocol: Protocol,
) -> FrameGuess:
    t, true = entry.frame, coded.masks
    ours = [masks.get(x.object_id, {}).get(t) for x in entry.triplets]
    subject = masks.get(entry.subject_id, {}).get(t)
    return _word(entry, truth, names)._replace(
        subject_iou=float(ious([subject], [true.get(truth.subject_id)])[0, 0]),
        iou=ious(ours, [true.get(int(i)) for i in truth.objects]),
        points=columns_of(coded.ids_under(entry.points), truth.objects),
        peer_iou=ious(ours, ours) if protocol.mask_nms else None,
    )
