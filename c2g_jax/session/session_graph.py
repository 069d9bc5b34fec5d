"""The scene graph of a session's state, and what made it."""

import dataclasses
from pathlib import Path

from c2g_jax import __version__
from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import Video
from c2g_jax.session.labels import Labeller, certain_frames
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.views import as_json
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.types import SceneGraph, VideoInfo


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a session's video and model come from, as its file and graphs tell."""

    path: str | None = None  # of the video
    options: dict = dataclasses.field(default_factory=dict)  # how it is sampled
    checkpoint: str | None = None
    sha256: str | None = None  # of the checkpoint's weights


def build_graph(
    state: SessionState,
    labeller: Labeller,
    spans: SpanConfig,
    video: Video,
) -> SceneGraph:
    """The graph of all that is known."""
    builder = GraphBuilder(encode_mask, spans)
    frames = sorted(
        {t for obj in state.objects.values() for t in obj.observations}
        | state.records.keys()
    )
    guesses = labeller.guesses(state, frames)
    spoken = labeller.subject_frames(state, frames, guesses)
    prompted_by = {i: _led_by(state, i) for i in state.shown}
    for frame in frames:
        seen = {i: state.observation(i, frame) for i in state.shown}
        masks = {i: o.mask for i, o in seen.items() if o is not None}
        builder.add_encoded(frame, masks, spoken[frame], prompted_by)
    info = VideoInfo(video.name, video.width, video.height, video.fps, video.times)
    graph = builder.build(info, {}, certain_frames(state, guesses))
    objects = tuple(
        dataclasses.replace(track, category=said, score=1.0)
        if (said := state.category(track.object_id)) is not None
        else track
        for track in graph.objects
    )
    return dataclasses.replace(graph, objects=objects)


def provenance(state: SessionState, size: str, source: Source) -> dict:
    """What made a graph: enough to make it again."""
    checkpoint = None
    if source.checkpoint is not None:
        name = Path(source.checkpoint).name
        checkpoint = {"name": name, "sha256": source.sha256}
    prompts = [
        {"frame": t, "object": obj.object_id, **as_json(item)}
        for obj in state.objects.values()
        if not obj.removed
        for t, said in sorted(obj.prompts.items())
        for item in said.items
    ]
    return {
        "program": f"click2graph-jax {__version__}",
        "checkpoint": checkpoint,
        "size": size,
        "options": dict(source.options),
        "prompts": prompts,
        "corrections": {
            "categories": {
                str(i): state.category(i)
                for i in state.shown
                if state.category(i) is not None
            },
            "predicates": [list(dataclasses.astuple(f)) for f in state.active_fixes],
        },
        "dropped_tracks": sum(record.dropped for record in state.records.values()),
    }


def _led_by(state: SessionState, shown_id: int) -> int | None:
    """The subject that led to a obj, None where a person pointed at it."""
    if any(obj.pinned for obj in state.shown[shown_id]):
        return None
    leaders = state.subjects_of(shown_id)
    return leaders[0] if leaders else None
