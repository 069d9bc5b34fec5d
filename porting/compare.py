"""Errors between ours and the reference: definition, bounds, table."""

import dataclasses
from collections.abc import Iterable

import numpy as np

ERROR_BOUND = 1e-4  # of a tensor: norm(ours - reference) / norm(reference)
PIXEL_BOUND = 1e-4  # of a mask: share of pixels that differ, 1 in 10,000
# Of DIDM and SCH: a few layers, where SAM2.1 has dozens.
HEADS_BOUND = 1e-5


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison; `pixels` is the share of mask pixels that differ, for masks."""

    stage: str
    error: float
    largest: float  # absolute difference
    pixels: float | None = None
    bound: float = ERROR_BOUND  # of `error`
    shown: float | None = None  # share of pixels that are on the reference's mask

    @property
    def within(self) -> bool:
        """Whether the errors are within the bounds; False for NaN."""
        pixels = 0.0 if self.pixels is None else self.pixels
        return self.error <= self.bound and pixels <= PIXEL_BOUND


def compare(stage: str, ours, reference, bound: float = ERROR_BOUND) -> Row:
    """Compare two arrays of one shape; ValueError where the shapes differ."""
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    if ours.shape != reference.shape:
        raise ValueError(f"{stage}: ours is {ours.shape}, not {reference.shape}")
    difference = ours - reference
    norm = np.linalg.norm(reference)
    error = np.linalg.norm(difference)
    # For a reference of zeros the absolute error is used.
    error = error / norm if norm > 0 else error
    largest = float(np.abs(difference).max(initial=0.0))
    return Row(stage, float(error), largest, bound=bound)


def compare_masks(stage: str, ours, reference) -> Row:
    """Compare mask logits, and masks: logits above 0."""
    row = compare(stage, ours, reference)
    differ = (np.asarray(ours) > 0) != (np.asarray(reference) > 0)
    shown = float((np.asarray(reference) > 0).mean())
    return dataclasses.replace(row, pixels=float(differ.mean()), shown=shown)


def worst(stage: str, rows: Iterable[Row]) -> Row:
    """Return one row with the largest value of each column."""
    rows = list(rows)
    pixels = [row.pixels for row in rows if row.pixels is not None]
    shown = [row.shown for row in rows if row.shown is not None]
    return Row(
        stage,
        float(np.max([row.error for row in rows])),
        float(np.max([row.largest for row in rows])),
        max(pixels) if pixels else None,
        min(row.bound for row in rows),
        max(shown) if shown else None,
    )


def format_table(rows: Iterable[Row]) -> str:
    """Format the rows as a table, with those out of bound marked."""
    lines = [f"{'stage':<34}{'error':>10}{'largest':>11}{'pixels':>11}{'shown':>8}"]
    for row in rows:
        pixels = "" if row.pixels is None else f"{row.pixels:.1e}"
        shown = "" if row.shown is None else f"{row.shown:.1%}"
        mark = "" if row.within else "  OUT OF BOUND"
        lines.append(
            f"{row.stage:<34}{row.error:>10.1e}{row.largest:>11.1e}{pixels:>11}"
            f"{shown:>8}{mark}"
        )
    return "\n".join(lines)


def assert_within(rows: Iterable[Row]) -> None:
    """Raise AssertionError with the table unless all rows are within the bounds."""
    rows = list(rows)
    if not rows or not all(row.within for row in rows):
        raise AssertionError(f"out of bound\n{format_table(rows)}")
