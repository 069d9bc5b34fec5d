"""The names that OpenPVSG knows: 126 kinds of object and 57 predicates."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("vocabulary.json")


@dataclass(frozen=True)
class Vocabulary:
    """Names in the order of their class indices: things before stuff."""

    things: tuple[str, ...]
    stuff: tuple[str, ...]
    predicates: tuple[str, ...]

    @property
    def objects(self) -> tuple[str, ...]:
        return self.things + self.stuff

    def to_json(self) -> dict[str, list[str]]:
        """{"thing": [names], "stuff": [names], "predicate": [names]}."""
        return {
            "thing": list(self.things),
            "stuff": list(self.stuff),
            "predicate": list(self.predicates),
        }

    @classmethod
    def from_json(cls, names: Mapping[str, Sequence[str]]) -> "Vocabulary":
        """What `to_json` gave: names by "thing", "stuff" and "predicate"."""
        return cls(
            tuple(names["thing"]), tuple(names["stuff"]), tuple(names["predicate"])
        )


def load_vocabulary() -> Vocabulary:
    """OpenPVSG's own; its spellings (ballon, vaccum, scissor) are the data's."""
    return Vocabulary.from_json(json.loads(_FILE.read_text(encoding="utf-8")))
