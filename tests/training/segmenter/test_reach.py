"""The segmenter learns: every trained parameter has a gradient and moves, and the loss
of one clip falls.

No single step reaches all parameters: each kind of prompt has its own embeddings, only
the best candidate mask learns, and only corrections give a mask to the prompt encoder.
So there are two runs: on a clip with points, boxes and masks, and on an image with
points, boxes and corrections.
"""

import dataclasses

import jax
import numpy as np
import pytest

from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.training import sharding
from c2g_jax.training import state as states
from c2g_jax.training.optim import Group, OptimConfig
from c2g_jax.training.segmenter.loss import SegmentLoss
from c2g_jax.training.segmenter.recipe import Recipe
from c2g_jax.training.segmenter.task import SegmenterTask
from tests.training.segmenter.toy_segmenter import small_sam2, two_squares


@dataclasses.dataclass
class Trained:
    """The result of some steps: all arrays of the last state by name."""

    parts: states.SplitParams
    state: dict[str, np.ndarray]
    metrics: list[dict[str, float]]  # of each step

    @property
    def reached(self) -> set[str]:
        """Parameters that had a gradient: their first moments are not 0."""
        moments = {
            name.partition("/mu/")[2]: value
            for name, value in self.state.items()
            if "/mu/" in name
        }
        assert moments.keys() == self.parts.trained.keys()
        return {name for name, value in moments.items() if value.any()}

    @property
    def moved(self) -> set[str]:
        start = self.parts.trained
        return {n for n in start if np.any(start[n] != self.state[f"params/{n}"])}


def learn(model, batch, steps: int, **recipe) -> Trained:
    """Train as a run does, without weight decay, which would move every parameter."""
    loss = SegmentLoss(focal=4.0, mask_size=32, features=0.01)
    task = SegmenterTask(model, Recipe(loss, reverse=0.0, **recipe))
    parts, mesh = states.split_params(task), sharding.data_mesh(jax.devices()[:1])
    groups = {"all": Group(".*", 2e-3, "cosine")}
    optim = OptimConfig(steps, groups, weight_decay=0.0, clip_norm=1.0)
    state = states.first_state(optim, parts, mesh)
    step = states.make_train_step(task, optim, parts, mesh, 0)
    batch = sharding.put_batch(mesh, batch)
    metrics = []
    for _ in range(steps):
        state, terms = step(state, parts.frozen, batch)
        metrics.append({name: float(value) for name, value in terms.items()})
    return Trained(parts, states.to_host(state), metrics)


@pytest.fixture(scope="module")
def model():
    """A model that predicts absence at first, so that memories encode it too."""
    model = small_sam2()
    score = model.sam_mask_decoder.pred_obj_score_head.layers[-1]
    score.bias[...] -= 1.0
    return model


@pytest.fixture(scope="module")
def clip_run(model) -> Trained:
    return learn(model, two_squares(), 250, mask_prompts=0.3, corrections=0)


@pytest.fixture(scope="module")
def image_run(model) -> Trained:
    batch = two_squares()
    whole = ("objects", "categories")
    image = {k: v if k in whole else v[:, :1] for k, v in batch.items()}
    image["holds"] = batch["holds"][..., :1, :]
    return learn(model, image, 20, corrections=1)


def test_every_trained_parameter_has_a_gradient_and_moves(clip_run, image_run):
    trained = set(clip_run.parts.trained)
    for run in (clip_run, image_run):
        assert run.moved <= run.reached
    assert trained - (clip_run.reached | image_run.reached) == set()
    assert trained - (clip_run.moved | image_run.moved) == set()
    # An image has no memory: what it moves lies elsewhere.
    assert not {n for n in image_run.moved if n.startswith("memory_")}


def test_frozen_parameters_stay(model, clip_run):
    parts = clip_run.parts
    fixed = ("gaussian_matrix", "no_mem_pos_enc")
    assert all(name.endswith(fixed) for name in parts.frozen)
    assert not [k for k in clip_run.state if any(n in k for n in parts.frozen)]
    whole = parts.whole({n: clip_run.state[f"params/{n}"] for n in parts.trained})
    start, end = parameters(model), parameters(whole)
    for name in parts.frozen:
        assert np.array_equal(start[name], end[name]), name


def test_the_loss_of_one_clip_falls(clip_run):
    losses = [metrics["loss"] for metrics in clip_run.metrics]
    # So small a model still misses an object here and there, which costs a step all
    # it gained: the median says what it has learned, the mean how rarely it misses.
    assert np.median(losses[-30:]) < losses[0] / 8, losses[::10]
    last = clip_run.metrics[-30:]
    assert np.mean([metrics["first_iou"] for metrics in last]) > 0.7
    assert np.mean([metrics["tracked_iou"] for metrics in last]) > 0.7
