"""DIDM and SCH (paper 3.3, 3.4) in PyTorch, of torch's own layers.

The reference for `c2g_jax.click2graph.didm` and `.sch`, written from the paper in NCHW
as torch has it. Only the paper's form: learned queries, positions in the keys alone,
predicates from object pointers.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from c2g_jax.click2graph.didm import DidmConfig
from c2g_jax.click2graph.sch import SchConfig
from c2g_jax.types import InputError


class DecoderLayer(nn.Module):
    """Decoder layer of DETR, post-normed: queries and keys carry positions, not values.

    `keys` come with theirs.
    """

    def __init__(self, config: DidmConfig):
        super().__init__()
        c, heads = config.d_model, config.num_heads
        self.self_attn = nn.MultiheadAttention(c, heads, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(c, heads, batch_first=True)
        self.linear1 = nn.Linear(c, config.ffn)
        self.linear2 = nn.Linear(config.ffn, c)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(c) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        tokens: torch.Tensor,
        position: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> torch.Tensor:
        """Map tokens [b, s, c] over keys and values [b, h * w, c]."""
        query = tokens + position
        seen, _ = self.self_attn(query, query, tokens, need_weights=False)
        tokens = self.norm1(tokens + self.dropout(seen))
        query = tokens + position
        seen, _ = self.cross_attn(query, keys, values, need_weights=False)
        tokens = self.norm2(tokens + self.dropout(seen))
        hidden = self.dropout(F.relu(self.linear1(tokens)))
        return self.norm3(tokens + self.dropout(self.linear2(hidden)))


class DidmStages(NamedTuple):
    """What a DIDM computes, in order; b subjects, q queries, s = 1 + q tokens."""

    subject: torch.Tensor  # [b, c], mask-pooled features
    tokens: torch.Tensor  # [b, s, c], before the first layer
    queries: list[torch.Tensor]  # [b, q, c] after each layer, normalised
    points: list[torch.Tensor]  # [b, q, 2] of each layer, (x, y) in [0, 1]


class Didm(nn.Module):
    """Paper 3.3: the points of the objects that interact with a subject."""

    def __init__(self, config: DidmConfig):
        super().__init__()
        self.config, c = config, config.d_model
        self.subject_proj = nn.Linear(c, c)
        self.subject_embed = nn.Parameter(torch.randn(c))
        self.query_embed = nn.Parameter(torch.randn(config.num_queries, c))
        self.layers = nn.ModuleList(
            DecoderLayer(config) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(c)
        self.point_head = nn.Sequential(
            nn.Linear(c, c), nn.ReLU(), nn.Linear(c, c), nn.ReLU(), nn.Linear(c, 2)
        )

    def forward(self, features: torch.Tensor, masks: torch.Tensor) -> DidmStages:
        """Find objects of b subjects on features [1, c, h, w]; masks bool [b, H, W]."""
        subject = pool(features, masks)
        learned = torch.cat([self.subject_embed[None], self.query_embed])
        position = learned.expand(len(masks), -1, -1)
        first = position[:, :1] + self.subject_proj(subject)[:, None]
        stages = DidmStages(subject, torch.cat([first, position[:, 1:]], 1), [], [])
        image = features.flatten(2).transpose(1, 2).expand(len(masks), -1, -1)
        keys = image + sine_position(*features.shape[1:]).flatten(1).T
        tokens = stages.tokens
        for layer in self.layers:
            tokens = layer(tokens, position, keys, image)
            queries = self.norm(tokens[:, 1:])
            stages.queries.append(queries)
            stages.points.append(self.point_head(queries).sigmoid())
        return stages


class SchLogits(NamedTuple):
    """Class logits of n pairs; the last class of object and predicate is "none"."""

    subject: torch.Tensor  # [n, num_objects]
    object: torch.Tensor  # [n, num_objects + 1]
    predicate: torch.Tensor  # [n, num_predicates + 1]


class Sch(nn.Module):
    """Paper 3.4: classes of a subject, an object, and the predicate between them."""

    def __init__(self, config: SchConfig):
        super().__init__()
        self.config, c = config, config.d_model
        self.subject = _classifier(c, config.num_objects, config)
        self.object = _classifier(c, config.num_objects + 1, config)
        self.predicate = _classifier(2 * c, config.num_predicates + 1, config)

    def forward(
        self,
        subject_feature: torch.Tensor,
        object_feature: torch.Tensor,
        subject_pointer: torch.Tensor,
        object_pointer: torch.Tensor,
    ) -> SchLogits:
        """Classify n pairs by pooled features and object pointers, [n, c] each."""
        return SchLogits(
            self.subject(subject_feature),
            self.object(object_feature),
            self.predicate(torch.cat([subject_pointer, object_pointer], -1)),
        )


def _classifier(inputs: int, classes: int, config: SchConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, config.hidden),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, config.hidden),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, classes),
    )


class Heads(nn.Module):
    """A DIDM and an SCH; its state is what a file of trained heads holds."""

    def __init__(self, didm: DidmConfig, sch: SchConfig):
        super().__init__()
        check_form(didm, sch)
        self.didm, self.sch = Didm(didm), Sch(sch)


def check_form(didm: DidmConfig, sch: SchConfig) -> None:
    """Raise InputError unless both have the paper's form, which alone is in PyTorch."""
    for config, fields in ((didm, ("queries", "positions")), (sch, ("predicate",))):
        # The paper's configurations have none of these fields.
        other = [
            f"{name}={getattr(config, name)}" for name in fields if name in vars(config)
        ]
        if other:
            raise InputError(
                f"heads of the form {', '.join(other)} have no twin in PyTorch: it has "
                "the paper's alone, queries=learned, positions=keys, predicate=pointers"
            )


