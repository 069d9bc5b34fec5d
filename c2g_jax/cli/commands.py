"""The console scripts. Ctrl-C ends them in one line while they are loaded, too."""

import importlib

from c2g_jax.cli import interrupts


def predict() -> None:
    """`c2g-predict`, the same as `python -m c2g_jax.predict`."""
    _start("c2g_jax.predict")


def web() -> None:
    """`c2g-web`, the same as `python -m c2g_jax.web`."""
    _start("c2g_jax.web.__main__")


def _start(module: str) -> None:
    interrupts.leave_at_once()
    importlib.import_module(module).run()
