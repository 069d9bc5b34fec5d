"""The flag --config: configuration files, overrides of their fields, comparisons."""

import difflib
import json
import math
import os
import re
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from c2g_jax.types import InputError

CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Configuration file. --config.FIELD=VALUE overrides a field, "
    "--config=FILE.py:VARIANT selects a variant.",
)
MULTIHOST = flags.DEFINE_bool(
    "multihost", False, "Run as one of several processes, each with its own devices."
)


def check_overrides(argv: Sequence[str]) -> list[str]:
    """Return the command line with --config first, as config_flags requires.

    Raises InputError for a configuration or a field that does not exist. This runs
    before the flags are parsed, because config_flags would end in a traceback.
    """
    first, rest = _split_config(argv[1:])
    rest = [_at_home(word) for word in rest]
    names = [word.lstrip("-").partition("=")[0] for word in rest if word[:1] == "-"]
    if not first and all(name in flags.FLAGS or "." in name for name in names):
        raise InputError("--config is missing: name a file, as configs/toy_pvsg.py")
    if not first:  # absl names the unknown flag
        return list(argv)
    config = load_config(first[-1].partition("=")[2])
    for word in rest:
        name = word.lstrip("-").partition("=")[0].removeprefix("no")
        if word.startswith("-") and name.startswith("config."):
            _check_field(config, name.removeprefix("config."))
    return [argv[0], *first, *rest]


def _at_home(word: str) -> str:
    """Expand `~` in the value of a field of --config: only paths begin with it."""
    name, equals, value = word.partition("=")
    if not name.lstrip("-").startswith("config."):
        return word
    return f"{name}{equals}{os.path.expanduser(value)}"


def _split_config(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return each --config=VALUE as one word, and the other words."""
    first, rest, words = [], [], list(words)
    while words:
        name, equals, value = (word := words.pop(0)).lstrip("-").partition("=")
        if not (word.startswith("-") and name == "config"):
            rest.append(word)
            continue
        if not equals:
            value = words.pop(0) if words else ""
        first.append(f"--config={os.path.expanduser(value)}")
    return first, rest


def load_config(value: str) -> ConfigDict:
    """Return the configuration of FILE.py or FILE.py:VARIANT, or raise InputError."""
    path, _, variant = value.partition(":")
    if not Path(path).is_file():
        raise InputError(
            f"--config={path}: no such file: name one, as configs/toy_pvsg.py"
        )
    found = runpy.run_path(path)
    if "get_config" not in found:
        raise InputError(
            f"--config={path}: it has no get_config(): name a configuration"
        )
    try:
        return found["get_config"](variant) if variant else found["get_config"]()
    except ValueError as error:  # raised by a configuration for an unknown variant
        raise InputError(f"--config={value}: {error}") from error


def _check_field(config: ConfigDict, name: str) -> None:
    node: Any = config
    for i, word in enumerate(parts := re.sub(r"\[\d+\]$", "", name).split(".")):
        known = list(node) if isinstance(node, Mapping | ConfigDict) else []
        if word not in known:
            so_far = ".".join(["config", *parts[: i + 1]])
            near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {_list(known)}"
            raise InputError(f"--{so_far}: there is no such field; {hint}")
        node = node[word]


def _list(words: Sequence[str]) -> str:
    return ", ".join(words) or "no fields"


def to_json(config: ConfigDict) -> dict[str, Any]:
    """Return the configuration as nested JSON values."""
    return json.loads(config.to_json())


def check_finite(config: ConfigDict) -> None:
    """Raise InputError for a field that is infinite or nan."""
    for name, value in _flat(to_json(config)).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--config.{name}={value}: give a finite number")


def differences(
    mine: Mapping[str, Any], theirs: Mapping[str, Any], free: Sequence[str] = ()
) -> list[str]:
    """List the fields that differ, as "NAME: theirs -> mine", except those in `free`.

    A name in `free` covers all fields below it.
    """
    mine, theirs = _flat(mine), _flat(theirs)

    def is_free(name: str) -> bool:
        return any(name == word or name.startswith(f"{word}.") for word in free)

    return [
        f"{name}: {_say(theirs, name)} -> {_say(mine, name)}"
        for name in sorted(mine.keys() | theirs.keys())
        if not is_free(name) and _say(theirs, name) != _say(mine, name)
    ]


def _flat(tree: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{start}{key}.")
        else:
            flat[f"{start}{key}"] = value
    return flat


def _say(flat: Mapping[str, Any], name: str) -> str:
    return json.dumps(flat[name]) if name in flat else "(none)"
