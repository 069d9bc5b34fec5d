"""`python -m c2g_jax.prepare`: what it writes, what it refuses, and being killed."""

import errno
import functools
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from c2g_jax import prepare
from c2g_jax.data.dataset import open_dataset
from c2g_jax.export import report
from c2g_jax.types import InputError
from tests.commands import ROOT, call_main, refusal, run, run_and_name

MODULE = "c2g_jax.prepare"
call = functools.partial(call_main, prepare.main)


def test_prepares_a_download_without_tensorflow(drawn_tree, tmp_path):
    flags = [f"--manual_dir={drawn_tree}", f"--data_dir={tmp_path}", "--workers=1"]
    flags += ["--config_names=videos,default"]
    done = run_and_name({"tensorflow"}, MODULE, *flags)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 videos, 47 of 47 frames" in done.stdout
    assert "faults in the download: none" in done.stdout
    assert done.stderr.strip() == ""
    assert len(open_dataset(tmp_path).videos("train")) == 2
    again = run(MODULE, *flags)
    assert "is prepared already" in again.stdout


def test_audits_annotations_alone(drawn_tree, tmp_path):
    flags = [f"--annotations={drawn_tree}/pvsg.json", f"--output={tmp_path}/out"]
    done = run(MODULE, "--audit", *flags)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out/audit.json").read_text())
    assert report["total"]["videos"] == 3
    assert report["quirks"]["missing_mask"]["count"] == "needs masks"
    assert (tmp_path / "out/audit.txt").read_text() in done.stdout