def seeded_heads(didm: DidmConfig, sch: SchConfig, seed: int = 0) -> Heads:
    """Return heads drawn such that activations keep near unit scale.

    As in `porting.seeded`, all parameters matter: torch's own initial biases and norms
    would hide faults.
    """
    heads = Heads(didm, sch).eval()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, x in heads.named_parameters():
            noise = torch.randn(x.shape, generator=source)
            if name.endswith("_embed"):
                x.copy_(noise)
            elif name.endswith("bias"):
                x.copy_(0.1 * noise)
            elif x.ndim == 1:  # of a norm
                x.copy_(1 + 0.1 * noise)
            else:
                x.copy_(noise / math.sqrt(x.shape[1]))
    return heads


def pool(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the mean feature [b, c] of each mask [b, H, W], 0 for an empty one.

    A cell of features [1, c, h, w] counts by the share of it that the mask covers;
    H and W are multiples of h and w.
    """
    size = features.shape[-2:]
    share = F.adaptive_avg_pool2d(masks.float()[:, None], size)  # [b, 1, h, w]
    total = (features * share).sum((2, 3))
    return total / share.sum((2, 3)).clamp(min=1e-6)


def sine_position(channels: int, height: int, width: int) -> torch.Tensor:
    """Return the sine position encoding of DETR, [c, h, w]: y, then x.

    Cell i of N is at the angle 2 pi (i + 1) / (N + 1e-6); channels 2k and 2k + 1 are
    the sine and the cosine of it over 10000 ** (2k / (c / 2)).
    """
    half = channels // 2
    index = torch.arange(half)
    scale = 10000 ** (2 * (index // 2) / half)

    def along(n: int) -> torch.Tensor:  # [half, n]
        angle = 2 * math.pi * torch.arange(1, n + 1) / (n + 1e-6)
        angle = angle / scale[:, None]
        return torch.where((index % 2 == 0)[:, None], angle.sin(), angle.cos())

    y = along(height)[:, :, None].expand(-1, -1, width)
    x = along(width)[:, None].expand(-1, height, -1)
    return torch.cat([y, x])
