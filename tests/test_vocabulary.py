"""The vocabulary against the counts of the data set."""

import json

from c2g_jax.vocabulary import Vocabulary, load_vocabulary


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
