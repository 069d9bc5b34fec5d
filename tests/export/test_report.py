"""The printed relations; and what is said where there are none."""

from dataclasses import replace

import numpy as np
import pytest

from c2g_jax.export.report import print_relations
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.types import SubjectFrame, Triplet, VideoInfo

NO_POINTS = np.zeros((0, 2), np.float32)
VIDEO = VideoInfo("a.mp4", 2, 2, 5.0, tuple(t / 5 for t in range(9)))
TOY = SpanConfig(2, 5, 0.3, 0.5)


def graph(said, spans=TOY):
    """The graph of {(object, predicate): {frame: confidence}} for subject 1."""
    builder = GraphBuilder(dict, spans)
    for (thing, predicate), by_frame in said.items():
        for t, confidence in by_frame.items():
            triplet = Triplet(thing, "adult", "cup", predicate, confidence)
            own = [SubjectFrame(t, 1, NO_POINTS, (triplet,))]
            builder.add_encoded(t, {}, own, {})
    return builder.build(VIDEO, {})


def held(confidence, frames):
    return dict.fromkeys(range(frames), confidence)


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ({(2, "on"): held(0.456, 6)}, "--start_confidence=0.45"),
        ({(2, "on"): held(0.9, 3)}, "--min_frames=1"),
        ({(2, "on"): held(0.4, 3)}, "--start_confidence=0.4 --min_frames=1"),
        (
            {(2, "on"): held(0.14, 6)},
            "--start_confidence=0.14 --min_confidence=0",
        ),
        (
            {(2, "on"): held(0.004, 1)},
            "--start_confidence=0 --min_confidence=0 --min_frames=1",
        ),
    ],
)
def test_without_relations_the_best_guesses_and_the_flag_that_shows_them(
    said, flags, capsys
):
    print_relations(graph(said), TOY)
    line = capsys.readouterr().out
    count = sum(map(len, said.values()))
    assert line.startswith(
        f"no relations found: {count} predictions below --start_confidence, "
        "--min_confidence or --min_frames; the best are 1 adult on 2 cup "
    )
    assert line.endswith(f": {flags} shows them\n")
    # The flags do what is said.
    names = {"min_frames": "min_length"}
    given = dict(flag[2:].split("=") for flag in flags.split())
    fields = {names.get(k, k): float(v) for k, v in given.items()}
    assert graph(said, replace(TOY, **fields)).relations


def test_the_three_best_are_named(capsys):
    said = {(k, "on"): held(0.1 + k / 100, 6) for k in range(2, 8)}
    print_relations(graph(said), TOY)
    line = capsys.readouterr().out
    assert (
        "1 adult on 7 cup 0.17, 1 adult on 6 cup 0.16, 1 adult on 5 cup 0.15:" in line
    )
    assert "--start_confidence=0.15 --min_confidence=0 shows them" in line


def test_without_a_prediction(capsys):
    builder = GraphBuilder(dict, TOY)
    builder.add_encoded(0, {}, [SubjectFrame(0, 1, NO_POINTS, ())], {})
    print_relations(builder.build(VIDEO, {}), TOY)
    said = capsys.readouterr().out
    assert said == (
        "no relations found: nothing was found beside the prompted objects\n"
    )


def test_a_ranked_graph_has_the_best_of_each_subject():
    said = {(k, "on"): held(k / 100, 6) for k in range(2, 12)}
    found = graph(said, SpanConfig(2, 2, 0.0, 0.0, top=3)).relations
    assert [r.object_id for r in found] == [11, 10, 9]
    assert len(graph(said, SpanConfig(2, 2, 0.0, 0.0)).relations) == 10
    builder = GraphBuilder(dict, SpanConfig(2, 2, 0.0, 0.0, top=1))
    for subject in (1, 2):
        for (thing, predicate), by_frame in said.items():
            for t, confidence in by_frame.items():
                triplet = Triplet(thing, "adult", "cup", predicate, confidence)
                own = [SubjectFrame(t, subject, NO_POINTS, (triplet,))]
                builder.add_encoded(t, {}, own, {})
    # What a person said stays, however unsure the model is of it.
    found = builder.build(VIDEO, {}, {(2, 4, "on"): {1}}).relations
    assert [(r.subject_id, r.object_id) for r in found] == [(1, 11), (2, 11), (2, 4)]
