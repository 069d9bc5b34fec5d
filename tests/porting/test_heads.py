"""DIDM, SCH and the loss equal their twins in PyTorch; trained heads go both ways."""

import dataclasses
import re

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

import porting.convert
from c2g_jax.checkpoints.heads import heads_of, read_heads, save_click2graph_and_heads
from c2g_jax.click2graph.model import click2graph_config
from c2g_jax.from_scratch.didm import didm_config
from c2g_jax.from_scratch.sch import sch_config
from c2g_jax.sam2.config import sam2_config
from c2g_jax.types import InputError
from c2g_jax.vocabulary import load_vocabulary
from porting.compare import assert_within
from porting.heads import Heads, check_form, pool, seeded_heads, sine_position
from porting.heads_files import (
    flax_heads,
    reverse_heads,
    to_flax,
    to_torch,
    torch_heads,
)
from porting.heads_loss import clip_loss, hungarian
from porting.heads_stages import _reference_frames, draw_scene, heads_rows
from porting.pair import Clip, make_pair
from porting.scenes import draw_video
from tests.commands import call_main
from tests.equality import same_arrays
from tests.small_click2graph import build

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def twin():
    config = click2graph_config(sam2_config("toy", 128))
    return seeded_heads(config.didm, config.sch)  # the paper's, with all its classes


