"""Benchmarks: their hooks, flags and result files."""

import functools
import json

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from benchmarks.encodings import Encodings
from benchmarks.measures import check_json, record, whole_numbers
from c2g_jax.evaluation import trials
from c2g_jax.types import InputError
from tests.commands import python, refusal


def test_encodings_are_counted(monkeypatch):
    monkeypatch.setattr(trials, "encode_frame", lambda *given: given)
    counted = Encodings()
    assert trials.encode_frame("model", "frame") == ("model", "frame")
    assert counted.count == 1


def test_figures_are_kept_beside_those_of_other_runs(tmp_path):
    file = tmp_path / "performance.json"
    with flagsaver.flagsaver():
        flags.FLAGS(["benchmark", f"--json={file}"])
        check_json()
        record("large", {"encoder_vs_torch": 1.5, "parts": {}})
        record("tiny", {"encoder_vs_torch": 0.5})
        record("large", {"encoder_vs_torch": 1.25})
        flags.FLAGS(["benchmark", f"--json={tmp_path}/"])
        with pytest.raises(InputError, match=r"--json=.* is a folder: name a file"):
            check_json()
    assert json.loads(file.read_text()) == {
        "cpu": {
            "large": {"encoder_vs_torch": 1.25, "parts": {}},
            "tiny": {"encoder_vs_torch": 0.5},
        }
    }


@pytest.mark.parametrize(
    ("module", "word", "says"),
    [
        ("video", "--objects=a", "--objects=a: give whole numbers from 1, as 1,4"),
        ("stages", "--objects=0", "--objects=0: give whole numbers from 1, as 1,4"),
        ("data", "--workers=a", "--workers=a: give whole numbers from 0, as 0,1,2"),
        ("data", "--batch_size=0", "flag --batch_size=0"),
        ("web_load", "--sessions=0", "flag --sessions=0"),
        ("web_load", "--url=http://localhost:a", "--url=http://localhost:a: name a"),
    ],
)
def test_bad_numbers_are_refused_before_the_work(module, word, says):
    assert refusal(f"benchmarks.{module}", word).startswith(says)


def test_lists_of_whole_numbers():
    values = flags.FlagValues()
    flag = flags.DEFINE_list("objects", ["1", "4"], "", flag_values=values)

    def read(text, least=1):
        values([__name__, f"--objects={text}"])
        return whole_numbers(flag, least)

    assert read("4, 1,4") == [4, 1]
    assert read("0,2", least=0) == [0, 2]
    for text in ("", "0", "1,,2", "-1", "1.5", "1_0", "two"):
        with pytest.raises(InputError, match=f"--objects={text}: give whole numbers"):
            read(text)


# In a separate process: other imported programs define flags of the same names.
SIDE = """
import json, types
from absl import flags
from benchmarks import video

asked = []
def run(command, **options):
    asked.extend(command)
    return types.SimpleNamespace(stdout='a line\\n{"gigabytes": 2.0}\\n')
video.subprocess = types.SimpleNamespace(run=run)
words = "--resolution=1024", "--frames=7", "--dtype=bfloat16", "--objects=2,4"
flags.FLAGS(["video", "--size=large", *words])
print(json.dumps([video.ROUNDS.value, video.peak_memory("ours"), asked[1:]]))
"""


def test_a_process_per_implementation_gets_the_same_flags():
    """--resolution and --frames are aliases of --image_size and --rounds."""
    done = python("-c", SIDE)
    assert done.returncode == 0, done.stderr
    rounds, gigabytes, asked = json.loads(done.stdout)
    assert (rounds, gigabytes) == (7, 2.0)
    assert asked[:3] == ["-m", "benchmarks.video", "--side=ours"]
    assert sorted(asked[3:]) == [
        "--dtype=bfloat16", "--image_size=1024", "--objects=2,4", "--size=large"
    ]  # fmt: skip


LOOP = """
import runpy
from absl import flags
from benchmarks import training
from tests.training.toy_run import ToyLoader, ToyTask

made = training.tasks.PreparedTask(ToyTask(), ToyLoader(), ToyLoader(1), None)
training.tasks.prepare_task = lambda config, local: made
training.measure_step = lambda run: {"step": 1.0, "encoder": 0.5}
config = runpy.run_path("configs/toy_pvsg.py")["get_config"]("tiny")
config.groups.didm, config.groups.sch = r"hidden\\..*", r"head\\..*"
training.CONFIG = type("Flag", (), {"value": config})
flags.FLAGS(["training", "--steps=2", "--json=FILE"])
training.main(["training"])
"""


def test_the_loop_of_a_training_is_timed(tmp_path):
    file = tmp_path / "figures.json"
    done = python("-c", LOOP.replace("FILE", str(file)))
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())["cpu"]["training"]
    assert figures["loop"] > 0
    assert figures["overhead"] == figures["loop"] - 1
    assert 0 <= figures["data_wait"] < 1


@pytest.mark.parity
@pytest.mark.parametrize("name", ["sam2", "transformers"])
def test_peers_follow_the_same_objects(name):
    torch = pytest.importorskip("torch")
    pytest.importorskip("sam2")
    pytest.importorskip("transformers")
    import torch.nn.functional as F

    from benchmarks import peers
    from porting.pair import Clip, make_pair
    from porting.scenes import draw_video
    from porting.seeded import seeded_state

    state = seeded_state("toy")
    state["sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += 6  # all visible
    pair = make_pair("toy", state, 128)
    clip = Clip(pair, np.repeat(draw_video(1, 128, 128), 3, axis=0))
    sides = peers.ours(pair.ours, clip.frames), peers.peer(name, clip)
    ours, theirs = ([np.asarray(m).copy() for m in side.track(2)] for side in sides)
    if name == "transformers":  # returns low-resolution masks
        larger = functools.partial(F.interpolate, size=(128, 128), mode="bilinear")
        theirs = [larger(torch.from_numpy(m)).numpy() for m in theirs]
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        one, other = (np.squeeze(x) > 0 for x in (one, other))
        assert one.shape == other.shape == (2, 128, 128)
        # sam2 and transformers round memories to bfloat16.
        assert np.mean(one == other) > 0.97
