"""A DIDM written out literally in numpy, and masks of subjects for it."""

import numpy as np

from c2g_jax.click2graph.didm import Didm
from c2g_jax.sam2.position import sine_position_encoding

SHAPE = dict(d_model=16, num_layers=2, num_heads=4, ffn=24, num_queries=3)


def masks(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Bool [b, 16, 24] with a filled box (y0, y1, x0, x1) each."""
    out = np.zeros((len(boxes), 16, 24), bool)
    for mask, (y0, y1, x0, x1) in zip(out, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return out


def twin(
    didm: Didm, features: np.ndarray, mask: np.ndarray, everywhere: bool = False
) -> list[np.ndarray]:
    """One subject's points after each layer, head by head and token by token.

    `mask` covers whole cells of `features` [h, w, c]. With `everywhere`, values and the
    subject's feature carry positions.
    """
    c, heads = didm.config.d_model, didm.config.num_heads
    d = c // heads

    def linear(layer, x):
        return x @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])

    def norm(layer, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * np.asarray(layer.scale[...]) + np.asarray(layer.bias[...])

    def attention(layer, q, k, v):
        q, k = linear(layer.q_proj, q), linear(layer.k_proj, k)
        v, out = linear(layer.v_proj, v), np.zeros_like(q)
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            for i in range(len(q)):
                scores = np.array([q[i, part] @ key for key in k[:, part]]) / d**0.5
                weights = np.exp(scores - scores.max())
                out[i, part] = weights @ v[:, part] / weights.sum()
        return linear(layer.out_proj, out)

    h, w = features.shape[:2]
    image, place = features.reshape(-1, c), sine_position_encoding(h, w, c)
    place = place.reshape(-1, c)
    values = image + place if everywhere else image
    subject = values[mask[::4, ::4].reshape(-1)].mean(axis=0)
    learned = np.concatenate(
        [np.asarray(didm.subject_embed[...])[None], np.asarray(didm.query_embed[...])]
    )
    tokens = learned.copy()
    tokens[0] += linear(didm.subject_proj, subject)
    points = []
    for layer in didm.layers:
        q = tokens + learned
        tokens = norm(layer.norm1, tokens + attention(layer.self_attn, q, q, tokens))
        q = tokens + learned
        seen = attention(layer.cross_attn, q, image + place, values)
        tokens = norm(layer.norm2, tokens + seen)
        hidden = np.maximum(linear(layer.linear1, tokens), 0)
        tokens = norm(layer.norm3, tokens + linear(layer.linear2, hidden))
        x = norm(didm.norm, tokens[1:])
        first, second, last = didm.point_head.layers
        x = np.maximum(linear(first, x), 0)
        x = np.maximum(linear(second, x), 0)
        points.append(1 / (1 + np.exp(-linear(last, x))))
    return points
