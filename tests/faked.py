"""predict in this process, with a fake model of known output."""

from collections.abc import Iterator

import numpy as np

from c2g_jax.predict import __main__ as predict
from c2g_jax.types import FrameResult, SubjectFrame, Triplet
from tests.commands import run_here


def fake_tracker(job):
    """Fake tracker: the subject is the left half of each frame, and holds the right."""

    def track(frames) -> Iterator[FrameResult]:
        (prompt, *_) = job.prompts
        for frame in frames:
            left = np.zeros(frame.rgb.shape[:2], bool)
            left[:, : max(1, frame.width // 2)] = True
            triplets = (Triplet(9, "adult", "cup", "holding", 0.5),)
            prediction = SubjectFrame(
                frame.index, prompt.object_id, np.float32([[0, 0]]), triplets
            )
            masks = {prompt.object_id: left, 9: ~left}
            prompted_by = {prompt.object_id: None, 9: prompt.object_id}
            yield FrameResult(frame.index, masks, (prediction,), prompted_by)

    return track


def failing_tracker(error):
    """Like `fake_tracker`, but raises the error after the first frame."""

    def make(job):
        def track(frames) -> Iterator[FrameResult]:
            yield from fake_tracker(job)([next(frames)])
            raise error

        return track

    return make


def run_predict(monkeypatch, capsys, *words) -> tuple[int, str, str]:
    """Run predict; returns exit code, stdout and stderr."""
    return run_here(predict.run, monkeypatch, capsys, "predict", *words)
