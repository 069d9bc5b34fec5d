"""Shorthands for a video predictor: click on an object, and propagate."""

import numpy as np

POINT = np.float32([[25, 45]])  # on the square of `frames`


def click(predictor, state, frame=0, obj_id=1, points=POINT, label=1):
    return predictor.add_new_points_or_box(
        state,
        frame_idx=frame,
        obj_id=obj_id,
        points=points,
        labels=[label] * len(points),
    )


def follow(predictor, state, **options):
    """Propagate; return the results by frame."""
    results = predictor.propagate_in_video(state, **options)
    return {result.frame_idx: result for result in results}
