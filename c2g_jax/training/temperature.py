"""Temperatures of SCH's logits, so that confidences are as often right as they say.

Temperature scaling (arXiv 1706.04599): the logits of subject, object and predicate are
divided by a number each, that with the least cross entropy on clips that were not
trained on. It does not change which class is the most likely.
"""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from c2g_jax.click2graph.clip import follow_clip, predict_clip
from c2g_jax.click2graph.loss import (
    RelationLoss,
    class_terms,
    subject_terms,
    visible_subjects,
)
from c2g_jax.click2graph.matching import assign
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.targets import clip_targets

# Candidates; 1, which changes nothing, is one of them.
TEMPERATURES = tuple(round(float(t), 3) for t in 2.0 ** np.arange(-2, 2.51, 0.25))
# Every query counts alike, and a pair with several predicates has a share of each. A
# query that misses its object has found none, whatever its training taught (`hit_iou`).
_LOSS = RelationLoss(soft_predicates=True, hit_iou=0.1)


def best_temperatures(
    model: Click2Graph, batches: Iterable[Mapping[str, np.ndarray]]
) -> tuple[float, float, float]:
    """Return the best of `TEMPERATURES` for subject, object and predicate.

    `model` must have none yet. `batches` are of the loader's task "relations".
    """
    errors = [
        np.asarray(_errors(model, {name: value[i] for name, value in batch.items()}))
        for batch in batches
        for i in range(len(batch["frames"]))
    ]
    best = np.argmin(np.mean(errors, axis=0), axis=0)
    return tuple(TEMPERATURES[i] for i in best)


@jax.jit
def _errors(
    model: Click2Graph, clip: Mapping[str, jax.Array]
) -> Float[Array, "temperatures 3"]:
    """Return the cross entropies on a clip, at DIDM's points, without dropout."""
    features, subjects = follow_clip(model, clip)
    prediction = predict_clip(model, features, subjects)
    targets = clip_targets(clip, model.config.sam2.low_res_size)
    return class_errors(prediction, targets)


def class_errors(prediction, targets) -> Float[Array, "temperatures 3"]:
    """Return the cross entropies of a `ClipPrediction` at each of `TEMPERATURES`."""
    assigned, matched = assign(_LOSS, prediction.found, targets)
    hit = _LOSS.hits(prediction.found, targets, assigned, matched)
    visible = visible_subjects(prediction, targets)
    weight = jnp.broadcast_to(visible[..., None], matched.shape).astype(jnp.float32)

    def at(temperature: jax.Array) -> jax.Array:
        logits = jax.tree.map(lambda x: x / temperature, prediction.found.class_logits)
        found = prediction.found._replace(class_logits=logits)
        terms = subject_terms(prediction._replace(found=found), targets, visible)
        terms |= class_terms(
            _LOSS, found, targets, assigned, hit, weight, jax.random.key(0), None
        )
        return jnp.stack([terms[name] for name in ("subject", "object", "predicate")])

    return jnp.stack([at(t) for t in TEMPERATURES])
