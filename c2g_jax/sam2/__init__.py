"""SAM2.1 in Flax NNX: modules, pure functions over video, and predictors.

    from c2g_jax.sam2 import Sam2ImagePredictor, Sam2VideoPredictor
    from c2g_jax.sam2 import Sam2AutomaticMaskGenerator

`c2g_jax.checkpoints.load_sam2` reads the model that they take. The files, in reading
order:

- `config`: sizes (toy, mini, tiny, small, base_plus, large) and their hyperparameters
- `layers`, `attention`, `position`: layers, attention and position encodings, with
  torch's numerics; `fused_attention`: attention in the kernels of a GPU
- `hiera`, `neck`: image encoder, the Hiera trunk and the feature pyramid
- `prompts`: points, boxes and masks of n objects as one batch of fixed shape
- `prompt_encoder`: prompts to sparse tokens and a dense embedding
- `two_way_transformer`, `mask_decoder`: mask decoder, and the choice among its masks
- `masks`: resizing of mask logits
- `memory_encoder`: a frame and its mask to a memory
- `memory`: the memory bank, and which of its memories a frame attends to
- `memory_attention`: a frame attends to its memories and object pointers
- `model`: all modules in one `Sam2`, and the steps between them
- `track`: segment, correct, remember, track: pure functions that run under `jax.jit`
- `predictors`: the same with a user's arrays and videos; they alone import `media`
"""

import importlib
from typing import Any

__all__ = ["Sam2AutomaticMaskGenerator", "Sam2ImagePredictor", "Sam2VideoPredictor"]

_FILES = {
    "Sam2AutomaticMaskGenerator": "automatic_masks",
    "Sam2ImagePredictor": "image",
    "Sam2VideoPredictor": "video",
}


def __getattr__(name: str) -> Any:
    """Import a predictor on first use: they need `media`, which the modules do not."""
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(
        importlib.import_module(f"{__name__}.predictors.{_FILES[name]}"), name
    )


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
