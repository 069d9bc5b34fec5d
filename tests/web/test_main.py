"""The command as users start it, and its errors."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from c2g_jax.click2graph.prior import Prior, count_relations, write_prior
from c2g_jax.vocabulary import Vocabulary, load_vocabulary
from c2g_jax.web.__main__ import prior_for
from tests.commands import ROOT, refusal

MODULE = "c2g_jax.web"


def test_what_cannot_be_served_is_one_line(tmp_path):
    state = f"--state={tmp_path}"
    assert "no such file" in refusal(MODULE, state, "--video=missing.mp4")
    assert "no such folder" in refusal(MODULE, state, "--checkpoint=missing")
    assert "no.json: No such file" in refusal(MODULE, state, "--prior_file=no.json")
    assert "--fps is 0" in refusal(MODULE, state, "--fps=0")
    assert "--port is 70000" in refusal(MODULE, state, "--port=70000")


def a_prior(path, names):
    sizes = len(names.objects), len(names.predicates)
    write_prior(path, Prior(names, count_relations(np.array([[0, 1, 0]]), *sizes)))
    return path


def test_a_prior_of_other_names_is_refused_or_told(tmp_path, capsys):
    state = f"--state={tmp_path}"
    foreign = Vocabulary(("lion", "hare"), (), ("eats",))
    path = a_prior(tmp_path / "foreign.json", foreign)
    line = refusal(MODULE, state, f"--prior_file={path}")
    assert f"--prior_file={path}: the prior has no object category in common" in line
    names = load_vocabulary()
    for word in ("human", "adult"):
        other = dataclasses.replace(names, things=(word, *names.things[1:]))
        path = a_prior(tmp_path / "prior.json", other)
        with flagsaver.flagsaver():
            flags.FLAGS(["web", f"--prior_file={path}"])
            assert prior_for(None).vocabulary == other
        told = capsys.readouterr().err
        assert ("(things, name 1: 'human', not 'adult')" in told) == (word == "human")
        assert bool(told) == (word == "human")


def test_it_answers_on_this_machine_and_ends_with_ctrl_c(tmp_path):
    state = f"--state={tmp_path / 'state'}"
    projects = f"--projects={tmp_path / 'projects'}"
    command = [sys.executable, "-m", MODULE, "--port=0", state, projects]
    server = subprocess.Popen(
        [*command, f"--checkpoint={tmp_path}"],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = server.stdout.readline()
        url = re.match(r"http://127\.0\.0\.1:\d+/", line).group()
        with urllib.request.urlopen(f"{url}status", timeout=60) as answer:
            assert json.load(answer)["ready"] is False
        assert "there is no model: " in server.stderr.readline()
        # The page is served before the model is ready; a second server is refused.
        assert "another server" in refusal(MODULE, state, "--port=0")
        elsewhere = f"--state={tmp_path / 'elsewhere'}"
        assert "--projects" in refusal(MODULE, elsewhere, projects, "--port=0")
        port = url.rstrip("/").rpartition(":")[2]
        taken = refusal(MODULE, f"--state={tmp_path / 'other'}", f"--port={port}")
        assert "in use" in taken
        assert not (tmp_path / "other").exists()
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
        assert (server.returncode, out) == (0, "")
        assert "Traceback" not in err
    finally:
        server.kill()
        server.wait()


COMPILING = """
import sys
import threading

from c2g_jax.cli import launch
from c2g_jax.web import __main__, model_host, readiness
from tests.web.fake_session import FakeModelHost

readiness.QUIET = 0
loading = sys.argv.pop() == "load"


class Host(FakeModelHost):
    def __init__(self, *_, **__):
        super().__init__(hold=threading.Event() if loading else None)

    def warm_up(self, report):
        if loading:
            print("compiling", flush=True)
        super().warm_up(report)

    def warm_tracking(self, report):
        import jax

        report("compiling tracking")
        print("compiling", flush=True)
        for n in range(1, 10**6):
            jax.jit(lambda x: jax.numpy.sort(x) @ x)(jax.numpy.ones(n))


model_host.ModelHost = Host
launch.run(__main__.main)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["load", "beside"])
def test_it_ends_at_once_whatever_is_compiled(tmp_path, when, number):
    places = [f"--{name}={tmp_path / name}" for name in ("state", "projects")]
    server = subprocess.Popen(
        [sys.executable, "-c", COMPILING, *places, "--port=0", when],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout.readline().startswith("http://127.0.0.1")
        assert server.stdout.readline() == "compiling\n"
        time.sleep(1.0)  # in the middle of it
        server.send_signal(number)
        out, err = server.communicate(timeout=30)
        assert (server.returncode, out, err) == (0, "", "")
    finally:
        server.kill()
        server.wait()


def test_the_state_goes_with_projects_of_their_own(tmp_path):
    from c2g_jax.cli.paths import user_cache
    from c2g_jax.web import __main__

    for given, state in (
        ([], user_cache()),
        ([f"--projects={tmp_path}"], tmp_path / ".state"),
        ([f"--projects={tmp_path}", f"--state={tmp_path / 's'}"], tmp_path / "s"),
    ):
        with flagsaver.flagsaver():
            flags.FLAGS(["web", *given])
            assert __main__.read_flags()[0].state == state.resolve()


def test_a_ctrl_c_counts_while_the_server_is_loaded(tmp_path, monkeypatch):
    """Exceptions in the garbage collector's callbacks, which JAX installs, are lost."""
    from c2g_jax.cli import interrupts
    from c2g_jax.web import __main__, app

    class Loaded(Exception):
        pass

    def create_app(*_):
        assert signal.getsignal(signal.SIGINT) is interrupts._exit
        raise Loaded

    monkeypatch.setattr(app, "create_app", create_app)
    before = signal.getsignal(signal.SIGINT)
    places = [f"--{name}={tmp_path / name}" for name in ("state", "projects")]
    arguments = ["web", *places, "--port=0"]
    try:
        with flagsaver.flagsaver():
            flags.FLAGS(arguments)
            with pytest.raises(Loaded):
                __main__.main([])
    finally:
        signal.signal(signal.SIGINT, before)
