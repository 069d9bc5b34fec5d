"""The built wheel, installed by pip and used outside of the checkout."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.commands import ROOT

pytestmark = pytest.mark.slow
pytest.importorskip("hatchling")
# Folders of the package, and the files of the checkout that it may contain.
FOLDERS = ("web/static", "toy_checkpoint", "example")
TOP = r"c2g_jax/|click2graph_jax-[0-9.]+\.dist-info/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    words = ("-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs a program of a fresh environment with the wheel in it, in an empty folder.

    It sees the packages of this one behind its own, but no checkout that is installed
    here: a .pth file within a folder that a .pth file names is not read.
    """
    place = tmp_path_factory.mktemp("fresh")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    scripts = place / "venv" / "bin"
    packages = (
        place / "venv" / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    )
    (packages / "here.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", f"--python={scripts / 'python'}", "install")
    quiet = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    subprocess.run([*pip, *quiet, wheel], check=True)
    (place / "empty").mkdir()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env |= {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(place / "cache")}

    def start(program, *words, run=subprocess.run, **options):
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        command = [str(scripts / program), *map(str, words)]
        return run(command, cwd=place / "empty", env=env, **pipes, **options)

    start.packages = packages
    return start


def test_the_wheel_holds_the_package_alone_and_all_of_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if not re.match(TOP, name)] == []
    package = ROOT / "c2g_jax"
    shipped = [
        path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    missing = {str(path.relative_to(ROOT)) for path in shipped} - set(names)
    assert missing == set()
    for name in ("LICENSE", "NOTICE"):
        assert any(entry.endswith(f"licenses/{name}") for entry in names)


def test_it_is_imported_from_where_it_is_installed(installed):
    done = installed("python", "-c", "import c2g_jax; print(c2g_jax.__file__)")
    assert done.stdout.strip() == str(installed.packages / "c2g_jax" / "__init__.py")


def test_the_licence_is_in_the_metadata(installed):
    code = "from importlib.metadata import metadata as m; d = m('click2graph-jax');"
    done = installed("python", "-c", f"{code} print(d['License-Expression'])")
    assert done.stdout == "Apache-2.0\n", done.stderr


@pytest.mark.parametrize("program", ["c2g-predict", "c2g-web"])
def test_the_programs_tell_what_they_do(installed, program):
    done = installed(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--video: Video file, folder of frames" in done.stdout


def test_a_program_refuses_in_one_line(installed):
    done = installed("c2g-predict", "--video=a.mp4", "--point=1,1", "--output=out")
    line = "a.mp4: no such video, image or folder: check the path\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    done = installed("python", "-m", "c2g_jax.prepare", "--toy", "--data_dir=data")
    assert done.returncode == 2
    assert "prepare runs in a checkout of the project" in done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_lies_beside_the_code_is_there(installed, folder):
    ours, theirs = ROOT / "c2g_jax" / folder, installed.packages / "c2g_jax" / folder
    if not ours.is_dir():
        pytest.skip(f"this checkout has no {folder}")
    for file in ours.iterdir():
        assert (theirs / file.name).read_bytes() == file.read_bytes()
    assert any(ours.iterdir())


def test_the_schema_and_the_vocabulary_are_read(installed):
    code = (
        "import json, pathlib, c2g_jax; from c2g_jax.vocabulary import load_vocabulary;"
        "p = pathlib.Path(c2g_jax.__file__).with_name('export');"
        "schema = json.loads((p / 'scene_graph.schema.json').read_text());"
        "print(len(load_vocabulary().objects), schema['type'])"
    )
    assert installed("python", "-c", code).stdout == "126 object\n"


def test_the_shipped_checkpoint_is_read(installed):
    if not (ROOT / "c2g_jax" / "toy_checkpoint").is_dir():
        pytest.skip("this checkout has no checkpoint to ship")
    code = (
        "from c2g_jax.checkpoints.pretrained import TOY_CHECKPOINT as folder;"
        "from c2g_jax.checkpoints.pretrained import load_click2graph;"
        "print(load_click2graph(folder)[1])"
    )
    done = installed("python", "-c", code)
    assert done.stdout == "True\n", done.stderr


def test_the_page_is_served(installed):
    server = installed("c2g-web", "--port=0", run=subprocess.Popen)
    try:
        url = re.match(r"http://127\.0\.0\.1:\d+/", server.stdout.readline()).group()
        for name in ("", "static/main.js", "static/style.css", "vocabulary"):
            with urllib.request.urlopen(url + name, timeout=60) as answer:
                assert (answer.status, len(answer.read()) > 100) == (200, True)
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=60)
        assert server.returncode == 0, err
    finally:
        server.kill()
        server.wait()
