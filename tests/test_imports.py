"""Who may import whom, and that the library never needs torch or tensorflow."""

import ast
import fnmatch
import json
import re
import sys
from pathlib import Path

import pytest

import c2g_jax
from tests.commands import ROOT, python

FOLDERS = ("c2g_jax", "porting", "configs", "datasets", "benchmarks", "tools", "tests")
ANYTHING = "*"

# Patterns of modules; what they may import of this project, as patterns too; and which
# packages from outside the standard library. The first row that matches counts, and a
# module that no row matches is an error: a new file states its place here.
MAINS = ("predict", "train", "evaluate", "correct", "plot", "prepare", "web")
_SAM2 = "c2g_jax.sam2.*"
_ARRAYS = "jax numpy flax jaxtyping"
TABLE = (
    ("c2g_jax", "c2g_jax.session c2g_jax.interrupts", ""),
    ("c2g_jax.interrupts", "", ""),
    ("c2g_jax.commands", "c2g_jax.interrupts", ""),
    ("c2g_jax.types", "", "numpy jaxtyping"),
    ("c2g_jax.vocabulary", "c2g_jax.types", "numpy"),
    ("c2g_jax.launch", "c2g_jax.types c2g_jax.interrupts c2g_jax.outputs", "absl"),
    ("c2g_jax.compiled", "", "jax absl"),
    ("c2g_jax.images", "c2g_jax.types", "numpy PIL"),
    ("c2g_jax.frames", "c2g_jax.types c2g_jax.images", "numpy"),
    (
        "c2g_jax.video",
        "c2g_jax.types c2g_jax.images c2g_jax.frames c2g_jax.outputs",
        "numpy av PIL",
    ),
    ("c2g_jax.sam2.postprocess", "", "numpy scipy"),
    (
        "c2g_jax.sam2.*_predictor|c2g_jax.sam2.video_state|c2g_jax.sam2.video_tracker|c2g_jax.sam2.frame_reader|c2g_jax.sam2.user_prompts|c2g_jax.sam2.track_history|c2g_jax.sam2.mask_generator|c2g_jax.sam2.found_masks",
        f"{_SAM2} c2g_jax.types c2g_jax.video c2g_jax.frames c2g_jax.images "
        "c2g_jax.weights c2g_jax.rle",
        f"{_ARRAYS} scipy",
    ),
    ("c2g_jax.sam2|c2g_jax.sam2.*", f"{_SAM2} c2g_jax.types", _ARRAYS),
    ("c2g_jax.dropout", "", _ARRAYS),
    ("c2g_jax.pointing|c2g_jax.pooling", "", _ARRAYS),
    (
        "c2g_jax.didm|c2g_jax.sch",
        f"{_SAM2} c2g_jax.types c2g_jax.dropout c2g_jax.pointing c2g_jax.pooling",
        _ARRAYS,
    ),
    (
        "c2g_jax.losses|c2g_jax.matching|c2g_jax.muon|c2g_jax.optim",
        f"{_SAM2} c2g_jax.types c2g_jax.muon",
        f"{_ARRAYS} optax",
    ),
    ("c2g_jax.object_tracks", "c2g_jax.types", "numpy scipy"),
    (
        "c2g_jax.click2graph",
        f"{_SAM2} c2g_jax.types c2g_jax.vocabulary c2g_jax.didm c2g_jax.sch "
        "c2g_jax.pooling "
        "c2g_jax.object_tracks",
        _ARRAYS,
    ),
    (
        "c2g_jax.tracking|c2g_jax.tracking_state",
        f"{_SAM2} c2g_jax.types c2g_jax.click2graph c2g_jax.object_tracks "
        "c2g_jax.images c2g_jax.tracking_state",
        _ARRAYS,
    ),
    (
        "c2g_jax.pretrained",
        f"{_SAM2} c2g_jax.types c2g_jax.vocabulary c2g_jax.didm c2g_jax.sch "
        "c2g_jax.object_tracks c2g_jax.click2graph c2g_jax.weights",
        _ARRAYS,
    ),
    (
        "c2g_jax.weights",
        "c2g_jax.types c2g_jax.outputs",
        f"{_ARRAYS} safetensors",
    ),
    (
        "c2g_jax.checkpoints",
        "c2g_jax.types c2g_jax.weights c2g_jax.sharding",
        f"{_ARRAYS} orbax",
    ),
    ("c2g_jax.sharding", "c2g_jax.types", _ARRAYS),
    (
        "c2g_jax.prompts|c2g_jax.scene_graph|c2g_jax.spans",
        "c2g_jax.types c2g_jax.vocabulary c2g_jax.spans c2g_jax.object_tracks",
        "numpy scipy",
    ),
    (
        "c2g_jax.data|c2g_jax.data.*",
        "c2g_jax.data.* c2g_jax.types c2g_jax.vocabulary c2g_jax.images "
        "c2g_jax.prompts c2g_jax.rle c2g_jax.frames",
        "numpy PIL tensorflow_datasets google grain absl",
    ),
    ("c2g_jax.outputs", "c2g_jax.types", ""),
    ("c2g_jax.report", "c2g_jax.types", "rich"),
    ("c2g_jax.rle", "", "numpy pycocotools"),
    ("c2g_jax.json_lines", "c2g_jax.types", ""),
    (
        "c2g_jax.prompts_file",
        "c2g_jax.types c2g_jax.images c2g_jax.rle",
        "numpy",
    ),
    (
        "c2g_jax.export|c2g_jax.export_*|c2g_jax.overlay",
        "c2g_jax.outputs c2g_jax.overlay c2g_jax.spans c2g_jax.types c2g_jax.video "
        "c2g_jax.images c2g_jax.vocabulary c2g_jax.scene_graph c2g_jax.rle",
        "numpy av PIL pycocotools networkx",
    ),
    ("c2g_jax.config_files", "c2g_jax.types", "absl ml_collections"),
    (
        "c2g_jax.training.metrics|c2g_jax.training.prefetch|c2g_jax.training.interrupt|c2g_jax.training.workdir|c2g_jax.training.step_trace",
        "c2g_jax.types c2g_jax.checkpoints c2g_jax.config_files c2g_jax.outputs "
        "c2g_jax.sharding c2g_jax.json_lines",
        "jax numpy tensorboardX",
    ),
    (
        "c2g_jax.training.state|c2g_jax.training.loop",
        "c2g_jax.training.* c2g_jax.types c2g_jax.optim c2g_jax.sharding "
        "c2g_jax.checkpoints c2g_jax.weights",
        f"{_ARRAYS} optax",
    ),
    (
        "c2g_jax.training.tasks",
        f"{_SAM2} c2g_jax.training.* c2g_jax.data.* c2g_jax.types c2g_jax.click2graph "
        "c2g_jax.optim c2g_jax.pretrained c2g_jax.weights",
        _ARRAYS,
    ),
    (
        "c2g_jax.training.*",
        f"{_SAM2} c2g_jax.training.* c2g_jax.types c2g_jax.losses c2g_jax.matching "
        "c2g_jax.prompts c2g_jax.pointing c2g_jax.pooling "
        "c2g_jax.click2graph c2g_jax.didm c2g_jax.sch c2g_jax.dropout "
        "c2g_jax.pretrained c2g_jax.weights",
        f"{_ARRAYS} optax",
    ),
    (
        "c2g_jax.session.simulate|c2g_jax.session.gains",
        "c2g_jax.session.* c2g_jax.evaluation.* c2g_jax.data.* c2g_jax.types "
        "c2g_jax.vocabulary c2g_jax.prompts c2g_jax.rle c2g_jax.spans",
        "numpy",
    ),
    (
        "c2g_jax.session|c2g_jax.session.*",
        f"c2g_jax c2g_jax.session.* c2g_jax.export* c2g_jax.evaluation.* {_SAM2} "
        "c2g_jax.types c2g_jax.vocabulary c2g_jax.images c2g_jax.video c2g_jax.rle "
        "c2g_jax.overlay c2g_jax.outputs c2g_jax.spans c2g_jax.scene_graph "
        "c2g_jax.didm c2g_jax.sch c2g_jax.pooling c2g_jax.click2graph "
        "c2g_jax.object_tracks "
        "c2g_jax.pretrained c2g_jax.weights c2g_jax.prompts c2g_jax.tracking "
        "c2g_jax.tracking_state",
        f"{_ARRAYS} scipy",
    ),
    (
        "c2g_jax.evaluation.protocol_flags|c2g_jax.evaluation.partial",
        "c2g_jax.evaluation.* c2g_jax.data.* c2g_jax.types c2g_jax.launch "
        "c2g_jax.config_files c2g_jax.json_lines",
        "absl",
    ),
    ("c2g_jax.evaluation.plots", "", "numpy matplotlib"),
    (
        "c2g_jax.evaluation.job",
        "c2g_jax.evaluation.* c2g_jax.data.* c2g_jax.click2graph c2g_jax.report",
        "",
    ),
    (
        "c2g_jax.evaluation.document",
        "c2g_jax c2g_jax.evaluation.* c2g_jax.data.* c2g_jax.outputs",
        "",
    ),
    (
        "c2g_jax.evaluation|c2g_jax.evaluation.*",
        f"c2g_jax.evaluation.* c2g_jax.data.* {_SAM2} c2g_jax.types c2g_jax.vocabulary "
        "c2g_jax.rle c2g_jax.prompts c2g_jax.spans c2g_jax.scene_graph c2g_jax.export "
        "c2g_jax.didm c2g_jax.sch c2g_jax.pooling c2g_jax.click2graph "
        "c2g_jax.object_tracks "
        "c2g_jax.tracking c2g_jax.tracking_state c2g_jax.images",
        f"{_ARRAYS} scipy pycocotools",
    ),
    (
        "c2g_jax.predict_flags",
        f"{_SAM2} c2g_jax.types c2g_jax.launch c2g_jax.outputs c2g_jax.interrupts "
        "c2g_jax.prompts_file c2g_jax.scene_graph c2g_jax.images c2g_jax.frames "
        "c2g_jax.video c2g_jax.weights c2g_jax.session.opening",
        "numpy absl",
    ),
    # Mains: anything of the library, but see `test_mains_do_not_import_each_other`.
    (
        "c2g_jax.web|c2g_jax.web.*",
        "c2g_jax c2g_jax.*",
        f"{_ARRAYS} absl fastapi starlette pydantic uvicorn av PIL",
    ),
    (
        "|".join(f"c2g_jax.{name}" for name in MAINS),
        "c2g_jax c2g_jax.*",
        f"{_ARRAYS} absl rich scipy",
    ),
    (
        "porting|porting.*",
        f"porting.* {_SAM2} c2g_jax c2g_jax.weights c2g_jax.checkpoints c2g_jax.types "
        "c2g_jax.launch c2g_jax.video c2g_jax.images c2g_jax.outputs",
        f"{_ARRAYS} torch sam2 hydra omegaconf absl PIL safetensors transformers",
    ),
    ("configs.*", "", "ml_collections"),
    (
        "datasets.open_pvsg|datasets.open_pvsg.*",
        "datasets.open_pvsg.*",
        "tensorflow_datasets google numpy PIL av apache_beam",
    ),
    (
        "datasets.toy_pvsg|datasets.toy_pvsg.*",
        "datasets.toy_pvsg.*",
        "numpy PIL av",
    ),
    ("datasets.*", "", "tensorflow_datasets numpy PIL av etils"),
    ("benchmarks.*|tools.*|tests|tests.*", ANYTHING, ANYTHING),
)


