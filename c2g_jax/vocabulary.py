"""The vocabulary of OpenPVSG: 126 object categories and 57 predicates."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("vocabulary.json")


@dataclass(frozen=True)
class Vocabulary:
    """Names in the order of their class indices; things precede stuff."""

    things: tuple[str, ...]
    stuff: tuple[str, ...]
    predicates: tuple[str, ...]

    @property
    def objects(self) -> tuple[str, ...]:
        return self.things + self.stuff

    def to_json(self) -> dict[str, list[str]]:
        """Return {"thing": [names], "stuff": [names], "predicate": [names]}."""
        return {
            "thing": list(self.things),
            "stuff": list(self.stuff),
            "predicate": list(self.predicates),
        }

    @classmethod
    def from_json(cls, names: Mapping[str, Sequence[str]]) -> "Vocabulary":
        """Build from the dict that `to_json` returns."""
        return cls(
            tuple(names["thing"]), tuple(names["stuff"]), tuple(names["predicate"])
        )


def load_vocabulary() -> Vocabulary:
    """Load OpenPVSG's; misspellings (ballon, vaccum, scissor) are the data's."""
    return Vocabulary.from_json(json.loads(_FILE.read_text(encoding="utf-8")))
