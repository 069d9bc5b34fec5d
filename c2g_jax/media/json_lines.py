"""JSON Lines files, whose last line may be cut short by a killed run."""

import json
from pathlib import Path
from typing import Any

from c2g_jax.types import InputError


def read_lines(path: Path, mend: str) -> list[Any]:
    """Return the values of all complete lines.

    A last line without its line break is ignored. InputError if another line is not
    JSON; mend: what the message tells the user to do.
    """
    complete = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        return [json.loads(line) for line in complete]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}): {mend}") from error
