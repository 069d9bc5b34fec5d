import pytest

from c2g_jax.tracking.spans import SpanConfig, cut_spans, held_spans

WEAK, STRONG = 0.3, 0.8


ALL_THAT_IS_SAID = dict(
    max_gap=2, min_length=2, min_confidence=0.0, start_confidence=0.0
)


@pytest.mark.parametrize(
    ("said", "config", "certain", "want"),
    [
        # Nothing said, nothing held.
        ({}, {}, (), ()),
        # A gap of two is bridged, one of three is not: frames 2 and 3 lie between.
        ({0: 1, 1: 1, 4: 1, 8: 1, 9: 1}, {}, (), ((0, 4), (8, 9))),
        # Shorter than two frames: dropped.
        ({3: 1}, {}, (), ()),
        ({3: 1}, dict(min_length=1), (), ((3, 3),)),
        # What is too weak to count leaves a gap of three.
        ({0: 1, 1: 1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 1, 6: 1}, dict(min_confidence=0.2), (),
         ((0, 1), (5, 6))),
        # A weak guess carries a span on, and does not begin one.
        ({0: WEAK, 1: STRONG, 2: WEAK, 8: WEAK, 9: WEAK},
         dict(min_confidence=0.2, start_confidence=0.5), (), ((0, 2),)),
        # A person's word stands: too short, too weak, or said by no guess at all.
        ({3: 0.1}, dict(min_confidence=0.2), (3,), ((3, 3),)),
        ({0: WEAK, 1: WEAK}, dict(start_confidence=0.5), (1,), ((0, 1),)),
        ({}, {}, (5, 6, 11), ((5, 6), (11, 11))),
    ],
)  # fmt: skip
def test_held_spans(said, config, certain, want):
    config = SpanConfig(**(ALL_THAT_IS_SAID | config))
    assert held_spans(said, config, 20, certain) == want


@pytest.mark.parametrize(
    ("threshold", "least", "start"),
    # Below what counts by itself, whatever is as sure begins a span.
    [(None, 0.2, 0.3), (0.0, 0.0, 0.0), (0.2, 0.2, 0.3), (0.8, 0.8, 0.3)],
)
def test_a_threshold_takes_the_place_of_what_counts(threshold, least, start):
    config = SpanConfig(3, 4, 0.2, 0.3)
    assert config.at_least(threshold) == SpanConfig(3, 4, least, start)


def test_a_span_as_long_as_the_video_is_long_enough():
    assert held_spans({0: 1.0}, SpanConfig(min_length=5), 1) == ((0, 0),)


@pytest.mark.parametrize(
    ("spans", "starts", "want"),
    [
        ((), {3}, ()),
        (((2, 8),), (), ((2, 8),)),
        (((2, 8),), {2, 9}, ((2, 8),)),
        (((2, 8),), {3, 8}, ((2, 2), (3, 7), (8, 8))),
        (((0, 4), (6, 9)), {5, 7}, ((0, 4), (6, 6), (7, 9))),
    ],
)
def test_spans_are_cut_before_frames(spans, starts, want):
    assert cut_spans(spans, starts) == want
