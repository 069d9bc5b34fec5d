"""Rooms and their order; and that the library never needs torch or tensorflow."""

import ast
import functools
import json
import re
import sys
from pathlib import Path

import c2g_jax
from tests.commands import ROOT, python

# The rooms of `c2g_jax`, from the ground up: a room imports rooms of the lines above
# its own, and itself. What stands on one line does not know of each other.
ROOMS = (
    ("types",),
    ("vocabulary",),
    ("media",),
    ("sam2",),
    ("cli",),
    ("data",),
    ("click2graph",),
    ("from_scratch",),
    ("checkpoints",),
    ("tracking",),
    ("export",),
    ("training",),
    ("evaluation",),
    ("session",),
    ("correction",),
    ("web", "predict"),
    ("train", "evaluate", "prepare", "correct", "tune", "plot"),
)
LEVELS = {room: level for level, line in enumerate(ROOMS) for room in line}
# The other folders, and which of them each may import. `datasets` has its packages
# without their folder's name.
FOLDERS = {
    "porting": {"c2g_jax"},
    "configs": set(),
    "datasets": set(),
    "benchmarks": {"c2g_jax", "porting", "configs", "tools"},
    "tools": {"c2g_jax"},
}
BUILDERS = {"open_pvsg", "toy_pvsg"}
# The packages that each room or folder may import, beside the standard library.
_ARRAYS = "jax numpy flax jaxtyping"
PACKAGES = {
    "types": "numpy",
    "vocabulary": "",
    "media": "numpy PIL av pycocotools",
    "sam2": f"{_ARRAYS} scipy tokamax absl",
    "cli": "absl jax",
    "data": "numpy jax jaxtyping scipy PIL grain tensorflow_datasets google absl",
    "click2graph": f"{_ARRAYS} optax",
    "from_scratch": f"{_ARRAYS} optax",
    "checkpoints": "jax numpy flax safetensors orbax",
    "tracking": "jax numpy",
    "export": "numpy PIL pycocotools networkx rich",
    "training": f"{_ARRAYS} optax ml_collections tensorboardX absl",
    "evaluation": "jax numpy jaxtyping scipy pycocotools matplotlib absl",
    "session": "jax numpy",
    "correction": "numpy",
    "web": "numpy PIL av absl fastapi starlette pydantic uvicorn",
    "predict": "numpy absl",
    "train": "absl jax",
    "evaluate": "absl",
    "prepare": "absl open_pvsg toy_pvsg",  # the builders of `datasets`
    "correct": "absl",
    "tune": "absl",
    "plot": "absl",
    "porting": "jax numpy scipy absl PIL safetensors torch sam2 hydra omegaconf "
    "transformers",
    "configs": "ml_collections",
    "datasets": "numpy PIL av tensorflow_datasets google apache_beam",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imported_names(path: Path, lazily: bool = True) -> set[str]:
    """The modules a file imports by their dotted names; `lazily`: in functions too."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    names, waiting = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if lazily or not isinstance(node, ast.FunctionDef):
            waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:  # `from package import module`, or a name of it
                whole = f"{base}.{alias.name}"
                names.add(whole if is_module(whole) else base)
    return names


LIBRARY = {module_name(path): path for path in sources("c2g_jax")}
IMPORTS = {name: imported_names(path) for name, path in LIBRARY.items()}


def room_of(module: str) -> str:
    return module.split(".")[1]


def test_every_file_of_the_library_lies_in_a_room():
    rooms = {room_of(name) for name in LIBRARY if name != "c2g_jax"}
    assert rooms == set(LEVELS)


def test_a_room_imports_rooms_above_it_in_the_table():
    wrong = []
    for module, names in IMPORTS.items():
        if module == "c2g_jax":
            continue
        here = LEVELS[room_of(module)]
        # `c2g_jax` itself: its version.
        for name in sorted(n for n in names if n.startswith("c2g_jax.")):
            same = room_of(name) == room_of(module)
            if not same and LEVELS[room_of(name)] >= here:
                wrong.append(f"{module} imports {name}")
    assert wrong == []


def test_sam2_needs_no_media_but_for_its_predictors():
    for module, names in IMPORTS.items():
        if room_of(f"{module}.") == "sam2" and "predictors" not in module:
            assert not {n for n in names if n.startswith("c2g_jax.media")}, module


def test_no_two_files_import_each_other_on_any_way_round():
    arrows = {
        module: {n for n in names if n in LIBRARY} - {module, "c2g_jax"}
        for module, names in IMPORTS.items()
    }
    # The package itself hands on what is there, lazily.
    arrows["c2g_jax"] = {
        n for n in imported_names(LIBRARY["c2g_jax"], lazily=False) if n in LIBRARY
    }
    done: set[str] = set()
    while ready := [m for m in arrows if m not in done and arrows[m] <= done]:
        done |= set(ready)
    assert sorted(arrows.keys() - done) == []


def test_the_package_itself_imports_rooms_lazily():
    eager = imported_names(LIBRARY["c2g_jax"], lazily=False)
    assert {n for n in eager if n.startswith("c2g_jax")} <= {"c2g_jax.cli.interrupts"}


def test_only_the_version_is_taken_from_the_package_itself():
    for module, path in LIBRARY.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "c2g_jax":
                names = {alias.name for alias in node.names}
                rooms = {n for n in names if is_module(f"c2g_jax.{n}")}
                assert names - rooms <= {"__version__"}, module
            elif isinstance(node, ast.Import):
                assert "c2g_jax" not in {alias.name for alias in node.names}, module


def test_the_root_holds_types_the_vocabulary_and_thin_mains():
    assert len(list((ROOT / "c2g_jax").glob("*.py"))) <= 12


def test_folders_import_what_they_may():
    ours = {"c2g_jax", "tests", *FOLDERS}
    for folder, allowed in {"c2g_jax": set(), **FOLDERS}.items():
        for path in sources(folder):
            tops = {name.split(".")[0] for name in imported_names(path)}
            assert tops & ours <= allowed | {folder}, path


@functools.cache
def defined_names(path: Path) -> set[str]:
    """What a file defines or imports at its top, within `if` and `with` too."""
    names, waiting = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        waiting.extend(ast.iter_child_nodes(node))
    return names


def test_what_is_imported_by_name_exists():
    """Benchmarks and tools are rarely run, and nothing else would notice."""
    missing = []
    for path in sorted(p for f in ("c2g_jax", *FOLDERS) for p in sources(f)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not is_module(node.module or ""):
                continue
            of = ROOT.joinpath(*node.module.split("."))
            of = of / "__init__.py" if of.is_dir() else of.with_suffix(".py")
            names = defined_names(of)
            lazily = "__getattr__" in names  # the package itself
            for alias in node.names:
                there = alias.name in names or is_module(f"{node.module}.{alias.name}")
                if not there and not lazily:
                    missing.append(f"{path}: {node.module}.{alias.name}")
    assert missing == []


def test_rooms_and_folders_import_the_packages_they_may():
    found = [(room_of(m), m, names) for m, names in IMPORTS.items() if m != "c2g_jax"]
    for folder in PACKAGES.keys() & FOLDERS.keys():
        found += [(folder, str(p), imported_names(p)) for p in sources(folder)]
    wrong = []
    for place, file, names in found:
        tops = {name.split(".")[0] for name in names}
        others = tops - sys.stdlib_module_names - {"c2g_jax", *FOLDERS}
        more = sorted(others - set(PACKAGES[place].split()))
        wrong += [f"{file} imports {name}" for name in more]
    assert wrong == []


def test_the_map_names_every_file_of_folders_without_rooms():
    words = set(re.findall(r"\w+", (ROOT / "WORKSPACE.md").read_text(encoding="utf-8")))
    folders = ("porting", "benchmarks", "tools", "datasets/open_pvsg")
    files = [path for folder in folders for path in sources(folder)]
    unnamed = [str(p) for p in files if p.stem not in words and p.stem != "__init__"]
    assert unnamed == []


def test_every_room_says_what_lives_in_it():
    for folder in {path.parent for path in LIBRARY.values()}:
        room = folder / "__init__.py"
        said = ast.get_docstring(ast.parse(room.read_text(encoding="utf-8")))
        assert said, room
        if folder.parent == ROOT / "c2g_jax":
            files = {path.stem for path in folder.glob("*.py")}
            missing = files - set(re.findall(r"\w+", said)) - {"__init__", "__main__"}
            assert missing == set(), room


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
    done = python("-c", _IMPORT_ALL, json.dumps(sorted(LIBRARY)))
    assert done.returncode == 0, done.stderr


def test_importing_the_package_does_not_start_jax():
    code = "import sys, c2g_jax; print(c2g_jax.__version__, 'jax' in sys.modules)"
    done = python("-c", code)
    assert done.stdout.split() == [c2g_jax.__version__, "False"], done.stderr
