"""Configurations, their overrides, and the errors for typos."""

import dataclasses
import runpy
import shlex
import subprocess

import pytest
from ml_collections import ConfigDict

from c2g_jax.click2graph.loss import RelationLoss
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.from_scratch.didm import FromScratchDidmConfig, didm_config
from c2g_jax.from_scratch.relation_loss import FromScratchRelationLoss
from c2g_jax.from_scratch.sch import FromScratchSchConfig, sch_config
from c2g_jax.training import tasks
from c2g_jax.training.config_files import check_overrides, differences, to_json
from c2g_jax.types import InputError
from tests.commands import ROOT, refusal

CONFIGS = ROOT / "configs"
TOY = f"--config={CONFIGS / 'toy_pvsg.py'}"


def load(name: str, *args: str) -> ConfigDict:
    return runpy.run_path(str(CONFIGS / f"{name}.py"))["get_config"](*args)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--config.lr.shc=1"], r"--config.lr.shc: .*did you mean 'sch'\?"),
        (["--config.lrr.sch=1"], r"--config.lrr: .*did you mean 'lr'\?"),
        (["--config.steps.more", "1"], r"--config.steps.more: .*it has no fields"),
        (["--config.xyz=1"], r"--config.xyz: there is no such field; it has .*seed"),
    ],
)
def test_a_typo_in_a_field_gets_a_suggestion(words, line):
    with pytest.raises(InputError, match=line):
        check_overrides(["train", TOY, *words])


def test_a_missing_configuration_is_refused(tmp_path):
    with pytest.raises(InputError, match="--config is missing"):
        check_overrides(["train", "--multihost"])
    unknown = ["train", "--no_such_flag=1"]
    assert check_overrides(unknown) == unknown  # for absl to name it
    with pytest.raises(InputError, match=r"--config=nowhere.py: no such file"):
        check_overrides(["train", "--config=nowhere.py"])
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(InputError, match="has no get_config"):
        check_overrides(["train", f"--config={tmp_path / 'empty.py'}"])
    with pytest.raises(InputError, match=r"py:large: variant 'large': the variants"):
        check_overrides(["train", f"{TOY}:large"])
    check_overrides(["train", f"{TOY}:tiny", "--config.lr.sch=1", "--noconfig.didm"])


def test_overrides_may_come_in_any_order():
    field, rest = "--config.lr.sch=1", "--workdir=x"
    two_words = ["--config", TOY.partition("=")[2]]
    for words in ([field, TOY, rest], [field, *two_words, rest]):
        assert check_overrides(["train", *words]) == ["train", TOY, field, rest]
    with pytest.raises(InputError, match="--config=: no such file"):
        check_overrides(["train", field, "--config"])


def test_the_stages_of_the_toy_follow_each_other(tmp_path):
    words = [
        "make",
        "-n",
        "toy",
        f"TOY={tmp_path / 'runs'}",
        "TOY_ARGS=--config.seed=1",
    ]
    printed = subprocess.check_output(words, cwd=ROOT, text=True)
    lines = printed.replace("\\\n", " ").splitlines()
    stages = [shlex.split(line)[2:] for line in lines if "c2g_jax.train" in line]
    before = None
    for words in stages:
        told = dict(w.lstrip("-").split("=", 1) for w in words if w.startswith("--"))
        check_overrides(["train", *words])
        assert told["config.seed"] == "1"
        assert told.get("config.sam2.checkpoint") == before
        before = f"{told['workdir']}/weights"
    assert len(stages) == 6
    assert f"c2g_jax.tune --checkpoint={before} " in printed.replace('"', "")


def test_the_command_takes_them_in_any_order(tmp_path):
    line = refusal(
        "c2g_jax.train",
        f"--workdir={tmp_path / 'run'}",
        "--config.seed=1",
        f"--config={CONFIGS / 'toy_pvsg.py'}:tiny",
        f"--config.data.dir={tmp_path}",
    )
    assert "no prepared data set" in line


def test_differences_name_fields_and_both_values():
    old = {"a": 1, "b": {"c": 2, "d": (1, 2)}, "e": {"f": 1}}
    new = {"a": 1, "b": {"c": 3, "d": [1, 2]}, "e": {"f": 2}, "g": 0.5}
    assert differences(new, old) == ["b.c: 2 -> 3", "e.f: 1 -> 2", "g: (none) -> 0.5"]
    assert differences(new, old, ("e", "b.c")) == ["g: (none) -> 0.5"]


def test_settings_are_the_paper_s_where_it_gives_them():
    config = load("open_pvsg")
    optim = tasks.optim_config(config)
    didm, sch = optim.groups["didm"], optim.groups["sch"]
    assert (didm.lr, didm.schedule, didm.lr_end) == (5e-5, "cosine", 1e-5)
    assert (sch.lr, sch.schedule) == (5e-4, "constant")
    assert config.steps == 400 * 338
    assert load("open_pvsg", "8").steps == 400 * 338 // 8
    assert config.clip.num_frames == 8
    assert config.clip.prompt_mix == (0.49, 0.49, 0.02)
    assert (config.sam2.size, config.sam2.image_size) == ("large", 1024)
    assert config.didm.num_queries == 3
    loss = config.loss
    weights = (loss.bce, loss.dice, loss.iou, loss.point)
    assert weights == (10, 1, 1, 20)
    assert (loss.subject, loss.object, loss.predicate) == (10, 10, 20)
    assert loss.true_points == 0


@pytest.mark.parametrize("name", ["open_pvsg", "toy_pvsg"])
def test_every_choice_is_a_field(name):
    config = load(name)
    sections = {
        "loss": (FromScratchRelationLoss, FromScratchRelationLoss),
        "didm": (FromScratchDidmConfig, didm_config),
        "sch": (FromScratchSchConfig, sch_config),
    }
    made = {"d_model", "num_objects", "num_predicates"}  # from the others
    made |= {"prior"}  # of a variant
    for section, (kind, build) in sections.items():
        fields = {field.name for field in dataclasses.fields(kind)} - made
        assert set(config[section]) == fields
        built = build(**config[section])
        paper = kind.__mro__[1]
        assert isinstance(built, paper)
        if build is not kind:
            assert (type(built) is paper) == (name == "open_pvsg")
    left = {f.name for f in dataclasses.fields(ClipConfig)} - set(config.clip)
    # What the task decides, and what is nothing to choose.
    assert left == {
        "task",
        "image_size",
        "thing_weight",
        "crop",
        "crop_to",
        "pasted",
        "point_side",
    }
    tasks.loop_config(config)
    assert to_json(config)["clip"]["prompt_mix"] == [0.49, 0.49, 0.02]


def test_a_section_with_an_unknown_field_is_refused():
    with pytest.raises(InputError, match=r"config.loss has unknown fields bec: use"):
        tasks.build(RelationLoss, {"bec": 1.0}, "loss")
    with pytest.raises(InputError, match=r"config.clip has unknown fields task"):
        tasks.build(ClipConfig, {"task": "x"}, "clip", task="segments")
    config = load("toy_pvsg")
    del config.lr["sch"]
    with pytest.raises(InputError, match=r"config.lr lacks the group 'sch'"):
        tasks.optim_config(config)
