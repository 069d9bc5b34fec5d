"""Benchmarks: their hooks, flags and result files."""

import functools
import json

import jax
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from benchmarks.compiled_training import abstract_batch, training_step
from benchmarks.encodings import Encodings
from benchmarks.estimates import measured
from benchmarks.hlo_cost import Card, read_cost
from benchmarks.measures import check_json, read_results, record, whole_numbers
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.loader import clip_loader
from c2g_jax.evaluation import trials
from c2g_jax.sam2.fused_attention import PLAIN
from c2g_jax.training.config_files import load_config
from c2g_jax.training.sharding import data_mesh
from c2g_jax.types import InputError
from tests.commands import python, refusal
from tests.data.fake import VOCABULARY, fake_dataset


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


def test_measured_times_have_the_names_of_the_estimates():
    stages = {
        "encode": {"ours": [0.03, 0.01, 0.02], "sam2": [1.0]},
        "track, 1 object": {"ours": [0.002]},
        "track, 4 objects": {"ours": [0.004]},
    }
    gpu = {"large_1024_bfloat16": {"video": {"seconds": stages}}}
    training = {"training": {"step": 0.2, "size": "large"}}
    times = measured({"gpu": gpu | training}, "large")
    expected = {"encode": 20, "track_1": 2, "track_4": 4, "click2graph_1": 200}
    assert times == pytest.approx(expected)
    assert not measured({"cpu": gpu}, "large")
    assert not measured({"gpu": gpu}, "tiny")


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


# As XLA prints it: a product, a loop of three trips with a fusion that slices, an
# update in place, fused attention, a convolution, and a sum over devices.
HLO = """
HloModule jit_f, is_scheduled=true

%fused_slice (param_0.1: bf16[8,6]) -> bf16[8,2] {
  %param_0.1 = bf16[8,6]{1,0} parameter(0)
  ROOT %slice.1 = bf16[8,2]{1,0} slice(%param_0.1), slice={[0:8], [0:2]}
}

%fused_update (param_0.2: f32[100,4], param_1.2: f32[1,4]) -> f32[100,4] {
  %param_0.2 = f32[100,4]{1,0} parameter(0)
  %param_1.2 = f32[1,4]{1,0} parameter(1)
  %constant.2 = s32[] constant(0)
  ROOT %update.2 = f32[100,4]{1,0} dynamic-update-slice(%param_0.2, %param_1.2, %constant.2, %constant.2)
}

%fused_product (param_0.3: bf16[16,8], param_1.3: bf16[8,6]) -> bf16[16,6] {
  %param_0.3 = bf16[16,8]{1,0} parameter(0)
  %param_1.3 = bf16[8,6]{1,0} parameter(1)
  %dot.3 = f32[16,6]{1,0} dot(%param_0.3, %param_1.3), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT %convert.3 = bf16[16,6]{1,0} convert(%dot.3)
}

%body (param.4: (s32[], bf16[8,6])) -> (s32[], bf16[8,6]) {
  %param.4 = (s32[], bf16[8,6]{1,0}) parameter(0)
  %get-tuple-element.4 = bf16[8,6]{1,0} get-tuple-element(%param.4), index=1
  %loop_slice_fusion = bf16[8,2]{1,0} fusion(%get-tuple-element.4), kind=kLoop, calls=%fused_slice
  ROOT %tuple.4 = (s32[], bf16[8,6]{1,0}) tuple(%get-tuple-element.4, %get-tuple-element.4)
}

ENTRY %main.9 (a: bf16[16,8], b: bf16[8,6], ring: f32[100,4], row: f32[1,4]) -> bf16[16,6] {
  %a = bf16[16,8]{1,0} parameter(0), metadata={op_name="a"}
  %b = bf16[8,6]{1,0} parameter(1)
  %ring = f32[100,4]{1,0} parameter(2)
  %row = f32[1,4]{1,0} parameter(3)
  %product = bf16[16,6]{1,0} fusion(%a, %b), kind=kCustom, calls=%fused_product, metadata={op_name="jit(f)/dot_general"}
  %loop = (s32[], bf16[8,6]{1,0}) while(%b), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %written = f32[100,4]{1,0} fusion(%ring, %row), kind=kLoop, calls=%fused_update
  %q = bf16[2,16,1,8]{3,2,1,0} parameter(4)
  %k = bf16[2,32,1,8]{3,2,1,0} parameter(5)
  %v = bf16[2,32,1,4]{3,2,1,0} parameter(6)
  %attended = bf16[2,16,1,4]{3,2,1,0} custom-call(%q, %k, %v), custom_call_target="__gpu$xla.gpu.triton", metadata={op_name="jit(f)/tokamax:PallasTritonFlashAttention"}
  %image = bf16[1,8,8,3]{3,2,1,0} parameter(7)
  %taps = bf16[4,3,3,3]{3,2,1,0} parameter(8)
  %seen = (bf16[1,8,8,4]{3,2,1,0}, u8[4096]{0}) custom-call(%image, %taps), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convForward"
  %summed = f32[100,4]{1,0} all-reduce(%ring), to_apply=%add
  ROOT %copy = bf16[16,6]{1,0} bitcast(%product)
}
"""  # noqa: E501