def matches(name: str, patterns: str, separator: str | None = None) -> bool:
    return any(fnmatch.fnmatchcase(name, p) for p in patterns.split(separator))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    return [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))]


def row_of(module: str) -> tuple[str, str] | None:
    for modules, internal, external in TABLE:
        if matches(module, modules, "|"):
            return internal, external
    return None


def imported_names(path: Path) -> set[str]:
    """The dotted names a file imports, anywhere in it, deepest module first."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:  # `from package import module`, or a name of it
                whole = f"{base}.{alias.name}"
                names.add(whole if is_module(whole) else base)
    return names


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def faults(path: Path) -> list[str]:
    """What the file imports against the table, one line each."""
    module = module_name(path)
    row = row_of(module)
    if row is None:
        return [f"{module} has no row in the import table"]
    internal, external = row
    wrong = []
    for name in sorted(imported_names(path)):
        top = name.split(".")[0]
        if top in FOLDERS:
            allowed = internal == ANYTHING or matches(name, internal)
        elif top in sys.stdlib_module_names:
            allowed = True
        else:
            allowed = external == ANYTHING or top in external.split()
        if not allowed:
            wrong.append(f"{module} may not import {name}")
    return wrong


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_imports_follow_the_table(path):
    assert faults(path) == []


def test_the_table_forbids_what_must_never_be():
    for modules, internal, external in TABLE:
        if modules.startswith("c2g_jax"):
            assert not {"torch", "tensorflow", "sam2"} & set(external.split())
            assert all(word.startswith("c2g_jax") for word in internal.split())


def test_mains_do_not_import_each_other():
    mains = {f"c2g_jax.{name}" for name in MAINS}
    for path in sources():
        if module_name(path) in mains:
            assert not imported_names(path) & (mains - {module_name(path)})


def test_the_map_names_every_file():
    words = set(re.findall(r"\w+", (ROOT / "WORKSPACE.md").read_text(encoding="utf-8")))
    folders = ("c2g_jax", "porting", "benchmarks", "tools", "datasets/open_pvsg")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    unnamed = [str(p) for p in files if p.stem not in words and p.stem != "__init__"]
    assert unnamed == []


def test_datasets_is_a_folder_of_builders_not_a_package():
    assert not (ROOT / "datasets" / "__init__.py").exists()


_IMPORT_ALL = """
import importlib, json, sys
class Absent:  # as where they are not installed: TFDS looks at the words of the error
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in ("torch", "tensorflow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
"""


def test_library_imports_without_torch_and_tensorflow():
    names = [module_name(p) for p in sources() if p.is_relative_to(ROOT / "c2g_jax")]
    assert "c2g_jax.sam2.track" in names
    done = python("-c", _IMPORT_ALL, json.dumps(names))
    assert done.returncode == 0, done.stderr


def test_importing_the_package_does_not_start_jax():
    code = "import sys, c2g_jax; print(c2g_jax.__version__, 'jax' in sys.modules)"
    done = python("-c", code)
    assert done.stdout.split() == [c2g_jax.__version__, "False"], done.stderr
