"""The shipped configurations give a task, its clips and its weights."""

import dataclasses
import re
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

from c2g_jax.checkpoints.heads import HEADS, load_model
from c2g_jax.checkpoints.pretrained import load_click2graph, load_sam2
from c2g_jax.checkpoints.safetensors import digest
from c2g_jax.click2graph.prior import Prior, count_relations, write_prior
from c2g_jax.data.dataset import open_dataset
from c2g_jax.training import tasks
from c2g_jax.training.optim import group_of
from c2g_jax.training.state import split_params
from c2g_jax.types import InputError
from tests.commands import ROOT
from tests.equality import same_parameters

CONFIGS = ROOT / "configs"


def load(name: str, data_dir: Path, variant: str = "tiny"):
    config = runpy.run_path(str(CONFIGS / f"{name}.py"))["get_config"](variant)
    config.data.dir = str(data_dir)
    return config


def test_the_segmenter_s_task_and_weights(prepared_toy, tmp_path):
    config = load("sam2_toy", prepared_toy)
    made = tasks.prepare_task(config, local_batch=1)
    parts = split_params(made.task)
    fixed = ("gaussian_matrix", "no_mem_pos_enc")  # nothing that could learn
    assert all(name.endswith(fixed) for name in parts.frozen)
    optim = tasks.optim_config(config)
    assert set(group_of(parts.trained, optim.groups).values()) == set(optim.groups)
    batch = next(iter(made.loader))
    assert batch["frames"].shape == (1, 2, 64, 64, 3)
    made.export(made.task.model, tmp_path / "weights", {"training": {"step": 1}})
    again = load_sam2(tmp_path / "weights")
    assert again.config.image_size == 64  # not the size's own
    assert same_parameters(again, made.task.model)
    whole, taught = load_click2graph(tmp_path / "weights")
    assert (whole.config.sam2.image_size, taught) == (64, False)


@pytest.mark.parametrize(
    "variant", ["encoder", "crops", "images", "memory", "videos", "finetune", "tiny"]
)
def test_every_stage_of_the_segmenter_has_rates_that_are_accepted(variant):
    optim = tasks.optim_config(load("sam2_toy", Path("data"), variant))
    assert set(optim.groups) == {"encoder", "decoder", "memory"}


def test_click2graph_is_built_around_a_segmenter(prepared_toy, tmp_path, caplog):
    config = load("sam2_toy", prepared_toy)
    segmenter = tasks.prepare_task(config, local_batch=1)
    segmenter.export(segmenter.task.model, tmp_path / "sam2", {})
    config = load("toy_pvsg", prepared_toy)
    config.sam2.checkpoint = str(tmp_path / "sam2")
    made = tasks.prepare_task(config, local_batch=1)
    assert "is randomly initialised" not in caplog.text
    model = made.task.model
    assert same_parameters(model.sam2, segmenter.task.model)
    assert model.config.didm.ffn == config.didm.ffn
    parts = split_params(made.task)
    assert {name.split(".")[0] for name in parts.trained} == {"didm", "sch"}
    assert {name.split(".")[0] for name in parts.frozen} == {"sam2"}
    group_of(parts.trained, tasks.optim_config(config).groups)
    assert made.task.counts.sum() > 0
    assert made.task.counts.shape == (57,)
    made.export(parts.whole(parts.trained), tmp_path / "whole", {})
    again, taught = load_click2graph(tmp_path / "whole")
    assert taught
    assert same_parameters(again, model)
    # The heads are beside the whole, and fit around the same SAM2.1.
    assert sorted(path.name for path in tmp_path.iterdir()) == [HEADS, "sam2", "whole"]
    again, warning = load_model(tmp_path / "sam2", tmp_path / HEADS)
    assert warning is None
    assert same_parameters(again, model)
    # What a checkpoint says of the frozen part.
    named = digest(parts.frozen)
    changed = {**parts.frozen}
    changed.popitem()
    assert named != digest(changed)
    # Another filter, by the configuration.
    only = dataclasses.replace(made.task, trainable=(r"sch\..*",))
    assert {n.split(".")[0] for n in split_params(only).trained} == {"sch"}


