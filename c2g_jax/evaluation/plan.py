"""The plan: which systems are scored, with which kinds of prompt, for how many runs.

Also the tables of the paper (arXiv 2511.15948): what each compares, and its results of
Click2Graph on OpenPVSG. The DIDM rows of Table 4 mix kinds of prompt, so the numbers of
Table 3 are used for them.
"""

import re
from collections.abc import Sequence

from c2g_jax.data.prompts import KINDS
from c2g_jax.types import InputError

DIDM, HEURISTIC, ORACLE = SYSTEMS = "didm", "heuristic", "oracle"
AUTO = ("auto", "none")  # without prompts: --auto
CEILING = (ORACLE, "point")  # scored beside every other system

Part = tuple[str, str]  # system, kind of prompt
Plan = dict[Part, int]  # number of runs of each part

PAPER_DATASET = "open_pvsg"
PAPER_METRICS = ("R@3", "SpIR", "PLR")

# What each table compares.
TABLES = {
    2: ((DIDM, "point"),),
    3: ((DIDM, "mask"), (DIDM, "point"), (DIDM, "box")),
    4: ((DIDM, "point"), (HEURISTIC, "point")),
}
TITLES = {
    2: "Table 2: a click, by source",
    3: "Table 3: kinds of prompt",
    4: "Table 4: who finds the objects",
}

_SOURCES = ("epic_kitchen", "ego4d", "vidor")
_NUMBERS = {  # one line for each source: R@3 / SpIR / PLR
    (DIDM, "mask"): (
        "1.78 / 24.22 / 30.67",
        "0.73 / 17.22 / 38.37",
        "3.33 / 18.77 / 30.82",
    ),
    (DIDM, "point"): (
        "1.14 ± 0.38 / 23.04 ± 1.08 / 32.06 ± 0.81",
        "0.56 ± 0.04 / 16.21 ± 1.04 / 39.87 ± 0.38",
        "2.72 ± 0.25 / 15.37 ± 0.55 / 28.86 ± 0.34",
    ),
    (DIDM, "box"): (
        "2.08 ± 0.06 / 25.02 ± 0.09 / 31.96 ± 0.09",
        "0.72 ± 0.06 / 17.49 ± 0.32 / 38.97 ± 0.11",
        "3.18 ± 0.10 / 17.59 ± 0.36 / 30.13 ± 0.23",
    ),
    (HEURISTIC, "point"): (
        "0.62 / 5.14 / 10.60",
        "0.28 / 4.26 / 9.30",
        "0.68 / 4.66 / 10.19",
    ),
}
_OVERALL = {"R@3": "2.23"}  # Table 2; the paper does not state the kind of prompt


def paper_numbers(system: str, prompt: str, source: str | None) -> dict[str, str]:
    """Return the paper's {metric: result} for a source, None for all; {} if none."""
    if source is None:
        return _OVERALL if (system, prompt) == (DIDM, "point") else {}
    lines = dict(zip(_SOURCES, _NUMBERS.get((system, prompt), ()), strict=False))
    return dict(zip(PAPER_METRICS, lines.get(source, "").split(" / "), strict=False))


def read_plan(
    tables: Sequence[str] | None,
    systems: Sequence[str] | None,
    kinds: Sequence[str] | None,
    runs_of: Sequence[str],
    runs: int,
    trained: bool = True,
    auto: bool = False,
) -> tuple[tuple[int, ...], Plan]:
    """Return the tables to print and the plan, from the flags of the same names.

    Mask prompts are deterministic and get one run; so does the oracle, unless it is
    asked for. `trained`: whether there is a DIDM to score; without one the heuristic
    and the oracle are. `auto`: AUTO is scored too, by default beside clicks alone.
    Raises InputError for flags that contradict, name nothing known, or ask for a DIDM
    that is not there.
    """
    if (systems or kinds) and tables:
        raise InputError(
            "--tables excludes --systems and --prompt_kinds: give one or the other"
        )
    if auto and not trained:
        raise InputError(
            "--auto needs trained heads to name what it finds: the checkpoint holds "
            "SAM2.1 alone: give --heads"
        )
    beside = auto and not (tables or systems or kinds)
    numbers: tuple[int, ...] = ()
    first = [DIDM] if trained else [HEURISTIC, ORACLE]
    if systems or kinds or beside or not (tables or trained):
        systems = _known("systems", systems or first, SYSTEMS)
        kinds = _known("prompt_kinds", kinds or ["point"], KINDS)
        parts = [(system, kind) for system in systems for kind in kinds]
    else:
        known = tuple(map(str, TABLES))
        numbers = tuple(map(int, _known("tables", tables or ["2"], known)))
        parts = [part for number in numbers for part in TABLES[number]]
    if not trained and any(system == DIDM for system, _ in parts):
        raise InputError(
            "the checkpoint holds SAM2.1 alone, so there is no DIDM to score: give "
            "--heads, or --systems=heuristic,oracle"
        )
    plan = {part: 1 if part[1] == "mask" else runs for part in parts}
    if auto:
        plan[AUTO] = 1
    if not beside:
        plan.setdefault(CEILING, 1)
    for text in runs_of:
        found = re.fullmatch(r"(\w+)/(\w+)=([1-9]\d*)", text)
        if not found or (found[1], found[2]) not in plan:
            listed = ", ".join("/".join(part) for part in plan)
            raise InputError(f"--runs_of={text}: write PART=RUNS with one of {listed}")
        plan[found[1], found[2]] = int(found[3])
    return numbers, plan


def read_shard(text: str) -> tuple[int, int]:
    """Parse "I/N" into (I, N); raises InputError unless 0 <= I < N."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or int(found[1]) >= int(found[2]):
        raise InputError(f"--shard={text}: write I/N with I from 0 to N - 1, as 0/2")
    return int(found[1]), int(found[2])


def _known(flag: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    for word in given:
        if word not in known:
            raise InputError(f"--{flag}={word}: use some of {', '.join(known)}")
    return list(dict.fromkeys(given))
