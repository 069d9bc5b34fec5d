"""The folder of the compilation cache, and cache hits in a second run."""

import os
import subprocess
import sys
from pathlib import Path

_RUN = """
import sys
from absl import flags
import c2g_jax.cli.compiled as compiled
flags.FLAGS(sys.argv)
compiled.keep_compiled()
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None
)
jax.jit(lambda x: x * 2 + 1)(1.0)
print(jax.config.jax_compilation_cache_dir, len(hits))
"""


def run(cache: Path, *words: str, **env: str) -> tuple[str, int]:
    """Return the cache folder in use, and the number of cache hits."""
    whole = os.environ | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(cache)}
    whole.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words],
        env=whole | env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    folder, hits = done.stdout.split()
    return folder, int(hits)


def test_the_second_run_finds_the_programs_of_the_first(tmp_path):
    folder, hits = run(tmp_path)
    assert Path(folder).parent == tmp_path / "click2graph" / "compiled"
    assert hits == 0
    assert list(Path(folder).iterdir())
    again, hits = run(tmp_path)
    assert again == folder
    assert hits > 0


def test_none_is_kept_where_none_is_wanted(tmp_path):
    assert run(tmp_path, "--compilation_cache=") == ("None", 0)
    assert not list(tmp_path.iterdir())


def test_none_is_kept_where_nothing_can_be_written(tmp_path):
    taken = tmp_path / "cache"
    taken.write_text("a file where the folder would be")
    assert run(taken) == ("None", 0)


def test_what_is_asked_for_goes_first(tmp_path):
    named = tmp_path / "named"
    words = [f"--compilation_cache={named}"]
    others = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "other")}
    assert run(tmp_path, *words, **others)[0] == str(named)
    assert run(tmp_path, **others)[0] == others["JAX_COMPILATION_CACHE_DIR"]
