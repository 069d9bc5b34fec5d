"""What the flags of the evaluation ask for."""

import dataclasses

import pytest
from absl import flags
from absl.testing import flagsaver

from c2g_jax.evaluation.plan import AUTO, read_plan, read_shard
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.protocol_flags import comments, protocol_from_flags
from c2g_jax.types import InputError

DIDM, HEURISTIC, ORACLE = ("didm", "point"), ("heuristic", "point"), ("oracle", "point")


def plan(tables=None, systems=None, kinds=None, runs_of=(), runs=25):
    return read_plan(tables, systems, kinds, runs_of, runs)


def test_tables_of_the_paper_and_the_oracle_beside_them():
    assert plan() == ((2,), {DIDM: 25, ORACLE: 1})
    numbers, all_of_them = plan(["2", "3", "4"])
    assert numbers == (2, 3, 4)
    assert all_of_them == {
        DIDM: 25,
        ("didm", "mask"): 1,
        ("didm", "box"): 25,
        HEURISTIC: 25,
        ORACLE: 1,
    }


def test_systems_and_kinds_by_hand():
    numbers, own = plan(systems=["didm", "heuristic"], kinds=["mask", "box"], runs=4)
    assert numbers == ()
    assert own[("heuristic", "mask")] == 1
    assert own[("heuristic", "box")] == own[("didm", "box")] == 4
    assert plan(systems=["oracle"])[1] == {ORACLE: 25}


def test_without_trained_heads_there_is_no_didm():
    own = read_plan(None, None, None, (), 4, trained=False)
    assert own == ((), {HEURISTIC: 4, ORACLE: 4})
    boxes = read_plan(None, None, ["box"], (), 4, trained=False)[1]
    assert boxes == {("heuristic", "box"): 4, ("oracle", "box"): 4, ORACLE: 1}
    for tables, systems in ((["2"], None), (["4"], None), (None, ["didm"])):
        with pytest.raises(InputError, match="alone, so there is no DIDM"):
            read_plan(tables, systems, None, (), 4, trained=False)


def test_runs_of_a_part():
    own = plan(["3"], runs_of=["didm/box=5"])[1]
    assert own[("didm", "box")] == 5
    assert own[DIDM] == 25


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(tables=["5"]), "--tables=5: use some of 2, 3, 4"),
        (dict(systems=["didn"]), "--systems=didn: use some of didm, heuristic, oracle"),
        (dict(kinds=["click"]), "--prompt_kinds=click: use some of point, box, mask"),
        (dict(tables=["2"], kinds=["box"]), "--tables excludes"),
        (dict(runs_of=["didm/box=5"]), "--runs_of=didm/box=5.*didm/point"),
        (dict(runs_of=["didm/point=0"]), "--runs_of=didm/point=0"),
    ],
)
def test_plans_that_make_no_sense(options, says):
    with pytest.raises(InputError, match=says):
        plan(**options)


def test_shards():
    assert read_shard("1/3") == (1, 3)
    for text in ("3/3", "1", "-1/2", "0/0"):
        with pytest.raises(InputError, match="write I/N"):
            read_shard(text)


def test_every_field_of_the_protocol_is_a_flag_with_its_comment():
    names = {field.name for field in dataclasses.fields(Protocol)}
    assert names == comments().keys()
    for name, said in comments().items():
        assert said.endswith("."), name
        assert len(said) > 10, name
    assert flags.FLAGS["tau"].help.endswith("Least IoU of a hit, inclusive.")
    with flagsaver.flagsaver():
        flags.FLAGS(["x"])
        assert protocol_from_flags() == Protocol()
    with flagsaver.flagsaver():
        flags.FLAGS(["x", "--ks=1,20", "--noone_to_one", "--link=none", "--tau=0.25"])
        assert protocol_from_flags() == Protocol(
            ks=(1, 20), one_to_one=False, link="none", tau=0.25
        )
    with flagsaver.flagsaver():
        flags.FLAGS(["x", "--ks=three"])
        with pytest.raises(InputError, match="--ks=three: give numbers"):
            protocol_from_flags()


def test_without_prompts_beside_clicks():
    def auto(*words, trained=True, tables=None):
        return read_plan(tables, None, None, words, 25, trained, auto=True)

    assert auto() == ((), {DIDM: 25, AUTO: 1})
    assert auto("didm/point=2")[1] == {DIDM: 2, AUTO: 1}
    numbers, plan_of_table = auto(tables=["2"])
    assert (numbers, plan_of_table) == ((2,), {DIDM: 25, AUTO: 1, ORACLE: 1})
    with pytest.raises(InputError, match="--auto needs trained heads"):
        auto(trained=False)
