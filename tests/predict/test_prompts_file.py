import json

import numpy as np
import pytest
from PIL import Image

from c2g_jax.predict.prompts_file import (
    prompts_to_json,
    read_annotated_prompts,
    read_prompts,
)
from c2g_jax.types import InputError

MASK = np.array([[0, 1, 0], [1, 1, 0]], bool)


def write(tmp_path, value):
    path = tmp_path / "prompts.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_points_boxes_and_masks(tmp_path):
    Image.fromarray(MASK.astype(np.uint8) * 255).save(tmp_path / "m.png")
    entries = [
        {"frame": 0, "object": 1, "points": [[3, 4], [5, 6]], "labels": [1, 0]},
        {"frame": 2, "object": 2, "box": [1, 2, 3, 4.5], "points": [[2, 3]]},
        {"frame": 3, "object": 3, "mask": "m.png"},
    ]
    first, second, third = read_prompts(write(tmp_path, {"prompts": entries}))
    assert (first.frame, first.object_id) == (0, 1)
    assert first.points.tolist() == [[3, 4], [5, 6]]
    assert first.labels.tolist() == [1, 0]
    assert first.box is first.mask is None
    assert second.box.tolist() == [1, 2, 3, 4.5]
    assert second.labels.tolist() == [1]
    np.testing.assert_array_equal(third.mask, MASK)

    # The prompts in a graph's provenance are a valid prompts file.
    again = read_prompts(write(tmp_path, prompts_to_json([first, second, third])))
    assert prompts_to_json(again) == prompts_to_json([first, second, third])
    np.testing.assert_array_equal(again[2].mask, MASK)


def test_a_mask_in_a_picture_of_ids(tmp_path):
    ids = Image.fromarray(np.array([[0, 1, 3], [1, 0, 3]], np.uint8))
    ids.putpalette(range(30))
    ids.save(tmp_path / "ids.png")
    entry = {"frame": 0, "object": 1, "mask": "ids.png"}
    (prompt,) = read_prompts(write(tmp_path, [entry | {"mask_id": 3}]))
    assert prompt.mask.tolist() == [[False, False, True]] * 2
    with pytest.raises(InputError, match=r"ids\.png: has the objects 1, 3: choose one"):
        read_prompts(write(tmp_path, [entry]))
    with pytest.raises(InputError, match=r"ids\.png: has no object 2: choose .* 1, 3"):
        read_prompts(write(tmp_path, [entry | {"mask_id": 2}]))
    for wrong in (entry | {"mask_id": "3"}, entry | {"mask_id": 3, "mask": None}):
        with pytest.raises(InputError, match="'mask_id' must be a number, beside"):
            read_prompts(write(tmp_path, [wrong]))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "not JSON"),
        ({"prompts": []}, "holds no prompts"),
        ("3", "holds no prompts"),
        ([3], "prompt 0 is not an object"),
        (
            [{"object": 1, "points": [[1, 2]]}],
            "'frame' must be a whole number, 0 or more",
        ),
        (
            [{"frame": 0, "points": [[1, 2]]}],
            "'object' must be a whole number, 1 or more",
        ),
        ([{"frame": 0, "object": 0, "box": [1, 2, 3, 4]}], "'object' must be"),
        ([{"frame": True, "object": 1, "box": [1, 2, 3, 4]}], "'frame' must be"),
        ([{"frame": 0, "object": 1}], "is empty: give a point"),
        (
            [{"frame": 0, "object": 1, "point": [1, 2]}],
            "has the key 'point': use frame",
        ),
        (
            [{"frame": 0, "object": 1, "points": [1, 2]}],
            "'points' must be [[x, y], ...]",
        ),
        ([{"frame": 0, "object": 1, "points": [["a", 2]]}], "'points' must be"),
        (
            [{"frame": 0, "object": 1, "box": [1, 2, 3]}],
            "'box' must be [x0, y0, x1, y1]",
        ),
        (
            [{"frame": 0, "object": 1, "points": [[1, 2]], "labels": [5]}],
            "use 1 (on it)",
        ),
        ([{"frame": 0, "object": 1, "mask": "no.png"}], "no.png: no such image"),
        ([{"frame": 0, "object": 1, "mask": 3}], "'mask' must be an image file"),
    ],
)
def test_files_that_hold_no_prompts(tmp_path, value, words):
    path = write(tmp_path, value)
    with pytest.raises(InputError) as error:
        read_prompts(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"no\.json: no such prompts file"):
        read_prompts(tmp_path / "no.json")


@pytest.mark.parametrize(
    "mask",
    [
        {"size": [100_000_000, 100_000_000], "counts": "PPYo0"},
        {"size": [-1, 64], "counts": "PPYo0"},
        {"size": [48, 64], "counts": [1, 2]},
        {"size": [48, 64], "counts": ""},
        {"size": [48.5, 64], "counts": "PPYo0"},
    ],
    ids=["huge", "negative", "a_list", "empty", "a_fraction"],
)
def test_run_lengths_that_would_crash_the_decoder_are_refused(tmp_path, mask):
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps([{"frame": 0, "object": 1, "mask": mask}]))
    with pytest.raises(InputError, match="COCO RLE"):
        read_prompts(path)


def test_a_file_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="nested too deep"):
        read_prompts(path)


NAMED = {
    "prompts": [
        {"frame": 0, "object": 1, "points": [[3, 4]], "name": "adult"},
        {"frame": 2, "object": 2, "box": [1, 2, 3, 4.5], "name": "cup"},
        {"frame": 3, "object": 1, "points": [[3, 4]]},
    ],
    "relations": [[1, 2, "holding", [[6, 8], [2, 4]]]],
}


def test_names_and_relations_of_prompts(tmp_path):
    prompts, told = read_annotated_prompts(write(tmp_path, NAMED))
    assert len(prompts) == 3
    assert told.names == {1: "adult", 2: "cup"}
    (relation,) = told.relations
    assert relation.spans == ((2, 4), (6, 8))
    assert (relation.subject_id, relation.object_id, relation.score) == (1, 2, 1.0)
    again = prompts_to_json(prompts, told.names)
    assert read_annotated_prompts(write(tmp_path, again))[1].names == told.names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["prompts"][2].update(name="child"), "the same in all prompts of"),
        (lambda d: d["prompts"][2].update(name=" "), "must be a text"),
        (lambda d: d["prompts"][2].update(name=3), "must be a text"),
        (lambda d: d.update(relations=3), "'relations' must be a list"),
        (lambda d: d["relations"][0].pop(), r"is not of the form \[subject, object,"),
        (lambda d: d["relations"][0].__setitem__(1, 3), "no prompt has the object 3"),
        (lambda d: d["relations"][0].__setitem__(1, 1), "not of two objects"),
        (lambda d: d["relations"][0].__setitem__(2, ""), "not of two objects"),
        (lambda d: d["relations"][0].__setitem__(3, [[2, 4], [4, 5]]), "overlap"),
        (lambda d: d["relations"][0].__setitem__(3, [[4, 2]]), "4 to 2 is empty"),
        (lambda d: d["relations"][0].__setitem__(3, []), "there is no span"),
        (lambda d: d["relations"][0].__setitem__(3, [4]), r"must be \[\[start, end\]"),
    ],
)
def test_names_and_relations_that_cannot_be(tmp_path, change, words):
    document = json.loads(json.dumps(NAMED))
    change(document)
    with pytest.raises(InputError, match=words):
        read_annotated_prompts(write(tmp_path, document))