@pytest.fixture(scope="module")
def clip(official, twin):
    """A clip in which SAM2 sees an object at half of DIDM's points."""
    frames = draw_video(2, 96, 128)
    first = Clip(make_pair("toy", official, 128), frames)
    scores = sorted(score_of(first, twin).tolist())
    middle = sum(scores[len(scores) // 2 - 1 : len(scores) // 2 + 1]) / 2
    name = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"
    state = {**official, name: official[name] - middle}
    return Clip(make_pair("toy", state, 128), frames)


def score_of(clip, twin):
    """The reference's object scores at the twin's points."""
    frames = _reference_frames(clip, twin, draw_scene(clip, twin))
    return torch.cat([x.object_score for subjects in frames for x in subjects])


def test_every_stage_the_loss_and_its_gradients(clip, twin):
    model = flax_heads(twin, clip.pair.ours, load_vocabulary())
    rows = heads_rows(clip, model, twin)
    assert_within(rows)
    stages = {row.stage: row for row in rows}
    assert {row.bound for name, row in stages.items() if name.startswith("DIDM")} == {
        1e-5
    }
    for name in ("loss", "gradient of the loss, sch", "gradient of points alone, didm"):
        assert stages[name].bound == 1e-5
    # Something is compared: masks are neither empty nor full, and no term is 0.
    assert 0.02 < stages["masks at DIDM's points"].shown < 0.98


def test_the_scene_has_both_sides_of_every_branch(clip, twin):
    """Otherwise the test above would compare one side of a branch only."""
    scene = draw_scene(clip, twin)
    assert set((scene.subjects.object_score > 0).ravel()) == {True, False}
    active = scene.targets.predicates.any(-1)
    assert set(active.ravel()) == {True, False}
    assert active.shape[-1] > len(twin.didm.query_embed) >= 3
    frames = _reference_frames(clip, twin, scene)
    scores = score_of(clip, twin)
    assert set((scores > 0).tolist()) == {True, False}
    assert scores.abs().min() > 1e-3  # rounding decides nothing
    _, terms = clip_loss(frames, scene.targets)
    assert all(term > 0 for term in terms.values())


def test_a_fault_is_seen(clip, twin):
    """Each parameter matters: with one of them changed, rows are out of bound."""
    model = flax_heads(twin, clip.pair.ours, load_vocabulary())
    other = seeded_heads(twin.didm.config, twin.sch.config)
    with torch.no_grad():
        other.didm.layers[1].norm2.bias[3] += 0.05
    out = {row.stage for row in heads_rows(clip, model, other) if not row.within}
    assert "DIDM queries, layer 1" not in out
    assert {"DIDM queries, layer 2", "DIDM points, layer 3", "loss"} <= out


def test_pooling_and_positions_by_hand():
    features = torch.arange(8.0).reshape(1, 2, 2, 2)
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    masks[0, :2, :2] = True  # the first cell
    masks[1, :2, 1:3] = True  # half of the first and half of the second
    pooled = pool(features, masks)
    assert pooled.tolist() == [[0, 4], [0.5, 4.5], [0, 0]]  # the last mask is empty
    place = sine_position(8, 3, 5)
    assert place.shape == (8, 3, 5)
    y, x = 2 * np.pi * 2 / (3 + 1e-6), 2 * np.pi * 4 / (5 + 1e-6)
    wanted = [np.sin(y), np.cos(y), np.sin(y / 100), np.cos(y / 100)]
    wanted += [np.sin(x), np.cos(x), np.sin(x / 100), np.cos(x / 100)]
    np.testing.assert_allclose(place[:, 1, 3], wanted, atol=1e-6)


def test_matching_by_hand():
    points = torch.tensor([[0.1, 0.1], [0.9, 0.9], [0.5, 0.5]])
    truth = torch.tensor([[0.8, 0.9], [0.2, 0.2]])
    assert hungarian(points, truth) == {0: 1, 1: 0}
    assert hungarian(points, truth[:0]) == {}


def test_other_forms_are_refused_by_name():
    paper = click2graph_config(sam2_config("toy"))
    fields = dataclasses.asdict(paper.didm)
    for given in (dict(queries="pointed"), dict(positions="everywhere")):
        ((name, value),) = given.items()
        with pytest.raises(InputError, match=f"{name}={value}"):
            check_form(didm_config(**fields, **given), paper.sch)
    sch = sch_config(**dataclasses.asdict(paper.sch), predicate="features")
    with pytest.raises(InputError, match=r"predicate=features.*the paper's alone"):
        Heads(paper.didm, sch)
    check_form(didm_config(**fields, queries="learned", positions="keys"), paper.sch)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder as a training leaves it, of a small model."""
    model = build(0)
    sam2 = model.config.sam2
    monkeypatch.setattr("c2g_jax.checkpoints.pretrained.sam2_config", lambda *_: sam2)
    save_click2graph_and_heads(model, tmp_path / "weights", {"made_by": "a test"})
    return tmp_path


def test_names_and_layouts_go_there_and_back():
    heads = heads_of(build(0))
    state = to_torch(heads.parameters())
    twin = Heads(heads.didm.config, heads.sch.config)
    assert {k: x.shape for k, x in state.items()} == {
        k: x.shape for k, x in twin.state_dict().items()
    }
    assert same_arrays(to_flax(state), heads.parameters())


def test_there_and_back_bit_for_bit(trained, capsys):
    """By the command line, from the file and from the folder."""
    first = trained / "heads.safetensors"
    for source in (first, trained / "weights"):
        call_main(
            porting.convert.main,
            "--reverse",
            f"--heads={source}",
            f"--output={trained / 'deep' / 'heads.pt'}",
        )
        assert "DIDM and SCH, 84 tensors, written to" in capsys.readouterr().out
        content = torch.load(trained / "deep" / "heads.pt", weights_only=True)
        heads = read_heads(first)
        twin = Heads(heads.didm.config, heads.sch.config)
        twin.load_state_dict(content["model"], strict=True)
        call_main(
            porting.convert.main,
            f"--heads={trained / 'deep' / 'heads.pt'}",
            f"--output={trained / 'again.safetensors'}",
        )
        assert "DIDM and SCH, 108 tensors" in capsys.readouterr().out
        again = read_heads(trained / "again.safetensors")
        assert same_arrays(again.parameters(), heads.parameters())
        assert again.manifest["made_by"] == "a test"
        assert again.manifest["sam2"] == heads.manifest["sam2"]
    assert sorted(p.name for p in (trained / "deep").iterdir()) == ["heads.pt"]


def test_the_twin_of_trained_heads_computes_the_same(trained):
    heads = read_heads(trained / "heads.safetensors")
    twin, rng = torch_heads(heads), np.random.default_rng(0)
    features = rng.normal(size=(1, 4, 4, 32)).astype(np.float32)
    masks = rng.random((2, 16, 16)) > 0.5
    run = jax.jit(lambda didm, *given: didm(*given).layer_points)
    points = run(heads.didm, features, masks)
    with torch.no_grad():
        nchw = torch.from_numpy(features).permute(0, 3, 1, 2)
        stages = twin.didm(nchw, torch.from_numpy(masks))
    np.testing.assert_allclose(points, torch.stack(stages.points), atol=1e-6)


WEIGHT = "didm.layers.0.self_attn.in_proj_weight"
DAMAGES = {
    "missing": (lambda c: c["model"].pop(WEIGHT), f"1 missing: {WEIGHT}"),
    "unexpected": (
        lambda c: c["model"].update(wings=torch.ones(2)),
        "1 unexpected: wings",
    ),
    "misshapen": (
        lambda c: c["model"].update({WEIGHT: torch.ones(95, 32)}),
        rf"1 misshapen: {WEIGHT} float32\[95, 32\] instead of float32\[96, 32\]",
    ),
    "not finite": (
        lambda c: c["model"].update({WEIGHT: torch.full((96, 32), torch.nan)}),
        f"non-finite values in {WEIGHT}",
    ),
    "no manifest": (lambda c: c.pop("manifest"), "has no manifest"),
    "no form": (
        lambda c: c["manifest"]["click2graph"]["didm"].update(queries="pointed"),
        "queries=pointed",
    ),
    "heads that do not divide": (
        lambda c: c["manifest"]["click2graph"]["didm"].update(num_heads=7),
        "does not describe a model .7 heads do not divide 32",
    ),
    "no heads": (
        lambda c: c["manifest"]["click2graph"]["didm"].update(num_heads=0),
        "does not describe a model .num_heads is 0",
    ),
    "half a width": (
        lambda c: c["manifest"]["click2graph"]["sch"].update(hidden=0.5),
        "does not describe a model .hidden is 0.5",
    ),
    "a counter": (
        lambda c: c["model"].update({"bn.num_batches_tracked": torch.tensor(3)}),
        "1 unexpected: bn.num_batches_tracked",
    ),
    "no layers": (
        lambda c: c["manifest"]["click2graph"]["didm"].update(num_layers=2),
        "unexpected: didm.layers.2",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_left_over_or_lacking_is_refused(name, trained, refuse):
    how, line = DAMAGES[name]
    whole = trained / "heads.pt"
    reverse_heads(trained / "heads.safetensors", whole)
    content = torch.load(whole, weights_only=True)
    how(content)
    torch.save(content, whole)
    output = trained / "x.safetensors"
    said = refuse(porting.convert, f"--heads={whole}", f"--output={output}")
    assert re.search(line, said), said
    assert not output.exists()
