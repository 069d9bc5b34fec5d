"""The paper's tables (arXiv 2511.15948): what each compares, and its numbers.

Of Click2Graph on OpenPVSG. The rows of DIDM in its Table 4 mix kinds of prompt, so that
those of Table 3 stand here.
"""

DATASET = "open_pvsg"
METRICS = ("R@3", "SpIR", "PLR")

# Systems and kinds of prompt that a table compares.
TABLES = {
    2: (("didm", "point"),),
    3: (("didm", "mask"), ("didm", "point"), ("didm", "box")),
    4: (("didm", "point"), ("heuristic", "point")),
}
TITLES = {
    2: "Table 2: a click, by source",
    3: "Table 3: kinds of prompt",
    4: "Table 4: who finds the objects",
}

_SOURCES = ("epic_kitchen", "ego4d", "vidor")
_NUMBERS = {  # a line a source: R@3 / SpIR / PLR
    ("didm", "mask"): (
        "1.78 / 24.22 / 30.67",
        "0.73 / 17.22 / 38.37",
        "3.33 / 18.77 / 30.82",
    ),
    ("didm", "point"): (
        "1.14 ± 0.38 / 23.04 ± 1.08 / 32.06 ± 0.81",
        "0.56 ± 0.04 / 16.21 ± 1.04 / 39.87 ± 0.38",
        "2.72 ± 0.25 / 15.37 ± 0.55 / 28.86 ± 0.34",
    ),
    ("didm", "box"): (
        "2.08 ± 0.06 / 25.02 ± 0.09 / 31.96 ± 0.09",
        "0.72 ± 0.06 / 17.49 ± 0.32 / 38.97 ± 0.11",
        "3.18 ± 0.10 / 17.59 ± 0.36 / 30.13 ± 0.23",
    ),
    ("heuristic", "point"): (
        "0.62 / 5.14 / 10.60",
        "0.28 / 4.26 / 9.30",
        "0.68 / 4.66 / 10.19",
    ),
}
_OVERALL = {"R@3": "2.23"}  # Table 2; of which kind of prompt is not said


def numbers(system: str, prompt: str, source: str | None) -> dict[str, str]:
    """{metric: the paper's} of a source, None for all of them; {} where it has none."""
    if source is None:
        return _OVERALL if (system, prompt) == ("didm", "point") else {}
    lines = dict(zip(_SOURCES, _NUMBERS.get((system, prompt), ()), strict=False))
    return dict(zip(METRICS, lines.get(source, "").split(" / "), strict=False))
