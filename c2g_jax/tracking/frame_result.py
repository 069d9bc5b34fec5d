"""The masks and triplets of a frame, for the scene graph."""

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.tracking.object_tracks import find_id
from c2g_jax.tracking.state import FrameOutput, NativeMasks
from c2g_jax.types import FrameResult, SubjectFrame, Triplet


def frame_result(model: Click2Graph, output: FrameOutput) -> FrameResult:
    """Return the masks and triplets of a frame, under the ids after all merges."""
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

    def triplet(object_id: int) -> Triplet:
        row, best = row_of[object_id], scene.triplets
        return Triplet(
            find_id(object_id, after.shared),
            vocabulary.objects[best.subject[row]],
            vocabulary.objects[best.object[row]],
            vocabulary.predicates[best.predicate[row]],
            float(best.confidence[row]),
        )

    def in_view(object_id: int | None) -> bool:
        return object_id in row_of and scene.area[row_of[object_id]] > 0

    subjects = []
    for i, subject in enumerate(after.subjects):
        points, linked = np.zeros((0, 2), np.float32), ()
        if in_view(subject.object_id):
            linked = tuple(triplet(m) for m in subject.linked if in_view(m))
            if i in pending.due:
                points = scene.points[i] * np.float32([after.width, after.height])
        subjects.append(SubjectFrame(frame, subject.object_id, points, linked))
    masks = NativeMasks(logits, after.height, after.width)
    return FrameResult(
        frame, masks, tuple(subjects), prompted_by, output.merged, output.dropped
    )
