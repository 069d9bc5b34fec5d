"""Find everything in a session's video: each object that stays in view is a subject."""

import contextlib
from collections.abc import Generator

from c2g_jax.media.images import resize_frame
from c2g_jax.media.rle import mask_iou
from c2g_jax.session import edits
from c2g_jax.session.engine import Engine
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import PromptItem
from c2g_jax.tracking.automatic import FoundObject, ObjectFinder
from c2g_jax.types import AutoRules, TrackRules


def find_steps(
    engine: Engine, state: SessionState, rules: AutoRules
) -> Generator[int, None, SessionState]:
    """Return the state with a new subject for each lasting object, by its mask.

    Those that the session has already, by the overlap of their masks, are left out.
    Yields the number of frames that each step did: 1, at last 0 for each new subject.
    """
    found = yield from find_objects(engine, rules)
    limit = engine.model.config.rules.share_iou or TrackRules.share_iou
    for x in found:
        if not _is_known(state, x, limit):
            item = PromptItem("mask", mask=x.mask)
            state = edits.prompt(engine, state, None, x.frame, item)
            yield 0
    return state


def find_objects(
    engine: Engine, rules: AutoRules
) -> Generator[int, None, list[FoundObject]]:
    """Return the lasting objects of the video, the surest first.

    Yields the number of frames done, after each step.
    """
    video = engine.video
    finder = ObjectFinder(engine.model.sam2, rules, resize_frame, video.num_frames)
    with contextlib.closing(video.read_from(0)) as frames:
        for frame in frames:
            finder.step(frame)
            yield 1
    return finder.chosen(video.num_frames)


def _is_known(state: SessionState, x: FoundObject, limit: float) -> bool:
    seen = (state.observation(i, x.frame) for i in state.objects if state.alive(i))
    masks = (o.mask for o in seen if o is not None and o.mask is not None)
    return any(mask_iou(mask, x.mask) >= limit for mask in masks)
