"""A flag for every field of `Protocol`; the field's comment is the flag's help.

Importing this module defines the flags, so it stands apart from `protocol`; a main
adopts them with `flags.adopt_module_key_flags`.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.evaluation.protocol import CHOICES, Protocol
from c2g_jax.types import InputError

_SHARED = {launch.DISCOVER_EVERY.name}  # defined in launch, for other mains too
_FIELD = re.compile(r"    (\w+): [^=]+ = [^#]*(?:# (.*))?")
_DEFINE: dict[type, Callable] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def comments() -> dict[str, str]:
    """Return the comment of each field of Protocol: above it, or at its end."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(Protocol).splitlines():
        if field := _FIELD.fullmatch(line):
            words = " ".join(filter(None, [*above, field[2]]))
            found[field[1]] = f"{words[:1].upper()}{words[1:].rstrip('.')}."
        above = [*above, line.strip(" #")] if line.startswith("    # ") else []
    return found


def protocol_from_flags() -> Protocol:
    """Return the protocol given by the flags; raises InputError for invalid values."""
    values = {f.name: flags.FLAGS[f.name].value for f in dataclasses.fields(Protocol)}
    try:
        values["ks"] = tuple(int(k) for k in values["ks"])
    except ValueError:
        given = ",".join(values["ks"])
        raise InputError(f"--ks={given}: give numbers from 1, as 3,20") from None
    return Protocol(**values)


def _define(field: dataclasses.Field, text: str) -> Any:
    if field.name in CHOICES:
        return flags.DEFINE_enum(field.name, field.default, CHOICES[field.name], text)
    if isinstance(field.default, tuple):
        return flags.DEFINE_list(field.name, list(map(str, field.default)), text)
    return _DEFINE[type(field.default)](field.name, field.default, text)


for _field in dataclasses.fields(Protocol):
    if _field.name in _SHARED:
        flags.declare_key_flag(_field.name)
    else:
        _define(_field, comments()[_field.name])
