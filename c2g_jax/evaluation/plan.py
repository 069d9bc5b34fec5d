"""What is scored: systems, the kinds of prompt they get, and how many runs of each."""

import re
from collections.abc import Sequence

from c2g_jax.evaluation import paper
from c2g_jax.types import InputError

SYSTEMS, KINDS = ("didm", "heuristic", "oracle"), ("point", "box", "mask")
ORACLE = ("oracle", "point")  # a ceiling, always beside the rest

Plan = dict[tuple[str, str], int]  # (system, kind of prompt): runs


def read_plan(
    tables: Sequence[str] | None,
    systems: Sequence[str] | None,
    kinds: Sequence[str] | None,
    runs_of: Sequence[str],
    runs: int,
) -> tuple[tuple[int, ...], Plan]:
    """The tables to print, and what to score, as the flags of the same names say.

    A mask prompt has no chance in it, so it has one run; so has the oracle beside
    others. InputError where the flags make no sense.
    """
    if (systems or kinds) and tables:
        raise InputError(
            "--tables excludes --systems and --prompt_kinds: give one or the other"
        )
    numbers: tuple[int, ...] = ()
    if systems or kinds:
        systems = _known("systems", systems or ["didm"], SYSTEMS)
        kinds = _known("prompt_kinds", kinds or ["point"], KINDS)
        parts = [(system, kind) for system in systems for kind in kinds]
    else:
        known = tuple(map(str, paper.TABLES))
        numbers = tuple(map(int, _known("tables", tables or ["2"], known)))
        parts = [part for number in numbers for part in paper.TABLES[number]]
    plan = {part: 1 if part[1] == "mask" else runs for part in parts}
    plan.setdefault(ORACLE, 1)
    for text in runs_of:
        found = re.fullmatch(r"(\w+)/(\w+)=([1-9]\d*)", text)
        if not found or (found[1], found[2]) not in plan:
            listed = ", ".join("/".join(part) for part in plan)
            raise InputError(f"--runs_of={text}: write PART=RUNS with one of {listed}")
        plan[found[1], found[2]] = int(found[3])
    return numbers, plan


def read_shard(text: str) -> tuple[int, int]:
    """I and N of "I/N"."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or int(found[1]) >= int(found[2]):
        raise InputError(f"--shard={text}: write I/N with I from 0 to N - 1, as 0/2")
    return int(found[1]), int(found[2])


def _known(flag: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    for word in given:
        if word not in known:
            raise InputError(f"--{flag}={word}: use some of {', '.join(known)}")
    return list(dict.fromkeys(given))