def test_the_cost_of_a_compiled_program_by_hand():
    cost = read_cost(HLO)
    found = {kernel.name: kernel for kernel in cost.kernels}
    moved = {name: kernel.moved for name, kernel in found.items()}
    assert moved == {
        "product": 2 * (16 * 8 + 8 * 6 + 16 * 6),
        "loop_slice_fusion": 2 * 2 * 8 * 2,  # the slice alone, read and written
        "written": 2 * 4 * 4,  # one row of the ring
        "attended": 2 * 2 * (16 * 8 + 32 * 8 + 32 * 4 + 16 * 4),
        "seen": 2 * (8 * 8 * 3 + 4 * 27 + 8 * 8 * 4),  # without the workspace
        "summed": 4 * 2 * 400,
    }
    flops = {name: kernel.flops for name, kernel in found.items() if kernel.flops}
    assert flops == {
        "product": 2 * 16 * 6 * 8,
        "attended": 2 * 2 * 16 * 32 * (8 + 4),
        "seen": 2 * 8 * 8 * 4 * 27,
    }
    assert found["loop_slice_fusion"].times == 3
    assert found["product"].origin == "jit(f)/dot_general"
    assert (cost.count, cost.loops) == (8, 1)
    assert cost.collectives == {"all-reduce": 1600}
    assert cost.moved == sum(moved.values()) + 2 * moved["loop_slice_fusion"]
    # Memory decides on one card, arithmetic on another; 2 microseconds each launch.
    slow = Card("slow", peak=1e15, bandwidth=1e3)
    assert cost.seconds(slow) == pytest.approx(cost.moved / 1e3, rel=1e-4)
    weak = Card("weak", peak=1e3, bandwidth=1e15)
    assert cost.seconds(weak) == pytest.approx(cost.flops / 600, rel=1e-4)
    assert cost.seconds(Card("", 1e18, 1e18)) == pytest.approx(8 * 2e-6, rel=1e-4)


def test_of_a_condition_the_larger_branch_is_charged():
    branches = """
%small (p.1: f32[4]) -> f32[4] {
  %p.1 = f32[4]{0} parameter(0)
  ROOT %negated = f32[4]{0} negate(%p.1)
}

%large (p.2: f32[400]) -> f32[4] {
  %p.2 = f32[400]{0} parameter(0)
  ROOT %reduced = f32[4]{0} reduce(%p.2)
}

ENTRY %main.3 (i: s32[], x: f32[4], y: f32[400]) -> f32[4] {
  %i = s32[] parameter(0)
  %x = f32[4]{0} parameter(1)
  %y = f32[400]{0} parameter(2)
  ROOT %chosen = f32[4]{0} conditional(%i, %x, %y), BRANCHES
}
"""
    for written in (
        "branch_computations={%small, %large}",
        "true_computation=%large, false_computation=%small",
    ):
        (kernel,) = read_cost(branches.replace("BRANCHES", written)).kernels
        assert (kernel.name, kernel.moved) == ("reduced", 4 * (400 + 4))
    with pytest.warns(UserWarning, match="loop: a loop of unknown length is counted"):
        read_cost(HLO.replace("known_trip_count", "unknown"))


def test_results_that_are_none_are_refused(tmp_path):
    (file := tmp_path / "a.json").write_text("[1]")
    for text in ("[1]", "{", '{"gpu": []}'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"a\.json: holds no results of benchm"):
            read_results(file)
    assert read_results(tmp_path / "new.json") == {}


@pytest.mark.parametrize("task", ["relations", "segments"])
def test_the_abstract_batch_has_the_shapes_of_a_real_one(task):
    config = ClipConfig(task, num_frames=3, image_size=32, max_subjects=2)
    real = next(iter(clip_loader(fake_dataset()[0], "train", config, 2)))
    shapes = {name: (x.shape, x.dtype) for name, x in real.items()}
    made = abstract_batch(config, VOCABULARY, 2)
    assert {name: (x.shape, x.dtype) for name, x in made.items()} == shapes


def test_the_step_of_a_training_is_lowered_from_shapes_alone():
    """For the CPU here: the fused kernels need a card, described or real."""
    config = load_config("configs/open_pvsg.py")
    config.sam2.image_size, config.clip.num_frames = 64, 2
    config.clip.max_subjects, config.clip.max_objects = 1, 2
    step, (state, frozen, batch) = training_step(
        config, "toy", "bfloat16", data_mesh(jax.devices()[:1]), PLAIN
    )
    assert {name.split(".")[0] for name in state.params} == {"didm", "sch"}
    assert {name.split(".")[0] for name in frozen} == {"sam2"}
    after, metrics = jax.eval_shape(step, state, frozen, batch)
    assert after.params.keys() == state.params.keys()
    assert metrics["loss"].shape == ()
