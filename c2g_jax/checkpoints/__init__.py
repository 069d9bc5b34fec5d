"""Parameters and models in files: safetensors, Orbax, whole models.

    from c2g_jax.checkpoints import load_click2graph, load_model, load_sam2

- `safetensors`: the parameters of a module in a folder, with a manifest
- `orbax`: the same in Orbax's format, and the steps of a training run
- `processes`: work that the first process of a run does for all
- `pretrained`: whole models, SAM2.1 or Click2Graph
- `released`: SAM2.1 as downloaded, converted once into the user's cache
- `description`: what the weights in use are, in a line
- `heads`: DIDM and SCH as a file of their own, beside any SAM2.1 of their width
"""

import importlib
from typing import Any

_MODULES = {
    "load_click2graph": "pretrained",
    "load_model": "heads",
    "load_sam2": "pretrained",
}
__all__ = ["load_click2graph", "load_model", "load_sam2"]


def __getattr__(name: str) -> Any:
    """Import a module on first use: these need the models, `safetensors` does not."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"c2g_jax.checkpoints.{_MODULES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
