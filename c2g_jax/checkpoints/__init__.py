"""Parameters and models in files: safetensors, Orbax, whole models.

    from c2g_jax.checkpoints import load_click2graph, load_sam2

- `safetensors`: the parameters of a module in a folder, with a manifest
- `orbax`: the same in Orbax's format, and the steps of a training run
- `processes`: work that the first process of a run does for all
- `pretrained`: whole models, SAM2.1 or Click2Graph
"""

from typing import Any

__all__ = ["load_click2graph", "load_sam2"]


def __getattr__(name: str) -> Any:
    """Import `pretrained` on first use: it needs the models, `safetensors` does not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from c2g_jax.checkpoints import pretrained

    return getattr(pretrained, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
