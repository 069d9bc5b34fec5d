"""Run-length masks of files: checked before pycocotools, which checks nothing."""

import json
import random

import numpy as np
import pytest

from c2g_jax.media.rle import (
    MAX_OUTLINE,
    MAX_SIDE,
    check_code,
    code_of_counts,
    code_of_polygons,
    decode_mask,
    encode_mask,
    run_lengths,
)

INF = float("inf")
SQUARE = [4, 4, 20, 4, 20, 20, 4, 20]


def counts_letter_by_letter(text):
    """The run lengths of a string, None if it holds none."""
    counts, value, shift = [], 0, 0
    for letter in text.encode():
        bits = letter - 48
        if not 0 <= bits < 64 or shift > 30:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (bits & 16) << 1 << (shift - 5)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return None if shift or not counts else counts


def test_a_code_is_valid_where_its_letters_say_so():
    rng = random.Random(0)
    size = [9, 7]
    known = encode_mask(np.random.default_rng(0).random(size) < 0.3)["counts"]
    texts = ["", "_", "o" * 8 + "0", "0" * 20 + "o1", known]
    for _ in range(3000):
        letters = list(known)
        for _ in range(rng.choice((1, 1, 2))):
            letters[rng.randrange(len(letters))] = chr(rng.randrange(46, 114))
        texts.append("".join(letters[: rng.choice((3, len(letters)))]))
    found = []
    for text in texts:
        counts = counts_letter_by_letter(text)
        valid = counts is not None and min(counts) >= 0 and sum(counts) == 63
        found.append(valid)
        if valid:
            check_code({"size": size, "counts": text})
            continue
        with pytest.raises(ValueError, match="run lengths"):
            check_code({"size": size, "counts": text})
    assert found[4]
    assert 1 < sum(found) < len(found) / 2


def test_polygons_and_plain_counts_are_the_masks_that_they_say():
    square = np.zeros((64, 48), bool)
    square[4:20, 4:20] = True
    assert (decode_mask(code_of_polygons([SQUARE], 64, 48)) == square).all()
    # Two of them are joined, and what leaves the picture is cut off.
    both = decode_mask(code_of_polygons([SQUARE, [40, 50, 99, 50, 99, 60]], 64, 48))
    assert (both[:30] == square[:30]).all()
    assert both[50, 47]
    assert not both[53, 47]
    code = json.loads(json.dumps(run_lengths(square)))
    assert code_of_counts(**code) == encode_mask(square)


@pytest.mark.parametrize(
    ("polygons", "words"),
    [
        ([[0, 0, INF, 0, 5, 5]], "a coordinate is not a number"),
        ([SQUARE, [0, 0, 5, 0, 5, float("nan")]], "a coordinate is not a number"),
        ([[0, 0, 1e30, 0, 5, 5]], "a coordinate is not a number"),
        ([[0, 0, -1e6, 0, 5, 5]], "a coordinate is not a number"),
        ([[0, 0, 10**400, 0, 5, 5]], "a coordinate is not a number"),
        ([[0, 0, "5", 0, 5, 5]], "a coordinate is not a number"),
        ([[0, 0, None, 0, 5, 5]], "a coordinate is not a number"),
        ([[0, 0, True, 0, 5, 5]], "a coordinate is not a number"),
        ([[0, 0, 1]], "3 points or more"),
        ([[4, 4, 20, 20]], "3 points or more"),
        ([[0, 0, 5, 0, 5, 5, 7]], "3 points or more"),
        ([SQUARE, {"size": [64, 48], "counts": "04"}], "3 points or more"),
        (SQUARE, "3 points or more"),
        ([], "there is no polygon"),
        ([[0, 0, MAX_SIDE, MAX_SIDE] * 100], f"longer than {MAX_OUTLINE} pixels"),
    ],
)
def test_polygons_that_cannot_be_drawn(polygons, words):
    with pytest.raises(ValueError, match=words):
        code_of_polygons(polygons, 64, 48)


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ([4, 4], [-5, 21]),
        ([4, 4], [INF]),
        ([4, 4], [float("nan"), 16]),
        ([4, 4], [2**32 + 16]),
        ([4, 4], [15]),
        ([4, 4], []),
        ([4, 4], ["16"]),
        ([4, 4], [True, 15]),
        ([4, 4, 1], [16]),
        ([4.0, 4], [16]),
        ([0, 4], []),
        ([-4, -4], [16]),
        ([INF, 4], [16]),
        ([1, MAX_SIDE + 1], [MAX_SIDE + 1]),
    ],
)
def test_plain_counts_that_are_no_mask(size, counts):
    with pytest.raises(ValueError, match=r"run lengths|size|unpack"):
        code_of_counts(size, counts)
    with pytest.raises(ValueError, match=r"run lengths|size|unpack"):
        check_code({"size": size, "counts": "4"})
