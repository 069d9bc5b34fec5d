"""Work that one process of a run does while the others wait for it."""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from c2g_jax.types import InputError


def in_first_process(do: Callable[[], int | None]) -> int:
    """What `do` says in the first process, to all; they wait for it.

    Its error ends all of them, the others with an InputError that points to it.
    """
    answer, error = 0, None
    if jax.process_index() == 0:
        try:
            answer = do() or 0
        except Exception as caught:  # raised again below, when all know of it
            error = caught
    if jax.process_count() > 1:
        said = np.array([error is not None, answer], np.int32)
        failed, answer = multihost_utils.broadcast_one_to_all(said).tolist()
        if failed and error is None:
            raise InputError("the first process had to stop: its last line says why")
    if error is not None:
        raise error
    return answer
