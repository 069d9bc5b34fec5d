"""Compiled programs are kept on disk: the second run of a command starts sooner."""

import hashlib
import os
import platform
from pathlib import Path

from absl import flags

COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder for compiled programs, between runs; empty: none is kept. Default: in the "
    "user's cache, and for training in its workdir.",
)
_LEAST_SECONDS = 0.2  # what compiles faster is not worth a file


def keep_compiled(default: Path | None = None) -> None:
    """Keep what JAX compiles from here on, in --compilation_cache or in `default`.

    Without either it is where JAX_COMPILATION_CACHE_DIR says, else in the user's cache,
    where a place that cannot be written is done without.
    """
    import jax

    folder = COMPILATION_CACHE.value
    if folder is None:
        folder = default
    if folder is None:
        if "JAX_COMPILATION_CACHE_DIR" in os.environ:
            return
        folder = user_cache() / "compiled" / processor()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return
    jax.config.update("jax_compilation_cache_dir", str(folder) or None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)


def user_cache() -> Path:
    """Where this program may keep what it can make again."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "click2graph"


def processor() -> str:
    """Names the kind of CPU: a program for one may not run on another.

    A home may be shared by machines of several kinds, and JAX does not tell them apart.
    """
    kind = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        kind += next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        pass  # no such file on this system, or not in this form: the name will do
    return hashlib.sha256(kind.encode()).hexdigest()[:12]
