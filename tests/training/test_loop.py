"""A run: what it learns, logs and saves, and how it resumes after a kill."""

import contextlib
import itertools
import json
import logging
import os
import re
import signal
import time

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from c2g_jax.checkpoints import orbax as checkpoints
from c2g_jax.checkpoints.safetensors import load_weights, parameters, read_manifest
from c2g_jax.training import loop
from c2g_jax.training.workdir import CHECKPOINTS, WEIGHTS, locked
from c2g_jax.types import InputError
from tests.equality import same_arrays
from tests.training import toy_run
from tests.training.toy_run import STEPS, Net, ToyTask, make_run


def sha256(workdir):
    return read_manifest(workdir / WEIGHTS)["sha256"]


@pytest.fixture(scope="module", autouse=True)
def _programs(tmp_path_factory):
    """Runs of this process share compiled programs."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    compilation_cache.reset_cache()
    jax.config.update(names[0], str(tmp_path_factory.mktemp("programs")))
    jax.config.update(names[1], 0)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an uninterrupted run, made in its own process."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    assert toy_run.train(workdir) is True
    return workdir


@pytest.fixture(autouse=True)
def _signals(monkeypatch):
    """Runs in this process leave its signals alone.

    Or whoever ends the tests would end the run of one of them, and fail that one.
    """
    monkeypatch.setattr(loop, "Interrupt", lambda: contextlib.nullcontext(False))


@pytest.fixture
def workdir(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_a_killed_run_resumes_to_the_same_bits(whole):
    workdir = whole.with_name("killed")
    # Checkpoints are after steps 3, 6, 9 and 12.
    # The reader is at most four batches ahead.
    kills = {("reading", 8): [3], ("writing", 1): [3], ("logging", 5): [3, 6]}
    for kill, left in (kills | {("renaming", 2): [3, 6]}).items():
        assert toy_run.train(workdir, kill=kill) == "killed", kill
        assert checkpoints.saved_steps(workdir / CHECKPOINTS) == left
    assert (workdir / CHECKPOINTS / ".step-9" / "manifest.json").exists()
    assert toy_run.train(workdir) is True
    step, values, loader = toy_run.last_state(workdir)
    wanted_step, wanted, wanted_loader = toy_run.last_state(whole)
    assert (step, loader) == (wanted_step, wanted_loader) == (STEPS, {"batches": STEPS})
    assert same_arrays(values, wanted)
    assert sha256(workdir) == sha256(whole)
    assert toy_run.lines(workdir) == toy_run.lines(whole)
    assert toy_run.logged_steps(workdir) == toy_run.logged_steps(whole)
    assert sorted(p.name for p in (workdir / CHECKPOINTS).iterdir()) == ["12", "9"]


def test_a_wall_clock_that_goes_back_changes_no_duration(
    whole, workdir, monkeypatch, caplog
):
    """Back by an hour at each reading, also before resuming: as when it is set."""
    now = itertools.count(1.7e9, -3600.0)
    monkeypatch.setattr(time, "time", lambda: next(now))
    caplog.set_level(logging.INFO)
    with pytest.raises(InputError, match="the checkpoint of step 3 is kept"):
        make_run(workdir, ToyTask(poison=5)).train()
    assert make_run(workdir).train() is True
    rows = (workdir / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(row) for row in rows]
    clocks = [row["time"] for row in rows]
    assert clocks == sorted(clocks, reverse=True)
    assert clocks[0] - clocks[-1] >= 3600 * (STEPS - 1)
    for row in rows:
        # A first step, which compiles, is not counted.
        assert (row["steps_per_second"] > 0) == (row["step"] not in (1, 4))
        assert 0 <= row["steps_per_second"] < np.inf
        assert 0 <= row["data_wait"] <= 1
    left = re.findall(r"data wait .*%, (.*) left", caplog.text)
    assert len(left) == 5 + STEPS - 3
    # A time in the past would read "-1 day, ".
    assert all(re.fullmatch(r"0:0\d:\d\d", words) for words in left)
    assert toy_run.lines(workdir) == toy_run.lines(whole)
    assert toy_run.logged_steps(workdir) == toy_run.logged_steps(whole)
    assert sha256(workdir) == sha256(whole)


def check_lines(workdir, whole):
    """Compare the metrics of two runs, up to rounding."""
    for ours, theirs in zip(toy_run.lines(workdir), toy_run.lines(whole), strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5, abs=1e-6), name


def test_eight_devices_have_the_losses_of_one(whole):
    workdir = whole.with_name("eight")
    assert toy_run.train(workdir, devices=8) is True
    check_lines(workdir, whole)
    assert "step 12/12 loss" in toy_run.log_of(workdir).read_text()


def test_two_processes_train_as_one(whole):
    workdir = whole.with_name("two")
    killed = toy_run.train_together(workdir, 2, kill=("renaming", 4), devices=2)
    assert killed[0] == "killed"
    assert True not in killed
    assert checkpoints.saved_steps(workdir / CHECKPOINTS) == [3, 6]
    assert toy_run.train_together(workdir, 2, devices=2) == [True, True]
    for index in range(2):
        log = toy_run.log_of(workdir, index).read_text()
        assert "resuming from step 6" in log
        assert "saved step 12" in log
    check_lines(workdir, whole)
    step, values, loader = toy_run.last_state(workdir)
    wanted_step, wanted, _ = toy_run.last_state(whole)
    assert (step, loader) == (wanted_step, {"batches": STEPS, "shard": [0, 2]})
    for name in wanted:
        np.testing.assert_allclose(values[name], wanted[name], rtol=1e-4, atol=1e-6)
    assert sorted(p.name for p in (workdir / CHECKPOINTS).iterdir()) == ["12", "9"]
    assert (workdir / WEIGHTS).is_dir()


def test_only_what_trains_changes_and_has_moments(whole):
    start = parameters(ToyTask().model)
    abstract = jax.eval_shape(lambda: ToyTask().model)
    end = parameters(load_weights(abstract, whole / WEIGHTS))
    _, values, _ = toy_run.last_state(whole)
    for name in start:
        frozen = name.startswith("body")
        assert np.array_equal(start[name], end[name]) == frozen, name
        assert sum(key.endswith(f"/{name}") for key in values) == 4 * (not frozen)
    # Weights for use are the averaged ones.
    assert np.array_equal(end["head.kernel"], values["ema/head.kernel"])
    assert not np.array_equal(values["ema/head.kernel"], values["params/head.kernel"])


def test_what_is_logged(whole):
    rows = [json.loads(x) for x in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    wanted = {"loss", "cross", "size", "gradient_norm", "lr/hidden", "lr/head"}
    wanted |= {"step", "time", "steps_per_second", "data_wait"}
    assert set(rows[0]) == wanted
    assert rows[0]["steps_per_second"] == 0  # it compiled, which is no pace
    assert rows[-1]["steps_per_second"] > 0
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    assert rows[-1]["lr/hidden"] < rows[2]["lr/hidden"] == pytest.approx(1e-2)
    assert rows[-1]["lr/head"] == pytest.approx(3e-2)


def test_validation_batches_are_the_same_every_time(workdir):
    make_run(workdir, eval_every=6, eval_batches=2, steps=6, ema=0.0).train()
    make_run(workdir, eval_every=1, eval_batches=2, steps=7, ema=0.0).train()
    rows = [row for row in toy_run.lines(workdir) if "val/loss" in row]
    assert [row["step"] for row in rows] == [6, 7]
    again = [row for row in toy_run.lines(workdir) if row["step"] == 7]
    assert set(again[1]) == {"step", "val/loss", "val/cross", "val/size"}
    # A step of training is small, other batches or dropout are not.
    assert rows[1]["val/loss"] == pytest.approx(rows[0]["val/loss"], rel=0.1)


def test_a_non_finite_metric_stops_the_run(workdir):
    with pytest.raises(
        InputError, match="step 8: loss is nan, size is nan; the checkpoint of step 6"
    ):
        make_run(workdir, ToyTask(poison=7)).train()
    assert checkpoints.saved_steps(workdir / CHECKPOINTS) == [3, 6]
    # At a step that is to be saved, it is noticed before.
    with pytest.raises(
        InputError, match="size is nan; the checkpoint of step 6 is kep"
    ):
        make_run(workdir, ToyTask(poison=8)).train()
    assert checkpoints.saved_steps(workdir / CHECKPOINTS) == [3, 6]


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(workdir, caplog):
    make_run(workdir, steps=6).train()
    folder = workdir / CHECKPOINTS
    _, wanted, _ = toy_run.last_state(workdir)
    for file in (folder / "6" / "orbax").rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    make_run(workdir, steps=6).train()
    assert f"{folder / '6'} is cut short or changed" in caplog.text
    assert (folder / "6.damaged").is_dir()
    assert same_arrays(toy_run.last_state(workdir)[1], wanted)
    (folder / "3" / "manifest.json").write_text("{}")
    (folder / "6" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"no checkpoint in .* can be read"):
        make_run(workdir).train()


@pytest.mark.parametrize("how", ["layers below", "measured"])
def test_a_full_disk_is_named_and_the_one_before_is_used(workdir, monkeypatch, how):
    make_run(workdir, steps=3).train()
    kept = toy_run.last_state(workdir)

    def full(path, tree):
        (path.parent / "half").write_text("a part")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if how == "measured":
            patch.setattr(checkpoints, "_free", lambda folder: 1000)
        else:
            patch.setattr(checkpoints.ocp, "save", full)
        line = r"step 6 cannot be written .*bytes.* free.* resumes from step 3$"
        with pytest.raises(InputError, match=line):
            make_run(workdir).train()
    assert [p.name for p in (workdir / CHECKPOINTS).iterdir()] == ["3"]
    assert same_arrays(toy_run.last_state(workdir)[1], kept[1])
    assert make_run(workdir).train() is True


def test_another_configuration_is_refused_with_the_difference(workdir):
    config = {"seed": 0, "lr": {"head": 3e-2}, "steps": 3, "log_every": 1}
    make_run(workdir, steps=3, config=config).train()
    other = {"seed": 1, "lr": {"head": 3e-2, "sch": 1.0}, "steps": 3, "log_every": 2}
    line = r"lr.sch: \(none\) -> 1.0; seed: 0 -> 1 .*may differ: log_every, save_every"
    with pytest.raises(InputError, match=line):
        make_run(workdir, steps=3, config=other).train()
    # Learning rates follow the number of steps.
    with pytest.raises(InputError, match="steps: 3 -> 4"):
        make_run(workdir, steps=4, config=config | {"steps": 4}).train()
    more = config | {"log_every": 2}
    assert make_run(workdir, steps=3, config=more).train() is True
    # Processes that decode do not change batches, also if a field was added since.
    data = {"dir": "a", "workers": 4}
    (workdir / "own").mkdir()
    make_run(workdir / "own", steps=3, config=config | {"data": data}).train()
    other = {"dir": "b", "workers": 1, "val_workers": 2}
    resumed = make_run(workdir / "own", steps=3, config=config | {"data": other})
    assert resumed.train() is True
    task = ToyTask()
    task.model.body.bias[...] += 1
    with pytest.raises(InputError, match="made with other frozen parameters"):
        make_run(workdir, task, steps=5, config=config).train()


def test_a_folder_is_locked_to_one_run(workdir):
    process, pipe = toy_run.start(workdir, wait=True)
    assert pipe.recv() == "locked"
    with (
        pytest.raises(InputError, match=f"in use by process {process.pid}"),
        locked(workdir),
    ):
        pass
    process.kill()
    process.join()
    with locked(workdir):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step_and_saves(workdir, number):
    process, pipe = toy_run.start(workdir, steps=10**7, save_every=10**6)
    log = workdir / "metrics.jsonl"
    while not (log.exists() and log.stat().st_size):
        time.sleep(0.01)
    os.kill(process.pid, number)
    assert toy_run.finish(process, pipe) is False
    step, values, loader = toy_run.last_state(workdir)
    assert step == toy_run.lines(workdir)[-1]["step"] == values["step"]
    assert loader == {"batches": step}
    text = toy_run.log_of(workdir).read_text()
    assert f"stopped after step {step} of 10000000: the checkpoint is kept" in text


def test_steps_are_traced(workdir):
    make_run(workdir, profile=(2, 9), steps=5).train()
    assert list((workdir / "profile").rglob("*.xplane.pb"))
    with pytest.raises(InputError, match=r"5:6: this run has the steps 0 to 4"):
        make_run(workdir.with_name("other"), profile=(5, 6), steps=5).train()


def test_errors_of_the_loader_are_raised(workdir):
    class Broken(toy_run.ToyLoader):
        def __iter__(self):
            self.at = {5: lambda: 1 / 0}.get
            iterator = super().__iter__()
            self.at = lambda number: 1 / 0 if number == 5 else None
            return iterator

    with pytest.raises(ZeroDivisionError):
        make_run(workdir, loader=Broken()).train()


def test_weights_are_exported_during_a_run(workdir):
    seen = []
    run = make_run(workdir, steps=6, export_every=2)
    export = run.export
    run.export = lambda *args: (seen.append(args[2]["training"]["step"]), export(*args))
    run.train()
    assert seen == [2, 4, 6]
    assert isinstance(load_weights(jax.eval_shape(lambda: ToyTask().model),
                                   workdir / WEIGHTS), Net)  # fmt: skip
