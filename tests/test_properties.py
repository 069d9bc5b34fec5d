"""Properties that hold for any mask, predictions, prompts and graph."""

import itertools
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from c2g_jax.export.scene_graph_json import (
    graph_from_json,
    graph_to_json,
    read_scene_graph,
)
from c2g_jax.media.rle import (
    check_code,
    decode_mask,
    encode_mask,
    mask_iou,
    run_lengths,
)
from c2g_jax.predict.prompts_file import prompts_to_json, read_prompts
from c2g_jax.tracking.spans import SpanConfig, held_spans, merge_spans
from c2g_jax.types import (
    InputError,
    ObjectTrack,
    Prompt,
    Relation,
    SceneGraph,
    SubjectFrame,
    Triplet,
    VideoInfo,
)
from tests.export.test_scene_graph_json import SCHEMA, comparable, problems

settings.register_profile("here", deadline=None, max_examples=60)
settings.load_profile("here")

SIDE = 12
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=SIDE))
frames = st.integers(0, 30)
shares = st.floats(0, 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(("frame", "object", "points", "box", "mask", "size", "x")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def told(read, path):
    """Return the value read; an InputError must be one line that names the file."""
    try:
        return read(path)
    except InputError as error:
        line = str(error)
    assert str(path) in line
    assert len(line.splitlines()) == 1
    return line


# Masks


@given(masks)
def test_run_lengths_come_back(mask):
    code = encode_mask(mask)
    check_code(json.loads(json.dumps(code)))
    assert (decode_mask(code) == mask).all()
    assert mask_iou(code, code) == float(mask.any())


@given(masks)
def test_plain_run_lengths_are_those_of_a_walk_down_the_columns(mask):
    counts, last = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != last:
            counts.append(0)
            last = pixel
        counts[-1] += 1
    assert run_lengths(mask) == {"size": list(mask.shape), "counts": counts}


@given(masks, st.integers(0, 20), st.characters(codec="ascii"))
def test_a_torn_code_is_refused_or_a_mask(mask, place, letter):
    code = encode_mask(mask)
    counts = code["counts"]
    place %= len(counts) + 1
    torn = code | {"counts": counts[:place] + letter + counts[place + 1 :]}
    try:
        check_code(torn)
    except ValueError:
        return
    assert decode_mask(torn).shape == mask.shape


# Spans


def inside(spans):
    return {t for first, last in spans for t in range(first, last + 1)}


def apart(spans, gap):
    return all(b[0] - a[1] > gap + 1 for a, b in itertools.pairwise(spans))


@given(st.lists(frames), st.integers(0, 4), st.integers(1, 4))
def test_spans_cover_what_was_said_and_small_gaps(said, gap, least):
    spans = merge_spans(said, gap)
    assert apart(spans, gap)
    assert inside(spans) >= set(said)
    assert all({first, last} <= set(said) for first, last in spans)
    near = {t for t in inside(spans) if any(abs(t - s) <= gap for s in said)}
    assert near == inside(spans)
    long = tuple(span for span in spans if span[1] - span[0] + 1 >= least)
    assert merge_spans(said, gap, least) == long


configs = st.builds(
    SpanConfig, st.integers(0, 3), st.integers(1, 4), shares, start_confidence=shares
)


@given(st.dictionaries(frames, shares), configs, st.sets(frames))
def test_what_a_person_said_is_always_held(said, config, certain):
    spans = held_spans(said, config, 31, certain)
    assert apart(spans, config.max_gap)
    assert inside(spans) >= certain
    for first, last in spans:
        told = certain & set(range(first, last + 1))
        best = max(said.get(t, 0.0) for t in range(first, last + 1))
        length = last - first + 1
        assert told or (length >= config.min_length and best >= config.start_confidence)


# Prompts

pixels = st.floats(0, 1000, width=32)
points = st.lists(st.tuples(pixels, pixels), min_size=1, max_size=4)


@st.composite
def prompts(draw):
    kind = draw(st.sampled_from(("points", "box", "mask")))
    place = {"frame": draw(frames), "object_id": draw(st.integers(1, 9))}
    if kind == "mask":
        return Prompt(**place, mask=draw(masks))
    if kind == "box":
        return Prompt(**place, box=draw(st.tuples(*[pixels] * 4)))
    given_points = draw(points)
    labels = [draw(st.integers(0, 1)) for _ in given_points]
    return Prompt(**place, points=given_points, labels=labels)


@given(said=st.lists(prompts(), min_size=1, unique_by=lambda p: (p.frame, p.object_id)))
def test_prompts_come_back(tmp_path_factory, said):
    path = tmp_path_factory.getbasetemp() / "prompts.json"
    path.write_text(json.dumps({"prompts": prompts_to_json(said)}))
    assert prompts_to_json(read_prompts(path)) == prompts_to_json(said)


@given(value=json_values | st.lists(json_values, min_size=1, max_size=2))
def test_any_json_is_prompts_or_is_named(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "prompts.json"
    path.write_text(json.dumps(value))
    found = told(read_prompts, path)
    assert isinstance(found, str) or all(isinstance(p, Prompt) for p in found)


# Graphs

names = st.text(max_size=6)


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 4))
    numbers = draw(st.lists(st.integers(1, 9), unique=True, max_size=3))
    spans = merge_spans(draw(st.sets(st.integers(0, count - 1), min_size=1)))
    codes = st.dictionaries(st.integers(0, count - 1), masks.map(encode_mask))
    led_by = st.none() | st.sampled_from(numbers) if numbers else st.none()
    tracks = [
        ObjectTrack(i, draw(names), draw(shares), draw(led_by), draw(codes))
        for i in numbers
    ]
    pairs = [(a, b) for a in numbers for b in numbers if a != b]
    found = draw(st.lists(st.sampled_from(pairs), max_size=3)) if pairs else []
    corner = np.round(np.float32(draw(points)), 2)
    guesses = tuple(
        Triplet(b, draw(names), draw(names), draw(names), draw(shares))
        for _, b in found
    )
    return SceneGraph(
        VideoInfo(draw(names), 8, 6, 5.0, tuple(t / 5 for t in range(count))),
        tuple(tracks),
        tuple(Relation(a, b, draw(names), spans, draw(shares)) for a, b in found),
        {"program": draw(names)},
        (SubjectFrame(0, 1, corner, guesses),),
    )


@given(graphs())
def test_a_graph_fits_the_schema_and_comes_back(graph):
    document = json.loads(json.dumps(graph_to_json(graph), allow_nan=False))
    assert problems(document, json.loads(SCHEMA.read_text())) == []
    assert comparable(graph_from_json(document)) == comparable(graph)


@given(graph=graphs(), data=st.data())
def test_a_torn_graph_is_named_or_read(tmp_path_factory, graph, data):
    document = graph_to_json(graph)
    key = data.draw(st.sampled_from(sorted(document.keys() - {"schema_version"})))
    document[key] = data.draw(json_values)
    path = tmp_path_factory.getbasetemp() / "graph.json"
    path.write_text(json.dumps(document))
    assert isinstance(told(read_scene_graph, path), str | SceneGraph)
