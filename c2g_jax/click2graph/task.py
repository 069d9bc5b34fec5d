"""The training task: DIDM and SCH on a frozen SAM2.1 (paper 3.6)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.click2graph.clip import follow_clip, predict_clip
from c2g_jax.click2graph.loss import RelationLoss
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.targets import clip_targets


@dataclasses.dataclass(frozen=True)
class Click2GraphTask:
    """The model, its loss, and regexes of the names of the parameters that train.

    `counts` (float32 [p]) is the frequency of each predicate in training, which the
    long-tail options of the loss need.
    """

    model: Click2Graph
    config: RelationLoss
    counts: np.ndarray | None = None
    trainable: tuple[str, ...] = (r"didm\..*", r"sch\..*")

    def loss(
        self,
        model: Click2Graph,
        batch: dict[str, jax.Array],
        key: jax.Array,
        clip_keys: jax.Array,
        train: bool = True,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the mean loss over the clips of a batch, and the mean of each term.

        `batch` is a batch of the loader's task "relations", and `clip_keys` has a
        random key for each clip. Dropout is applied only with `train`.
        """
        del key  # nothing is drawn for all clips together

        def one(clip: dict[str, jax.Array], key: jax.Array):
            return self.clip_loss(model, clip, key, train)

        loss, terms = jax.vmap(one)(batch, clip_keys)
        return jnp.mean(loss), jax.tree.map(jnp.mean, terms)

    def clip_loss(
        self,
        model: Click2Graph,
        clip: dict[str, jax.Array],
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the loss and the terms of one clip, from the loader's arrays."""
        dropout_key, loss_key = jax.random.split(key)
        targets = clip_targets(clip, model.config.sam2.low_res_size)
        features, subjects = follow_clip(model, clip)
        prediction = predict_clip(
            model,
            features,
            subjects,
            dropout_key if train else None,
            targets.points if self.config.true_points else None,
            self.config.detach_points,
            self.config.detach_pointers,
        )
        return self.config(prediction, targets, loss_key, self.counts)
