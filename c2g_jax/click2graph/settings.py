"""Settings that belong to trained weights: how their confidences become relations.

They are in the manifest of a checkpoint, and `c2g_jax.tune` chooses them on training
videos that were kept out of training. Thresholds of one model do not fit another, so a
checkpoint without settings gets none: its guesses are ranked instead (`RANKED`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from c2g_jax.types import InputError, real

NEUTRAL = (1.0, 1.0, 1.0)  # temperatures that change nothing


@dataclass(frozen=True)
class SpanConfig:
    """Temporal smoothing of relations, with hysteresis; lengths in sampled frames.

    max_gap: gaps of up to this many frames without the relation are closed.
    min_length: shorter spans are dropped; at most the video's length.
    min_confidence: predictions below it are ignored.
    start_confidence: a span needs a prediction of at least this confidence; if it is
    above min_confidence, weaker predictions extend a span but do not start one.
    top: only so many relations of each subject are kept, the best by score; None: all.

    The defaults were the best of the first toy checkpoint on 24 training videos of the
    drawn world, with an F1 of spans of 0.31, against 0.12 for every relation predicted
    on 2 frames. Those of a checkpoint are in its manifest.
    """

    max_gap: int = 2
    min_length: int = 5
    min_confidence: float = 0.3
    start_confidence: float = 0.5
    top: int | None = None

    def at_least(self, threshold: float | None) -> "SpanConfig":
        """Return the configuration with min_confidence `threshold`; None: unchanged.

        A threshold below the present min_confidence is start_confidence as well, so
        that a request for uncertain relations returns all of them. A threshold takes
        the place of `top`, too.
        """
        if threshold is None:
            return self
        threshold = real(threshold, "threshold")
        if math.isnan(threshold):
            raise InputError("threshold is nan: give a number")
        asked = threshold < self.min_confidence
        start = threshold if asked else self.start_confidence
        return replace(self, min_confidence=threshold, start_confidence=start, top=None)


# For models without settings: the best guesses, however unsure they are.
RANKED = SpanConfig(2, 2, 0.0, 0.0, top=5)


@dataclass(frozen=True)
class AdaptConfig:
    """How corrections change the labels of similar objects and pairs.

    width: sigma of the Gaussian weight of a prototype, as a distance between unit
    vectors. margin: by how many logits a corrected class leads on its own example.
    examples: most frames of one track that become prototypes.

    The defaults are the first toy checkpoint's: the width was the best of 0.08, 0.15
    and 0.3 on 12 drawn training videos.
    """

    width: float = 0.08
    margin: float = 2.0
    examples: int = 8


# For models without settings: the narrowest width that was tried, so that a correction
# reaches what looks almost the same, and little else.
NARROW = AdaptConfig(width=0.08, margin=2.0, examples=8)


@dataclass(frozen=True)
class Settings:
    """The settings of a checkpoint.

    temperature: what SCH's logits of subject, object and predicate are divided by.
    """

    spans: SpanConfig = RANKED
    adapt: AdaptConfig = NARROW
    temperature: tuple[float, float, float] = NEUTRAL

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {**asdict(self), "temperature": list(self.temperature)}

    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """Return the settings of a manifest's entry, None for None.

        Raises ValueError for what are no settings.
        """
        if value is None:
            return None
        try:
            found = cls(
                _parsed(SpanConfig, value["spans"]),
                _parsed(AdaptConfig, value["adapt"]),
                tuple(float(t) for t in value["temperature"]),
            )
            sound = len(found.temperature) == 3 and all(
                0 < t < math.inf for t in found.temperature
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"settings: {error}") from None
        if not sound:
            raise ValueError(f"settings: temperature {value['temperature']}")
        return found


def _parsed(kind: type, values: Mapping[str, Any]) -> Any:
    """Return a configuration of numbers; raises ValueError or TypeError for others."""
    for name in {f.name for f in fields(kind)} & values.keys():
        number = values[name]
        missing = number is None and name == "top"
        if not missing and (isinstance(number, bool) or not number >= 0):
            raise ValueError(f"{name} is {number!r}")
    return kind(**values)
