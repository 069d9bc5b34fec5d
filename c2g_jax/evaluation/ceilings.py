"""What the ground truth of a video holds, and how much of it can be found at all.

A model speaks of so many objects a frame and gives each one name, so that subjects with
more to do are never found whole; this is seen without any model.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.protocol import Protocol, prompt_frame, scored, video_truth


def video_ceiling(video: VideoRecord, protocol: Protocol) -> Counter:
    """Counts that add up over videos, of what is scored for the prompts of run 0.

    Names: "subjects", "subject frames" and "crowded frames" (more objects than
    queries), "units", "pairs", and within reach "R@K" of the units, "SpIR" of the
    pairs.
    """
    counts: Counter = Counter()
    for truth in video_truth(video, protocol).subjects:
        prompt = prompt_frame(video, truth, 0, protocol)
        part = scored(truth, prompt, protocol)
        objects = np.unique(part.pairs[:, 0], return_counts=True)[1]
        units = np.unique(part.units[:, 0], return_counts=True)[1]
        seen = np.minimum(objects, protocol.queries)
        counts["subjects"] += 1
        counts["subject frames"] += len(objects)
        counts["crowded frames"] += int((objects > protocol.queries).sum())
        counts["units"] += int(units.sum())
        counts["pairs"] += int(objects.sum())
        counts["SpIR"] += int(seen.sum())
        named = units if protocol.multi_predicate else seen
        for k in protocol.ks:
            counts[f"R@{k}"] += int(np.minimum(named, k).sum())
    return counts


def truth_summary(scores: Sequence[Mapping], ks: Sequence[int]) -> dict[str, Any]:
    """What is scored, what was left out and why, and the shares within reach.

    `scores` with the "truth" and "ceiling" of each video; whole, and by source.
    """
    sources = dict.fromkeys(score["source"] for score in scores)
    return _summary(scores, ks) | {
        "sources": {
            source: _summary([s for s in scores if s["source"] == source], ks)
            for source in sources
        }
    }


def _summary(scores: Sequence[Mapping], ks: Sequence[int]) -> dict[str, Any]:
    truth, ceiling = Counter(), Counter()
    for score in scores:
        truth.update(score["truth"])
        ceiling.update(score["ceiling"])
    kept, annotated = truth.pop("units", 0), truth.pop("annotated", 0)
    within = {f"R@{k}": ceiling["units"] for k in ks} | {"SpIR": ceiling["pairs"]}
    return {
        "videos": len(scores),
        "subjects": ceiling["subjects"],
        "subject frames": ceiling["subject frames"],
        "crowded frames": ceiling["crowded frames"],
        "pairs": ceiling["pairs"],
        "units": ceiling["units"],
        "annotated": annotated,
        "dropped": {
            **truth,
            "before the prompt": kept - ceiling["units"],
        },
        "ceilings": {
            name: 100 * ceiling[name] / total if total else None
            for name, total in within.items()
        },
    }
