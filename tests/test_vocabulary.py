"""The vocabulary against the counts of the data set."""

import json

import pytest

from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary, load_vocabulary, read_vocabulary


def test_counts_order_and_spelling():
    vocabulary = load_vocabulary()
    assert len(vocabulary.things) == 115
    assert len(vocabulary.stuff) == 11
    assert len(vocabulary.objects) == 126
    assert len(vocabulary.predicates) == 57
    assert vocabulary.objects[0] == "adult"
    assert vocabulary.objects[114:116] == ("window", "ceiling")
    assert vocabulary.objects[125] == "water"
    assert vocabulary.predicates[0] == "beside"
    assert vocabulary.predicates[33] == "on"
    assert vocabulary.predicates[56] == "wearing"
    assert {"ballon", "vaccum", "scissor"} < set(vocabulary.things)


def test_names_are_unique_and_clean():
    vocabulary = load_vocabulary()
    for names in (vocabulary.objects, vocabulary.predicates):
        assert len(set(names)) == len(names)
        assert all(name == name.strip().lower() and name for name in names)


def test_json_round_trip():
    vocabulary = Vocabulary(("cat", "ball"), ("sky",), ("in front of",))
    names = json.loads(json.dumps(vocabulary.to_json()))
    assert names == {
        "thing": ["cat", "ball"],
        "stuff": ["sky"],
        "predicate": ["in front of"],
    }
    assert Vocabulary.from_json(names) == vocabulary


TEXT = """\
# of the workshop
[thing]
robot
welding   torch  # two words
[stuff]
floor
[predicate]
welds
robot
"""


def test_a_text_file_of_names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text(TEXT)
    found = read_vocabulary(path)
    assert found == Vocabulary(
        ("robot", "welding torch"), ("floor",), ("welds", "robot")
    )
    document = {
        "objects": {"thing": ["robot", "welding torch"], "stuff": ["floor"]},
        "relations": ["welds", "robot"],
    }
    path.write_text(json.dumps(document))
    assert read_vocabulary(path) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT + "welds", "'welds' is listed twice: list it once"),
        (TEXT.replace("floor", "robot"), "'robot' is listed twice"),
        ("robot\n" + TEXT, r"names.txt:1: 'robot' has no kind: write \[thing\]"),
        (TEXT.replace("stuff", "stuf"), r"names.txt:5: \[stuf\] is no kind: use \[th"),
        ("[thing]\nrobot\n", r"has no predicate: list some below a line \[predicate\]"),
        ("[predicate]\nwelds\n", "has no thing or stuff"),
        ("", "has no thing or stuff"),
        (TEXT + "x" * 101, "names.txt:10: 'x+' can be no name"),
        (TEXT + "unknown", "'unknown' can be no name"),
        (TEXT + "a\x07b", "can be no name"),
        ("[thing]\n" + "\n".join(map(str, range(10_000))), "10000 names are too many"),
        ("{", "no vocabulary: give a text file, or a pvsg.json"),
        ('{"objects": []}', "no vocabulary"),
    ],
)
def test_what_a_file_of_names_has_wrong_is_named(tmp_path, text, words):
    path = tmp_path / "names.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as told:
        read_vocabulary(path)
    assert "\n" not in str(told.value)


def test_files_that_are_no_vocabulary(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_vocabulary(tmp_path / "no.txt")
    (tmp_path / "a.txt").write_bytes(b"[thing]\n\xff")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_vocabulary(tmp_path / "a.txt")


def test_names_are_added_and_vocabularies_joined():
    own = Vocabulary(("cat",), ("sky",), ("on",))
    more = own.with_name(" red  cat ", "thing").with_name("sea", "stuff")
    more = more.with_name("cat", "predicate")
    assert more == Vocabulary(("cat", "red cat"), ("sky", "sea"), ("on", "cat"))
    with pytest.raises(InputError, match="has 'sky' already"):
        more.with_name("sky", "thing")
    assert own.joined(more) == more
    assert more.joined(own) == more
    with pytest.raises(InputError, match="'sky' is a thing in one vocabulary"):
        own.joined(Vocabulary(("sky",), (), ()))