def test_audits_a_download_and_strict_stops_at_a_fault(drawn_tree, tmp_path):
    spoilt = shutil.copytree(drawn_tree, tmp_path / "tree")
    (spoilt / "drawn/masks/0001_1/0003.png").unlink()
    (spoilt / "drawn/videos/0002_2.mp4").write_bytes(b"")
    done = run(MODULE, "--audit", f"--manual_dir={spoilt}", "--workers=1")
    assert done.returncode == 0, done.stderr
    assert "0001_1: frame 3" in done.stdout
    assert "excluded videos: 1" in done.stdout
    line = refusal(MODULE, "--audit", f"--manual_dir={spoilt}", "--strict")
    assert "0002_2" in line
    assert "unreadable_video" in line


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--manual_dir"),
        (("--manual_dir=nowhere",), "--data_dir"),
        (("--manual_dir=nowhere", "--data_dir=/tmp/none"), "no such folder"),
        (("--annotations=pvsg.json",), "--audit"),
        (("--audit",), "nothing to audit"),
        (("--audit", "--annotations=nowhere.json"), "nowhere.json"),
        (("--preview=out",), "--preview needs --toy"),
        (("--preview=out", "--audit", "--manual_dir=x"), "preview needs --toy"),
        (("--preview=out", "--audit", "--toy"), "--audit and --toy together"),
        (("--preview=", "--toy", "--data_dir=/tmp/none"), "--preview is empty"),
        (("--preview=README.md", "--toy"), "--preview=README.md: .*a file"),
        (("--preview=README.md/out", "--toy"), "--preview=README.md/out: .*a file"),
        (("--preview=/tmp/no", "--toy", "--config_names=videos"), "needs --data"),
        (("--preview=/tmp/no", "--toy", "--strict"), "--strict needs --data_dir"),
        (("--preview=/tmp/no", "--toy", "--manual_dir=/tmp/no"), "where --manual_d"),
        (("--preview=/tmp/no/toy_pvsg", "--toy", "--data_dir=/tmp/no"), "where --da"),
        (("--preview=/tmp/no", "--toy", "--manual_dir=README.md"), "manual_dir=READ"),
        (("--preview=/tmp/no", "--toy", "--manual_dir=datasets"), "holds no toy data"),
        (("--toy", "--checksums", "--data_dir=/tmp/no"), "toy and --checksums"),
        (("--toy_size=full", "--manual_dir=x", "--data_dir=y"), "toy_size needs"),
        (("--toy",), "--data_dir"),
        (("--manual_dir=x", "--data_dir=y", "--output=z"), "--output needs --aud"),
        (("--manual_dir=x", "--data_dir=y", "--toy_size=val"), "toy_size needs"),
        (("--audit", "--toy"), "--audit and --toy together"),
        (("--audit", "--manual_dir=x", "--data_dir=y"), "--audit and --data_dir"),
        (("--audit", "--manual_dir=x", "--config_names=1024"), "and --config_names"),
        (("--audit", "--annotations=x", "--manual_dir=y"), "and --manual_dir"),
        (("--audit", "--annotations=x", "--strict"), "--annotations and --strict"),
        (("--manual_dir=README.md", "--data_dir=/tmp/none"), "README.md: a file"),
        (("--manual_dir=x", "--data_dir=README.md"), "README.md is a file: name a fo"),
        (("--toy", "--data_dir=README.md/x"), "--data_dir=README.md/x/toy_pvsg: .*a f"),
        (("--toy", "--manual_dir=README.md", "--data_dir=/tmp/none"), "--manual_dir=R"),
    ],
)  # fmt: skip
def test_refuses_in_one_line(flags, says, tmp_path, monkeypatch):
    """In this process: a process for each would take a second for each."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match=says):
        call(*flags)


def test_unknown_configs_are_refused(drawn_tree, tmp_path):
    flags = [f"--data_dir={tmp_path}", "--config_names=2048"]
    with pytest.raises(InputError, match=r"config_names=2048.*videos"):
        call(f"--manual_dir={drawn_tree}", *flags)


def test_errors_of_the_build_come_before_the_drawing(tmp_path):
    with pytest.raises(InputError, match=r"config_names=2048"):
        call("--toy", f"--data_dir={tmp_path}", "--config_names=2048")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is not None, reason="Beam is installed"
)
def test_without_beam_it_says_what_to_install_before_the_drawing(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        call("--toy", f"--data_dir={tmp_path}", "--beam_pipeline_options=runner=Direct")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("No module named 'apache_beam'")
    assert "pip install 'click2graph-jax[tfds-cli]', in an environment" in line
    assert not list(tmp_path.iterdir())


def test_outside_a_checkout_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(prepare, "DATASETS", tmp_path / "datasets")
    with pytest.raises(InputError, match="checkout"):
        call("--manual_dir=x", f"--data_dir={tmp_path}")


def test_a_killed_preparation_counts_for_nothing_and_the_next_one_finishes(
    drawn_tree, tmp_path
):
    flags = [f"--manual_dir={drawn_tree}", f"--data_dir={tmp_path}", "--workers=1"]
    process = subprocess.Popen([sys.executable, "-m", MODULE, *flags], cwd=ROOT)
    began = time.monotonic()
    while not list(tmp_path.glob("open_pvsg/1024/incomplete.*/*array_record*")):
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() - began < 60
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "open_pvsg/1024/1.0.0").exists()
    for config in ("default", "1024"):
        with pytest.raises(InputError, match="no prepared data set"):
            open_dataset(tmp_path, config=config)
    done = run(MODULE, *flags)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("open_pvsg/*/incomplete.*"))
    for config in ("default", "1024"):
        dataset = open_dataset(tmp_path, config=config)
        video = dataset.videos("val")[0]
        assert dataset.read(video, 0, 16)[0].shape[0] == 16


@pytest.fixture
def small_world(monkeypatch):
    """The size tiny with three videos of eight frames; in this process alone."""
    sizes = prepare.load("toy_pvsg.generate").SIZES
    small = sizes["tiny"]._replace(train=2, val=1, frames=8, pictures=((64, 48),))
    monkeypatch.setitem(sizes, "tiny", small)


def test_toy_is_drawn_once_and_prepared(tmp_path, small_world, capsys):
    flags = ["--toy", "--toy_size=tiny", f"--data_dir={tmp_path}", "--workers=1"]
    call(*flags)
    out = capsys.readouterr().out
    assert "24 frames drawn" in out
    dataset = open_dataset(tmp_path, "toy_pvsg")
    assert dataset.splits == ("toy_pvsg_train", "toy_pvsg_val")
    call(*flags)
    out = capsys.readouterr().out
    assert "frames drawn" not in out
    assert "is prepared already" in out
    with pytest.raises(InputError, match="--toy_size=tiny"):
        call("--toy", "--toy_size=val", f"--data_dir={tmp_path}")


def test_a_killed_drawing_is_cleared_away(tmp_path, small_world):
    root = tmp_path / "[toy]"
    left = tmp_path / ".c2g-part-left"
    (left / "whole/toy_pvsg/videos").mkdir(parents=True)
    (left / "lock").write_text("")
    flags = ["--toy", "--toy_size=tiny", "--workers=1", "--config_names=videos"]
    call(*flags, f"--manual_dir={root}", f"--data_dir={tmp_path}/data")
    found = sorted(p.name for p in tmp_path.iterdir())
    assert found == [".[toy].lock", "[toy]", "data"]


def test_the_world_is_drawn_by_one_at_a_time(tmp_path, small_world):
    root = tmp_path / "toy"
    lock = prepare.load("open_pvsg.lock").only_one(root, tmp_path / ".toy.lock")
    flags = ["--toy", "--toy_size=tiny", f"--manual_dir={root}", "--workers=1"]
    with lock, pytest.raises(InputError, match="toy: another preparation"):
        call(*flags, f"--data_dir={tmp_path}/data")
    assert not root.exists()


def test_pictures_of_the_world_are_whole_or_not_there(
    tmp_path, small_world, monkeypatch
):
    flags = ["--toy", "--toy_size=tiny", "--workers=1", f"--manual_dir={tmp_path}/toy"]
    call(*flags, f"--preview={tmp_path}/out")
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["contact_sheet.png", "overlay.mp4"]

    def full(root, output):
        (output / "contact_sheet.png").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(prepare.load("toy_pvsg.preview"), "preview", full)
    with pytest.raises(InputError, match=r"half: No space left.*nothing is written"):
        call(*flags, f"--preview={tmp_path}/half")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".toy.lock", "out", "toy"]


def test_progress_says_what_is_left_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(report, "LINE_EVERY", 0.0)
    with report.frame_progress() as begin:
        advance = begin("default", 1000)
        advance(400)
    words = capsys.readouterr().err
    assert words.startswith("default: 400 of 1,000 frames, ")
    assert words.endswith("min left\n")
