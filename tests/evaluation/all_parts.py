"""Scores of all systems with some kinds of prompt, by a scripted model."""

from unittest import mock

import numpy as np

from c2g_jax.evaluation import runner
from c2g_jax.evaluation.protocol import Protocol
from tests.scripted import model

HEAT = np.ones((8, 8))
ALL = {
    ("didm", "point"): 2,
    ("didm", "box"): 1,
    ("didm", "mask"): 1,
    ("heuristic", "point"): 1,
    ("oracle", "point"): 1,
}


def score(dataset, protocol=None, plan=ALL, videos=None, **options):
    protocol = protocol or Protocol()
    videos = dataset.videos("val") if videos is None else videos
    with mock.patch.object(runner, "heat_map", return_value=HEAT):
        return list(
            runner.score_model(model(), dataset, videos, protocol, plan, **options)
        )
