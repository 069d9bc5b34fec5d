"""Columns of the prepared set, as TFDS features."""

from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds


def chunk_features() -> tfds.features.FeaturesDict:
    """Return the columns of the frame configs: encoded images of up to 8 frames."""
    f = tfds.features
    return f.FeaturesDict(
        {
            "video_id": f.Text(),
            "source": f.Text(),
            "start": f.Scalar(np.int32),
            "frames": f.Sequence(
                f.Image(shape=(None, None, 3), encoding_format="jpeg")
            ),
            "masks": f.Sequence(
                f.Image(shape=(None, None, 1), encoding_format="png", use_colormap=True)
            ),
        }
    )


def video_features(
    objects: Sequence[str] | None = None, predicates: Sequence[str] | None = None
) -> tfds.features.FeaturesDict:
    """Return the columns of the config `videos`; label names are from pvsg.json."""
    f = tfds.features
    number = f.Scalar(np.int32)
    return f.FeaturesDict(
        {
            "video_id": f.Text(),
            "source": f.Text(),
            "height": number,
            "width": number,
            "num_frames": number,
            "fps": f.Scalar(np.float32),
            "summary": f.Text(),
            "objects": f.Sequence(
                {
                    "object_id": number,
                    "category": f.ClassLabel(names=objects),
                    "is_thing": f.Scalar(np.bool_),
                }
            ),
            "visible": f.Sequence(
                {"object_id": number, "start": number, "end": number}
            ),
            "relations": f.Sequence(
                {
                    "subject_id": number,
                    "object_id": number,
                    "predicate": f.ClassLabel(names=predicates),
                    "start": number,
                    "end": number,
                }
            ),
            "captions": f.Sequence({"time": f.Text(), "description": f.Text()}),
            "questions": f.Sequence(
                {"time": f.Text(), "question": f.Text(), "answer": f.Text()}
            ),
            "status": f.Sequence(
                {"object_id": number, "name": f.Text(), "start": number, "end": number}
            ),
        }
    )
