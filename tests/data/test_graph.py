"""The true graph of a video against its record and its pixels."""

import numpy as np

from c2g_jax.data.graph import true_graph
from c2g_jax.export.scene_graph_json import graph_from_json, graph_to_json
from c2g_jax.media.rle import decode_mask
from tests.data.fake import fake_dataset


def test_masks_and_relations_are_those_of_the_video():
    dataset, _ = fake_dataset()
    video = dataset.videos("train")[0]
    graph = true_graph(dataset, video)
    segments = dataset.read(video, 0, video.num_frames)[1]
    assert [o.object_id for o in graph.objects] == video.object_ids.tolist()
    for track in graph.objects:
        assert track.category == dataset.vocabulary.objects[
            video.category(track.object_id)
        ]  # fmt: skip
        seen = video.visible_mask(track.object_id)
        assert sorted(track.masks) == np.flatnonzero(seen).tolist()
        for t, code in track.masks.items():
            assert np.array_equal(decode_mask(code), segments[t] == track.object_id)
    said = {
        (r.subject_id, r.object_id, r.predicate, *span)
        for r in graph.relations
        for span in r.spans
    }
    predicates = dataset.vocabulary.predicates
    rows = [(s, o, predicates[p], *span) for s, o, p, *span in video.relations.tolist()]
    assert said == set(rows)
    assert all(list(r.spans) == sorted(r.spans) for r in graph.relations)
    again = graph_from_json(graph_to_json(graph))
    assert again.relations == graph.relations
    assert again.video.num_frames == video.num_frames
