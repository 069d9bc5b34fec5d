"""What all tests share."""

import ctypes
import fcntl
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

# The tests are of the numbers, which are defined in float32 on a CPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What is compiled is kept for one run of the tests, for all of its processes: XLA's
# programs, and bytecode where the environment forbids it beside the sources. Tests that
# count compilations count requests, which the cache answers or not.
_CACHE, _NO_BYTECODE = "JAX_COMPILATION_CACHE_DIR", "PYTHONDONTWRITEBYTECODE"
_KEPT = None if _CACHE in os.environ else tempfile.mkdtemp(prefix="compiled-")
if _KEPT:
    os.environ[_CACHE] = f"{_KEPT}/programs"
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    if os.environ.pop(_NO_BYTECODE, None):
        os.environ["PYTHONPYCACHEPREFIX"] = f"{_KEPT}/bytecode"
# torch's threads wait by spinning: two processes with two each would hinder each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts what runs in its background deaf to Ctrl-C, which tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Where the builders lie, as `prepare` finds them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "datasets"))


# Where numbers are compared with PyTorch's or with saved ones, programs are optimised
# as they are for users. Elsewhere tests would wait for the optimiser, not the program.
OPTIMISED = ("parity", "test_saved_files.py")
_QUICK = "JAX_DISABLE_MOST_OPTIMIZATIONS"
# Tracing makes many objects that live long: look through them less often.
gc.set_threshold(50_000, 20, 50)
# A process that holds more bytes after a file drops its compiled programs: they are on
# disk too. Without this it grows to 10 GB.
_MOST_HELD = 3e9


@pytest.fixture(scope="module", autouse=True)
def optimisation(request):
    """XLA's optimisations, on or off for this file and the programs that it starts."""
    on_cpu = os.environ["JAX_PLATFORMS"] == "cpu"
    quick = str(int(on_cpu and not is_optimised(request.path)))
    if "jax" in sys.modules and os.environ.get(_QUICK, "0") != quick:
        import jax

        jax.config.update(_QUICK.lower(), quick == "1")
        jax.clear_caches()
    os.environ[_QUICK] = quick
    yield
    if "jax" in sys.modules and _held() > _MOST_HELD:
        import jax

        jax.clear_caches()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)


def _held() -> int:
    """Bytes of memory of this process, where the system tells."""
    status = Path("/proc/self/statm")
    pages = int(status.read_text().split()[1]) if status.exists() else 0
    return pages * os.sysconf("SC_PAGESIZE")


def is_optimised(path: Path) -> bool:
    return path.relative_to(Path(__file__).parent).parts[0] in OPTIMISED


def pytest_unconfigure():
    if _KEPT:
        shutil.rmtree(_KEPT, ignore_errors=True)


def pytest_collection_modifyitems(items):
    """The longest first, so that two processes end at about the same time."""
    items.sort(
        key=lambda item: ("large" not in item.keywords, not is_optimised(item.path))
    )


def made_once(factory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of all test processes fills, and the others wait for."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = root / name, root / f"{name}.done"
    with open(root / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def drawn_tree(tmp_path_factory) -> Path:
    """The download of `drawn`, unpacked. Not to be written to."""
    from tests.datasets import drawn

    return drawn.write_tree(tmp_path_factory.mktemp("drawn") / "tree")


@pytest.fixture(scope="session")
def toy_download(tmp_path_factory) -> Path:
    """The tiny drawn world, as a download unpacked. Not to be written to."""

    def make(folder):
        from toy_pvsg.generate import generate

        generate(folder, size="tiny", seed=0)

    return made_once(tmp_path_factory, "toy_download", make)


@pytest.fixture(scope="session")
def prepared_toy(tmp_path_factory, toy_download) -> Path:
    """A data_dir with the tiny world prepared as "toy_pvsg". Not to be written to."""

    def make(folder):
        from open_pvsg.build import build

        configs = ("videos", "default")
        build(toy_download, folder, name="toy_pvsg", configs=configs, workers=1)

    return made_once(tmp_path_factory, "prepared_toy", make)


@pytest.fixture(scope="session")
def toy_dataset(prepared_toy):
    """The same, opened."""
    from c2g_jax.data.dataset import open_dataset

    return open_dataset(prepared_toy, "toy_pvsg")


@pytest.fixture(scope="session")
def true_predictions(tmp_path_factory, toy_dataset) -> Path:
    """All that is true of its split val, in two runs. Not to be written to."""

    def make(folder):
        from tests.evaluation.predictions import write_truth

        write_truth(folder, toy_dataset, toy_dataset.videos("val"), runs=2)

    return made_once(tmp_path_factory, "true_predictions", make)
