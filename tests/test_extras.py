"""Commands when no extra of the package is installed."""

import pytest

from tests.commands import python_after

# Makes the packages of the extras fail to import, as if they were not installed.
ABSENT = """
import sys
class Absent:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
EXTRAS = {
    "train": ("ml_collections", "optax", "orbax", "grain", "tensorflow_datasets",
              "importlib_resources", "tensorboardX"),
    "web": ("fastapi", "uvicorn", "starlette", "pydantic"),
    "plot": ("matplotlib",),
    "port": ("torch", "sam2", "hydra", "iopath"),
    "tfds-cli": ("tensorflow", "apache_beam"),
    "gpu-plan": ("tokamax", "jax_plugins"),
}  # fmt: skip


def run_bare(tmp_path, module: str, *words: str) -> tuple[int, str, str]:
    """Run the command without any extra; returns exit code, stdout and stderr."""
    names = {name for extra in EXTRAS.values() for name in extra}
    return python_after(tmp_path, ABSENT.format(names=names), "-m", module, *words)


@pytest.mark.parametrize(
    "module",
    ["c2g_jax.predict", "c2g_jax.web", "c2g_jax.prepare", "c2g_jax.plot",
     "porting.convert", "porting.verify"],
)  # fmt: skip
def test_help_needs_no_extra(tmp_path, module):
    code, out, err = run_bare(tmp_path, module, "--help")
    assert (code, err) == (0, "")
    assert f"python -m {module} --" in out


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        (
            "c2g_jax.train",
            ("--config=configs/toy_pvsg.py", "--workdir={}/out"),
            "train",
        ),
        ("c2g_jax.evaluate", ("--output={}/out",), "train"),
        ("c2g_jax.correct", ("--output={}/out",), "train"),
        ("c2g_jax.prepare", ("--toy", "--data_dir={}/out"), "train"),
        ("c2g_jax.plot", ("--results=r.json", "--output={}/out"), "plot"),
        ("c2g_jax.web", ("--state={}/out",), "web"),
        ("benchmarks.data", (), "train"),
        ("benchmarks.spans", ("--output={}/out",), "train"),
        ("benchmarks.training", (), "train"),
        ("benchmarks.compiled", (), "gpu-plan"),
        (
            "porting.convert",
            ("--reverse", "--checkpoint=a", "--output={}/out"),
            "port",
        ),
        ("porting.verify", ("--seeded=toy",), "port"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(tmp_path, module, words, extra):
    words = [word.format(tmp_path) for word in words]
    code, out, err = run_bare(tmp_path, module, *words)
    assert (code, out) == (2, ""), err
    (line,) = err.splitlines()
    assert any(line.startswith(f"No module named '{n}") for n in EXTRAS[extra])
    assert f"it comes with the extra '{extra}': " in line
    mend = "make setup-test" if extra == "port" else f"click2graph-jax[{extra}]"
    assert mend in line
    assert not (tmp_path / "out").exists()
