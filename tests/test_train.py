"""The main: flags, devices, and errors in one line."""

import runpy
from types import SimpleNamespace

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from c2g_jax import train
from c2g_jax.cli import compiled
from c2g_jax.training import tasks
from c2g_jax.training.metrics import MetricsLog
from c2g_jax.types import InputError
from tests.commands import ROOT, refusal
from tests.training.toy_run import ToyLoader, ToyTask

CONFIG = ROOT / "configs" / "toy_pvsg.py"


@pytest.fixture
def flagged(monkeypatch):
    """Sets flags of the main by name; the program cache is as before afterwards."""

    def give(**values):
        for name in ("CONFIG", "WORKDIR", "PROFILE_STEPS"):
            value = values.get(name.lower())
            monkeypatch.setattr(train, name, SimpleNamespace(value=value))
        monkeypatch.setattr(train, "MULTIHOST", SimpleNamespace(value=False))
        monkeypatch.setattr(compiled, "COMPILATION_CACHE", SimpleNamespace(value=None))

    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    # JAX decides once a process where it keeps programs, with the first one. Here it
    # decides again, with the first one that the main compiles.
    jax.config.update(names[0], None)
    compilation_cache.reset_cache()
    monkeypatch.setattr(compiled, "_LEAST_SECONDS", 0.0)
    yield give
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def exported(monkeypatch):
    """What a run writes as weights, of a toy task in the place of any other."""
    found = []
    made = tasks.PreparedTask(
        ToyTask(),
        ToyLoader(),
        ToyLoader(1),
        lambda model, folder, manifest: found.append((folder, manifest)),
    )
    monkeypatch.setattr(tasks, "prepare_task", lambda config, local: made)
    return found


def toy_config(**options):
    config = runpy.run_path(str(CONFIG))["get_config"]("tiny")
    config.groups.didm, config.groups.sch = r"hidden\..*", r"head\..*"
    config.update(options)
    return config


def test_a_run_by_its_configuration(tmp_path, flagged, exported):
    workdir = tmp_path / "run"
    flagged(config=toy_config(steps=3), workdir=str(workdir), profile_steps=None)
    assert train.main(["train"]) is None
    ((folder, manifest),) = exported
    assert folder == workdir / "weights"
    assert manifest["training"]["step"] == 3
    assert manifest["training"]["config"]["loss"]["predicate"] == 20
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["2", "3"]
    assert any((workdir / "compiled").iterdir())
    # A run that is over only writes its weights again.
    assert train.main(["train"]) is None
    assert len(exported) == 2


@pytest.mark.usefixtures("exported")
def test_a_full_disk_under_the_metrics_is_named(tmp_path, flagged, monkeypatch):
    def write(self, step, values):
        raise OSError(28, "No space left on device", "metrics.jsonl")

    monkeypatch.setattr(MetricsLog, "write", write)
    flagged(config=toy_config(steps=3), workdir=str(tmp_path))
    with pytest.raises(InputError, match=r"no space left for metrics.jsonl: make room"):
        train.main(["train"])


def test_steps_to_trace():
    assert train.read_steps(None) is None
    assert train.read_steps("10:15") == (10, 15)
    for text in ("10", "5:4", "a:b"):
        with pytest.raises(InputError, match="write FIRST:LAST"):
            train.read_steps(text)


def test_a_refused_run_leaves_no_folder(tmp_path):
    given = f"--config={CONFIG}", f"--config.data.dir={tmp_path / 'none'}"
    line = refusal("c2g_jax.train", *given, f"--workdir={tmp_path / 'new' / 'run'}")
    assert "no prepared data set" in line
    assert not (tmp_path / "new" / "run").exists()
    (tmp_path / "old").mkdir()
    refusal("c2g_jax.train", *given, f"--workdir={tmp_path / 'old'}")
    assert (tmp_path / "old").is_dir()


@pytest.mark.usefixtures("exported")
def test_errors_are_one_line(flagged):
    flagged(config=toy_config())
    with pytest.raises(InputError, match="--workdir is missing: name a folder"):
        train.main(["train"])
    line = refusal(
        "c2g_jax.train", f"--config={CONFIG}", "--workdir=x", "--config.lr.shc=1"
    )
    assert line == "--config.lr.shc: there is no such field; did you mean 'sch'?"