def test_training_begins_at_trained_heads(prepared_toy, tmp_path):
    config = load("toy_pvsg", prepared_toy)
    first = tasks.prepare_task(config, local_batch=1)
    first.export(first.task.model, tmp_path / "whole", {})
    config.seed += 1
    for heads in ("", tmp_path / "whole", tmp_path / HEADS):
        config.heads = str(heads)
        model = tasks.prepare_task(config, local_batch=1).task.model
        for part in ("didm", "sch"):
            own, given = (getattr(m, part) for m in (model, first.task.model))
            assert same_parameters(own, given) == bool(heads), (part, heads)
        assert not same_parameters(model.sam2, first.task.model.sam2)
    config.sch.hidden += 8
    with pytest.raises(InputError, match=r"heads\.safetensors does not fit .*: confi"):
        tasks.prepare_task(config, local_batch=1)


def test_heads_of_other_names_are_refused(prepared_toy, tmp_path):
    config = load("toy_pvsg", prepared_toy)
    made = tasks.prepare_task(config, local_batch=1)
    model = made.task.model
    names = model.config.vocabulary
    swapped = dataclasses.replace(names, predicates=names.predicates[::-1])
    model.config = dataclasses.replace(model.config, vocabulary=swapped)
    made.export(model, tmp_path / "whole", {})
    config.heads = str(tmp_path / HEADS)
    with pytest.raises(InputError, match="heads for another vocabulary than the data"):
        tasks.prepare_task(config, local_batch=1)


def test_held_out_clips_are_not_augmented(prepared_toy):
    config = load("sam2_toy", prepared_toy)
    made = tasks.prepare_task(config, local_batch=2)
    still = made.eval_loader.source.config
    assert (still.flip, still.brightness, still.contrast, still.saturation) == (0,) * 4
    assert made.loader.source.config.flip > 0
    first, again = (next(iter(made.eval_loader)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    names = {v.video_id for v in made.eval_loader.source.videos}
    assert not names & {v.video_id for v in made.loader.source.videos}


def test_invalid_configurations_are_refused(prepared_toy, tmp_path):
    config = load("sam2_toy", prepared_toy)
    config.task = "sam3"
    with pytest.raises(InputError, match="task 'sam3': use one of segmenter, click2gr"):
        tasks.prepare_task(config, 1)
    with pytest.raises(InputError, match="no prepared data set"):
        tasks.prepare_task(load("sam2_toy", tmp_path), 1)


def test_the_prior_of_the_set_is_in_the_heads(prepared_toy, tmp_path):
    config = load("toy_pvsg", prepared_toy)
    config.sch.prior = 1.0
    vocabulary = open_dataset(prepared_toy, "toy_pvsg", "default").vocabulary
    rows = np.array([[0, 1, 2]] * 5)
    prior = Prior(vocabulary, count_relations(rows, 126, 57))
    write_prior(tmp_path / "prior.json", prior)
    config.prior = str(tmp_path / "prior.json")
    made = tasks.prepare_task(config, local_batch=1)
    table = np.asarray(made.task.model.sch.prior.bias[...])
    np.testing.assert_allclose(table[0, 1].argmax(), 2)
    np.testing.assert_allclose(table.sum(axis=2), 1, rtol=1e-5)
    parts = split_params(made.task)
    assert {"sch.prior.bias", "sch.prior.scale"} <= parts.trained.keys()
    optim = tasks.optim_config(config)
    for name in ("sch.prior.bias", "sch.prior.scale"):
        assert re.fullmatch(optim.no_decay, name)  # the table never changes
    made.export(made.task.model, tmp_path / "whole", {})
    again, _ = load_click2graph(tmp_path / "whole")
    assert same_parameters(again, made.task.model)
    # Without one, and with that of other names.
    config.prior = str(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"none\.json: .*: give a prior\.json"):
        tasks.prepare_task(config, local_batch=1)
    other = dataclasses.replace(vocabulary, predicates=vocabulary.predicates[:-1])
    fewer = Prior(other, count_relations(rows, 126, 56))
    write_prior(tmp_path / "other.json", fewer)
    config.prior = str(tmp_path / "other.json")
    with pytest.raises(InputError, match="has another vocabulary"):
        tasks.prepare_task(config, local_batch=1)


def test_the_variants_with_a_prior():
    for name, variant in (("toy_pvsg", "prior"), ("open_pvsg", "8:prior")):
        config = load(name, Path("data"), variant)
        assert (config.sch.prior, config.prior) == (1.0, "")
    assert load("open_pvsg", Path("data"), "8").batch_size == 8
