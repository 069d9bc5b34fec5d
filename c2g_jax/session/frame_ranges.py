"""The frames that a call of `Session.track` covers."""

from c2g_jax.session.arguments import check_frame
from c2g_jax.session.session_state import SessionState
from c2g_jax.types import InputError

FORWARD, BACKWARD, BOTH = "forward", "backward", "both"


def choose_ranges(
    state: SessionState,
    num_frames: int,
    start: int | None,
    stop: int | None,
    direction: str,
) -> list[range]:
    """Return ranges of step 1 or -1, to track in order, as `Session.track` describes.

    InputError for an unknown direction or frame, for an empty range, or if nothing is
    prompted.
    """
    if direction not in (FORWARD, BACKWARD, BOTH):
        raise InputError(
            f"unknown direction {direction!r}: use forward, backward or both"
        )
    start = None if start is None else check_frame(start, num_frames)
    stop = None if stop is None else check_frame(stop, num_frames)
    if None not in (start, stop):
        low, high = (stop, start) if direction == BACKWARD else (start, stop)
        if high < low:
            way, word = ("back", "sooner") if direction == BACKWARD else ("on", "later")
            raise InputError(
                f"from frame {start} {way} to {stop} there is nothing: stop {word}"
            )
    prompted = sorted(
        t for obj in state.objects.values() if not obj.removed for t in obj.prompts
    )
    if not prompted:
        raise InputError("no object is prompted: click on a subject first")
    if direction == BOTH:
        begin = 0 if start is None else start
        end = num_frames - 1 if stop is None else stop
        first = _inside(prompted, begin, end)
        return [range(first, end + 1), range(first - 1, begin - 1, -1)]
    step = 1 if direction == FORWARD else -1
    if start is None:
        if stop is not None:
            # It is an error if no frame could be tracked, not if all are already.
            low, high = (0, stop) if step > 0 else (stop, num_frames - 1)
            _inside(prompted, low, high)
        start = _next_start(state, num_frames, prompted, step)
    if stop is None:
        stop = num_frames - 1 if step > 0 else 0
    frames = range(start, stop + step, step)
    if frames:
        _check_reached(state, prompted, frames)
    return [frames]


def _check_reached(state: SessionState, prompted: list[int], frames: range) -> None:
    """Raise InputError if a range has no object to follow, and nothing stale."""
    first = prompted[0] if frames.step > 0 else prompted[-1]
    reached = (frames[-1] - first) * frames.step >= 0
    if reached or any(state.is_stale(t) for t in frames):
        return
    word = "earlier" if frames.step > 0 else "later"
    raise InputError(
        f"no object is prompted on frame {frames[-1]} or {word}: tracking from frame "
        f"{frames[0]} to {frames[-1]} has nothing to follow"
    )


def _inside(prompted: list[int], low: int, high: int) -> int:
    """Return the first prompted frame from `low` to `high`; InputError if none."""
    for frame in prompted:
        if low <= frame <= high:
            return frame
    raise InputError(
        f"no object is prompted on frames {low} to {high}: widen the range"
    )


def _next_start(
    state: SessionState, num_frames: int, prompted: list[int], direction: int
) -> int:
    """Return the first frame: of new prompts, else where tracking ended, else anew.

    Tracking ended before the first frame that was not tracked or is stale.
    """
    fresh = [
        t
        for obj in state.objects.values()
        if not obj.removed
        for t, revision in obj.changes
        if t in obj.prompts
        and (t not in state.records or state.records[t].revision < revision)
    ]
    if fresh:
        return min(fresh) if direction > 0 else max(fresh)
    begin = frame = prompted[0] if direction > 0 else prompted[-1]
    while frame in state.records and not state.is_stale(frame):
        frame += direction
    return frame if 0 <= frame < num_frames else begin
