"""Conversion of official checkpoints, strict in both directions."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

import porting.convert
from c2g_jax.checkpoints.released import rules
from c2g_jax.checkpoints.released.official import convert, recognise_size
from c2g_jax.checkpoints.safetensors import load_weights, parameters, read_manifest
from c2g_jax.sam2.config import SIZES, sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.types import InputError
from porting.compare import compare
from porting.official import port
from porting.reference import build_reference
from porting.seeded import save_checkpoint, seeded_state
from tests.commands import run
from tests.seeded import seeded

pytestmark = pytest.mark.parity
NORM = "memory_attention.norm.weight"


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return seeded(tmp_path_factory, "toy")


@pytest.fixture(scope="module")
def checkpoint(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "toy.pt"
    save_checkpoint(toy, path)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_the_rules_fit_every_size(size, monkeypatch):
    """Names and shapes alone; the numbers of tensors are those of the checkpoints."""
    for layer in (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d):
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)
    state = build_reference(size).state_dict()
    counts = dict(toy=359, mini=369, tiny=471, small=519, base_plus=615, large=903)
    assert len(state) == counts[size]
    assert recognise_size(state, "it") == size
    wanted = parameters(abstract_sam2(sam2_config(size)))
    arrays, unknown = rules.to_flax(
        (name, np.broadcast_to(np.float32(0), tuple(tensor.shape)))
        for name, tensor in state.items()
    )
    assert unknown == []
    assert {k: v.shape for k, v in arrays.items()} == {
        k: v.shape for k, v in wanted.items()
    }


def test_every_rule_is_needed(toy):
    used = {rules.leaf_rule(name, tensor.ndim) for name, tensor in toy.items()}
    assert used == set(range(len(rules.LEAVES)))


def test_convert_writes_a_folder_that_loads(checkpoint, toy, tmp_path):
    done = run(
        "porting.convert", f"--checkpoint={checkpoint}", f"--output={tmp_path}/w"
    )
    assert done.returncode == 0, done.stderr
    assert "SAM2.1 toy, 359 tensors, 4,159,970 parameters" in done.stdout
    manifest = read_manifest(tmp_path / "w")
    assert manifest["source"]["file"] == "toy.pt"
    assert len(manifest["source"]["sha256"]) == 64
    assert {"c2g_jax", "jax", "flax"} <= manifest["versions"].keys()
    model = load_weights(abstract_sam2(sam2_config("toy")), tmp_path / "w", size="toy")
    kernel = model.memory_attention.layers[1].linear1.kernel[...]
    theirs = toy["memory_attention.layers.1.linear1.weight"].T
    assert np.array_equal(kernel, theirs.numpy())
    total = sum(float(np.abs(v).sum()) for v in parameters(model).values())
    wanted = sum(float(v.abs().sum()) for v in toy.values())
    assert total == pytest.approx(wanted, rel=1e-5)  # nothing lost, nothing twice


def test_what_is_missing_unexpected_or_misshapen_is_listed(toy):
    state = dict(toy)
    del state["no_obj_embed_spatial"]  # SAM 2.0 has none
    state["no_obj_ptr"] = torch.zeros(1, 5)
    state["sam_mask_decoder.extra.weight"] = torch.zeros(3, 3)
    state["strange"] = torch.zeros(2)
    with pytest.raises(InputError) as caught:
        port(state, sam2_config("toy"), "x.pt")
    text = str(caught.value)
    assert "1 missing: no_obj_embed_spatial;" in text
    # By the names in the file, not by ours.
    assert "2 unexpected: sam_mask_decoder.extra.weight, strange;" in text
    assert "1 misshapen: no_obj_ptr float32[1, 5] instead of float32[1, 128]" in text
    assert "convert it again" not in text


def test_a_counter_is_unexpected_and_a_weight_of_integers_quantised(toy, tmp_path):
    counter = {"bn.num_batches_tracked": torch.tensor(3)}
    integers = {k: toy[k].to(torch.int8) for k in ("no_obj_ptr", NORM)}
    for more, line in (
        (counter, "1 unexpected: bn.num_batches_tracked: give the whole"),
        ({"no_obj_ptr": integers["no_obj_ptr"]}, "numbers in no_obj_ptr: give"),
        ({NORM: integers[NORM]} | counter, f"numbers in {NORM}: give"),
    ):
        torch.save(dict(toy) | more, tmp_path / "x.pt")
        with pytest.raises(InputError, match=line):
            convert(tmp_path / "x.pt", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_whoever_runs_convert_is_told_what_to_add(toy, tmp_path, refuse):
    half = {k: x for k, x in toy.items() if not k.startswith("memory_")}
    torch.save(half, tmp_path / "half.pt")
    given = f"--checkpoint={tmp_path / 'half.pt'}"
    said = refuse(porting.convert, given, f"--output={tmp_path / 'out'}")
    assert "as Sam2Model saves it: give --complete_with, a checkpoint of" in said
    with pytest.raises(InputError, match=r"convert it with porting\.convert and --"):
        convert(tmp_path / "half.pt", tmp_path / "out")


def test_two_tensors_on_one_path_are_a_fault(toy):
    pairs = [
        ("no_mem_embed", np.zeros((1, 1, 4))),
        ("no_mem_embed", np.zeros((1, 1, 4))),
    ]
    with pytest.raises(ValueError, match="second tensor"):
        rules.to_flax(pairs)


def write(path, content):
    torch.save(content, path)


BAD = {
    "missing": lambda path, good: None,
    "a folder": lambda path, good: path.mkdir(),
    "empty": lambda path, good: path.write_bytes(b""),
    "text": lambda path, good: path.write_text("not a checkpoint"),
    "cut short": lambda path, good: path.write_bytes(good.read_bytes()[:-5000]),
    "half": lambda path, good: path.write_bytes(
        good.read_bytes()[: good.stat().st_size // 2]
    ),
    "a list": lambda path, good: write(path, [1, 2]),
    "no model": lambda path, good: write(path, {"state": {}}),
    "no tensors": lambda path, good: write(path, {"model": {"a": 3}}),
    "another model": lambda path, good: write(path, {"model": {"a": torch.ones(3)}}),
    "code": lambda path, good: torch.save({"model": run}, path),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_checkpoints_are_refused_in_one_line(kind, checkpoint, tmp_path):
    path = tmp_path / "bad.pt"
    BAD[kind](path, checkpoint)
    with pytest.raises(InputError, match=r"bad\.pt") as caught:
        convert(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "case",
    [
        ("porting.convert", "--checkpoint=nowhere.pt", "--output=o"),
        ("porting.verify", "--seeded=toy", "--flax=somewhere"),
    ],
)
def test_the_mains_end_with_a_line_and_exit_code_2(case):
    done = run(*case)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_verify_shows_a_table_and_notices_a_difference(checkpoint, toy, tmp_path):
    other = dict(toy)
    name = "sam_mask_decoder.iou_prediction_head.layers.2.bias"
    other[name] = other[name] + 0.01
    save_checkpoint(other, tmp_path / "other.pt")
    convert(tmp_path / "other.pt", tmp_path / "other")
    done = run(
        "porting.verify",
        f"--checkpoint={checkpoint}",
        f"--flax={tmp_path}/other",
        "--image_size=96",
        "--max_frames=2",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    for stage in ("patch embedding", "trunk stage 4", "decoder tokens", "frame 1"):
        assert stage in done.stdout
    assert "out of bound: IoU, chosen IoU" in done.stdout


def test_verify_passes_on_equal_weights():
    done = run("porting.verify", "--seeded=toy", "--image_size=96", "--max_frames=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows within bound" in done.stdout


def test_the_seed_decides_the_checkpoint(toy):
    again, other = seeded_state("toy"), seeded_state("toy", seed=1)
    name = "image_encoder.trunk.blocks.2.attn.qkv.weight"
    assert compare("", again[name], toy[name]).error == 0
    assert compare("", other[name], toy[name]).error > 1
