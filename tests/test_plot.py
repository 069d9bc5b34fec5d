"""Pictures on demand: which files are drawn, and what is refused."""

import functools
import json

import pytest

from c2g_jax import plot
from c2g_jax.types import InputError
from tests.commands import call_main

RESULTS = (
    '{"dataset": "a", "protocol": {"ks": [3]}, "a": {"didm": {"point": '
    '{"SpIR": {"mean": %s}, "sources": {}, "confusion": {}}}}}'
)


@pytest.fixture
def call(tmp_path):
    return functools.partial(call_main, plot.main, f"--output={tmp_path / 'out'}")


def test_draws_losses_of_whole_lines(call, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "metrics.jsonl"
    lines = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3')
    assert plot.read_losses(path) == lines
    call(f"--metrics={path}")
    assert (tmp_path / "out/losses.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"losses.png written to {tmp_path / 'out'}\n"


@pytest.mark.parametrize(
    ("flag", "text", "says"),
    [
        ("results", "{", "not JSON"),
        ("results", '{"a": 1}', "has no results of c2g_jax.evaluate"),
        ("results", "[]", "has no results of c2g_jax.evaluate"),
        ("results", '{"dataset": []}', "has no results of c2g_jax.evaluate"),
        ("results", '{"dataset": "a", "a": {}}', "no results of c2g_jax.evaluate"),
        ("results", RESULTS % '"high"', "ValueError: SpIR is not a number"),
        ("results", RESULTS % "NaN", "ValueError: SpIR is not a number"),
        ("metrics", "", "has no metrics of c2g_jax.train"),
        ("metrics", "[1]\n", "has no metrics of c2g_jax.train"),
        ("metrics", '{"step": 2, "val/loss": 1.0}\n', "has no training losses yet"),
        ("metrics", '{"step":1,"loss":"x"}\n', 'line 1: loss is "x", not a number'),
        (
            "metrics",
            '{"step": 1, "loss": 1}\n{"step": 2, "loss": NaN}\n',
            "line 2: loss is NaN, not a number",
        ),
        ("metrics", '{"step":null,"loss":1}\n', "line 1: step is null, not a number"),
        ("metrics", '{"step":1,"loss":[1]}\n', r"line 1: loss is \[1\], not a number"),
        ("metrics", '{"step":1,"loss":true}\n', "line 1: loss is true, not a number"),
        ("metrics", None, "No such file or directory: check the path"),
    ],
)
def test_files_that_are_none(call, tmp_path, flag, text, says):
    path = tmp_path / "file"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=says):
        call(f"--{flag}={path}")
    assert not (tmp_path / "out").exists()


def test_nothing_to_draw(call):
    with pytest.raises(InputError, match="give --results or --metrics"):
        call()
