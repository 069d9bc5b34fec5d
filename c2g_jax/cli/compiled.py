"""The persistent cache of compiled programs: later runs of a command start sooner."""

import hashlib
import os
import platform
from pathlib import Path

from absl import flags

from c2g_jax.cli.paths import PATH, user_cache

COMPILATION_CACHE = flags.DEFINE(
    PATH,
    "compilation_cache",
    None,
    "Folder of the cache of compiled programs; empty: no cache. Default: in the user's "
    "cache folder; for training, in its workdir.",
)
_LEAST_SECONDS = 0.2  # programs that compile faster are not stored


def keep_compiled(default: Path | None = None) -> None:
    """Store the programs that JAX compiles in --compilation_cache, else in `default`.

    Without either, JAX_COMPILATION_CACHE_DIR applies, else the user's cache folder; if
    that cannot be written, there is no cache.
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


def processor() -> str:
    """Return a name for the kind of CPU, as part of the cache's path.

    A program compiled for one kind may not run on another, JAX's cache keys do not
    include it, and a home folder may be shared by several machines.
    """
    kind = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        kind += next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        pass  # missing or of another form: use the name only
    return hashlib.sha256(kind.encode()).hexdigest()[:12]
