"""The console scripts; Ctrl-C ends them with one line also during imports."""

import importlib

from c2g_jax.cli import interrupts


def predict() -> None:
    """Run `c2g-predict`, the same as `python -m c2g_jax.predict`."""
    _start("c2g_jax.predict.__main__")


def web() -> None:
    """Run `c2g-web`, the same as `python -m c2g_jax.web`."""
    _start("c2g_jax.web.__main__")


def _start(module: str) -> None:
    interrupts.exit_on_interrupt()
    importlib.import_module(module).run()
