"""The masks and triplets of a frame, for the scene graph."""

from collections.abc import Iterator, Sequence

import numpy as np

from c2g_jax.click2graph.model import Click2Graph, Scene
from c2g_jax.click2graph.sch import Sch, pair_confidences
from c2g_jax.tracking.object_tracks import find_id
from c2g_jax.tracking.state import FrameOutput, NativeMasks
from c2g_jax.types import FrameResult, SubjectFrame, Triplet


def frame_result(
    model: Click2Graph, output: FrameOutput, every_predicate: bool = False
) -> FrameResult:
    """Return the masks and triplets of a frame, under the ids after all merges.

    A pair has its best triplet, with `every_predicate` one for each predicate.
    """
    pending, after, scene = output.pending, output.after, output.scene
    frame, vocabulary = pending.state.frame, model.config.vocabulary
    if scene is None:
        return FrameResult(frame, {}, (), {})
    row_of, subject_of = output.row_of, output.subject_of
    logits, prompted_by = {}, {}
    prompted = [subject.object_id for subject in after.subjects]
    # Subjects first: of merged objects, the prompted one's mask is returned.
    for object_id in (*prompted, *sorted(subject_of)):
        row, shown = row_of[object_id], find_id(object_id, after.shared)
        if scene.area[row] > 0 and shown not in logits:
            logits[shown] = scene.rows.mask_logits[row]
            # The track that it was merged into may be closed by now.
            subject_id = subject_of.get(shown, subject_of.get(object_id))
            prompted_by[shown] = None if shown in prompted else subject_id

    def triplets(subject_id: int, object_ids: list[int]) -> Iterator[Triplet]:
        best, rows = scene.triplets, [row_of[i] for i in object_ids]
        predicates = best.predicate[rows][:, None]
        confidence = best.confidence[rows][:, None]
        if every_predicate and rows:
            confidence = scene_confidences(model.sch, scene, row_of[subject_id], rows)
            predicates = np.broadcast_to(
                np.arange(confidence.shape[1]), confidence.shape
            )
        for k, row in enumerate(rows):
            shown = find_id(object_ids[k], after.shared)
            names = (
                vocabulary.objects[best.subject[row]],
                vocabulary.objects[best.object[row]],
            )
            for p, score in zip(predicates[k], confidence[k], strict=True):
                yield Triplet(shown, *names, vocabulary.predicates[p], float(score))

    def in_view(object_id: int | None) -> bool:
        return object_id in row_of and scene.area[row_of[object_id]] > 0

    subjects = []
    for i, subject in enumerate(after.subjects):
        points, linked = np.zeros((0, 2), np.float32), ()
        if in_view(subject.object_id):
            seen = [m for m in subject.linked if in_view(m)]
            linked = tuple(triplets(subject.object_id, seen))
            if i in pending.due:
                points = scene.points[i] * np.float32([after.width, after.height])
        subjects.append(SubjectFrame(frame, subject.object_id, points, linked))
    masks = NativeMasks(logits, after.height, after.width)
    return FrameResult(
        frame, masks, tuple(subjects), prompted_by, output.merged, output.dropped
    )


def scene_confidences(
    sch: Sch, scene: Scene, subject: int, rows: Sequence[int]
) -> np.ndarray:
    """Return float [k, p], p_s * p_o * p_r of each predicate for k rows of a scene.

    `subject` is the row of their subject. The arrays of the scene are on the host.
    """
    # Padded to a multiple of 4, so that few shapes are compiled.
    padded = [*rows, *[subject] * (-len(rows) % 4)]
    subjects = [subject] * len(padded)
    read = scene.pooled, scene.rows.obj_ptr, scene.moments
    pairs = (x[which] for x in read for which in (subjects, padded))
    return np.asarray(pair_confidences(sch, *pairs), float)[: len(rows)]
