"""Predict in this process, with a model that knows its answer."""

from collections.abc import Iterator

import numpy as np

from c2g_jax.predict import __main__ as predict
from c2g_jax.types import FrameResult, SubjectFrame, Triplet
from tests.commands import run_here


def fake_tracker(job):
    """The subject is the left half of every frame, and holds the right one."""

    def track(frames) -> Iterator[FrameResult]:
        (prompt, *_) = job.prompts
        for frame in frames:
            left = np.zeros(frame.rgb.shape[:2], bool)
            left[:, : max(1, frame.width // 2)] = True
            triplets = (Triplet(9, "adult", "cup", "holding", 0.5),)
            said = SubjectFrame(
                frame.index, prompt.object_id, np.float32([[0, 0]]), triplets
            )
            masks = {prompt.object_id: left, 9: ~left}
            led = {prompt.object_id: None, 9: prompt.object_id}
            yield FrameResult(frame.index, masks, (said,), led)

    return track


def failing_tracker(error):
    """As `fake_tracker`, but the error comes after the first frame."""

    def make(job):
        def track(frames) -> Iterator[FrameResult]:
            yield from fake_tracker(job)([next(frames)])
            raise error

        return track

    return make


def run_predict(monkeypatch, capsys, *words) -> tuple[int, str, str]:
    """Exit code, out and err. The model is the fake one where a test sets no other."""
    return run_here(predict.run, monkeypatch, capsys, "predict", *words)
