"""Vocabularies: OpenPVSG's 126 categories and 57 predicates, and those of others."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from c2g_jax.types import InputError

_FILE = Path(__file__).with_name("vocabulary.json")
THING, STUFF, PREDICATE = KINDS = "thing", "stuff", "predicate"
UNKNOWN = "unknown"  # stands for no category, and is no name
MAX_NAMES = 5000  # of one vocabulary
MAX_LENGTH = 100  # of one name, in characters


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

    def with_name(self, name: str, kind: str) -> "Vocabulary":
        """Return it with a name added, of one of KINDS; InputError if it cannot be."""
        if kind not in KINDS:
            raise InputError(f"kind is {kind!r}: give {', '.join(KINDS)}")
        name = check_name(name)
        others = self.predicates if kind == PREDICATE else self.objects
        if name in others:
            raise InputError(f"the vocabulary has {name!r} already: choose it there")
        if len(self.objects) + len(self.predicates) >= MAX_NAMES:
            raise InputError(_too_many(MAX_NAMES + 1))
        field = {THING: "things", STUFF: "stuff", PREDICATE: "predicates"}[kind]
        return replace(self, **{field: (*getattr(self, field), name)})

    def joined(self, other: "Vocabulary") -> "Vocabulary":
        """Return it with the names of another added; InputError where they disagree."""
        for name in other.objects:
            if (name in self.things and name in other.stuff) or (
                name in self.stuff and name in other.things
            ):
                raise InputError(
                    f"{name!r} is a thing in one vocabulary and stuff in another: make "
                    "it the same in both"
                )
        return Vocabulary(
            tuple(dict.fromkeys(self.things + other.things)),
            tuple(dict.fromkeys(self.stuff + other.stuff)),
            tuple(dict.fromkeys(self.predicates + other.predicates)),
        )

    def only(self, names: Collection[str]) -> "Vocabulary":
        """Return it with these of its names alone."""
        parts = (self.things, self.stuff, self.predicates)
        return Vocabulary(*(tuple(n for n in part if n in names) for part in parts))

    @classmethod
    def from_json(cls, names: Mapping[str, Sequence[str]]) -> "Vocabulary":
        """Build from the dict that `to_json` returns."""
        return cls(
            tuple(names["thing"]), tuple(names["stuff"]), tuple(names["predicate"])
        )


def load_vocabulary() -> Vocabulary:
    """Load OpenPVSG's; misspellings (ballon, vaccum, scissor) are the data's."""
    return Vocabulary.from_json(json.loads(_FILE.read_text(encoding="utf-8")))


def check_name(name: object) -> str:
    """Return a name without spaces around it; InputError if it can be none."""
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not text or len(text) > MAX_LENGTH or not text.isprintable() or text == UNKNOWN:
        raise InputError(
            f"{str(name)[:40]!r} can be no name: give a word, up to {MAX_LENGTH} "
            f"characters, and not {UNKNOWN!r}"
        )
    return text


def read_vocabulary(path: str | Path) -> Vocabulary:
    """Read the vocabulary of a text file or a pvsg.json; InputError if it cannot be.

    A text file has a name a line, below the line [thing], [stuff] or [predicate] of its
    kind; what follows a # is a comment.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path}: the vocabulary cannot be read ({error.strerror}): check the path"
        ) from None
    except ValueError:
        raise InputError(f"{path}: the vocabulary is not UTF-8: save it so") from None
    return parse_vocabulary(text, path)


def parse_vocabulary(text: str, path: str | Path) -> Vocabulary:
    """Do the same with the text of the file; `path` names it in messages."""
    if text.lstrip().startswith("{"):
        names = _names_of_json(path, text)
    else:
        names = _names_of_text(path, text)
    count = sum(map(len, names.values()))
    if count > MAX_NAMES:
        raise InputError(f"{path}: {_too_many(count)}")
    for kinds in ((THING, STUFF), (PREDICATE,)):
        known: set[str] = set()
        for name in (name for kind in kinds for name in names[kind]):
            if name in known:
                raise InputError(f"{path}: {name!r} is listed twice: list it once")
            known.add(name)
        if not known:
            raise InputError(
                f"{path}: the vocabulary has no {' or '.join(kinds)}: list some below "
                f"a line [{kinds[0]}]"
            )
    return Vocabulary.from_json(names)


def _too_many(count: int) -> str:
    return f"{count} names are too many for a vocabulary: give up to {MAX_NAMES}"


def _names_of_text(path: str | Path, text: str) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {kind: [] for kind in KINDS}
    kind = None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if line.startswith("["):
            kind = line.strip("[] ").lower()
            if kind not in KINDS:
                listed = ", ".join(f"[{kind}]" for kind in KINDS)
                raise InputError(f"{path}:{number}: {line} is no kind: use {listed}")
        elif line and kind is None:
            raise InputError(
                f"{path}:{number}: {line[:40]!r} has no kind: write [thing], [stuff] "
                "or [predicate] above it"
            )
        elif line:
            try:
                names[kind].append(check_name(line))
            except InputError as error:
                raise InputError(f"{path}:{number}: {error}") from None
    return names


def _names_of_json(path: str | Path, text: str) -> dict[str, list[str]]:
    try:
        document = json.loads(text)
        objects = document["objects"]
        names = {
            THING: list(objects[THING]),
            STUFF: list(objects[STUFF]),
            PREDICATE: list(document["relations"]),
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{path}: no vocabulary: give a text file, or a pvsg.json"
        ) from None
    return {kind: [check_name(name) for name in own] for kind, own in names.items()}
