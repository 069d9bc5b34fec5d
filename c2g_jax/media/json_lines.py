"""Files of a JSON value a line, that a kill may have cut short in their last one."""

import json
from pathlib import Path
from typing import Any

from c2g_jax.types import InputError


def read_lines(path: Path, mend: str) -> list[Any]:
    """The values of the whole lines; InputError with the `mend` where one is none."""
    whole = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        return [json.loads(line) for line in whole]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}): {mend}") from error
