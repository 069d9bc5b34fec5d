"""A folder of films, and which of them are done.

A film that is done has a scene_graph.json whose provenance says that it was made in the
way asked for now.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from c2g_jax.media.images import SUFFIXES
from c2g_jax.types import InputError

FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".gif")
_WAY = ("checkpoint", "heads", "size", "seed", "options", "auto", "prompts")


def films_of(folder: str | Path) -> dict[str, Path]:
    """Return the films and folders of frames in a folder, by name without suffix.

    In the order of their names. InputError if there are none, or two of one name.
    """
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"--videos={folder}: is a file: give it as --video")
    if not folder.is_dir():
        raise InputError(f"--videos={folder}: no such folder: check the path")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not _is_film(path):
            continue
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise InputError(
                f"--videos={folder}: {found[name].name} and {path.name} would both be "
                f"written to {name}: rename one"
            )
        found[name] = path
    if not found:
        raise InputError(
            f"--videos={folder}: no film in it: give a folder with files "
            f"{', '.join(FILMS)} or folders of frames"
        )
    return found


def _is_film(path: Path) -> bool:
    if path.is_dir():
        return any(x.suffix.lower() in SUFFIXES for x in path.iterdir())
    return path.suffix.lower() in FILMS


def is_done(file: Path, made: Mapping[str, Any], others: Collection[Path]) -> bool:
    """Return whether a scene_graph.json is there, made as the provenance `made` says.

    `others` are results that belong to it: without one of them it is not done. Found
    prompts are not compared. InputError if it was made in another way.
    """
    try:
        provenance = json.loads(file.read_text(encoding="utf-8"))["provenance"]
        was = {key: provenance.get(key) for key in _WAY}
    except FileNotFoundError:
        return False
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(
            f"{file}: not a scene graph of predict: move it away, or give another "
            "--output"
        ) from None
    now = json.loads(json.dumps({key: made.get(key) for key in _WAY}))
    if made.get("auto"):
        was["prompts"] = now["prompts"]
    for key, value in now.items():
        if was[key] != value:
            raise InputError(
                f"{file} was made in another way ({key} is not the same): give another "
                "--output, or remove it"
            )
    return all(path.exists() for path in others)
