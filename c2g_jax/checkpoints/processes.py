"""Work done by the first process of a run while the others wait."""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from c2g_jax.types import InputError


def in_first_process(work: Callable[[], int | None]) -> int:
    """Run `work` in the first process; return its result, None as 0, in all.

    An exception of `work` is raised in the first process; the other processes then
    raise an InputError.
    """
    result, error = 0, None
    if jax.process_index() == 0:
        try:
            result = work() or 0
        except Exception as caught:  # raised below, after the broadcast
            error = caught
    if jax.process_count() > 1:
        status = np.array([error is not None, result], np.int32)
        failed, result = multihost_utils.broadcast_one_to_all(status).tolist()
        if failed and error is None:
            raise InputError("the first process had to stop: see its last line")
    if error is not None:
        raise error
    return result
