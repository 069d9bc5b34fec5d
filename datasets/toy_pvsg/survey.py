"""Statistics of a download: is the synthetic data set worth learning from?

python datasets/toy_pvsg/survey.py DOWNLOAD
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path


def survey(root: str | Path) -> dict:
    """Return statistics of the relations in pvsg.json; shares are fractions."""
    with open(Path(root) / "pvsg.json", encoding="utf-8") as file:
        entries = json.load(file)["data"]
    records, frames_of, pairs = Counter(), Counter(), defaultdict(set)
    on_stuff = spans_all = spans_full = 0
    target_counts, frames, related_frames = Counter(), 0, 0
    for entry in entries:
        length = entry["meta"]["num_frames"]
        objects = {o["object_id"]: o for o in entry["objects"]}
        targets_at = defaultdict(set)
        for subject, target, predicate, spans in entry["relations"]:
            records[predicate] += 1
            on_stuff += not objects[target]["is_thing"]
            names = (objects[subject]["category"], objects[target]["category"])
            pairs[names].add(predicate)
            for start, end in spans:
                spans_all += 1
                spans_full += end - start + 1 >= length
                frames_of[predicate] += end - start + 1
                for t in range(start, end + 1):
                    targets_at[subject, t].add(target)
        target_counts.update(len(targets) for targets in targets_at.values())
        frames += length
        related_frames += len({t for _, t in targets_at})
    total = sum(records.values())
    return {
        "videos": len(entries),
        "frames": frames,
        "records": total,
        "spans": spans_all,
        "records of each predicate": dict(records.most_common()),
        "frames of each predicate": dict(frames_of.most_common()),
        "share of records with stuff as object": on_stuff / max(total, 1),
        "pairs of classes": len(pairs),
        "pairs of classes with two predicates or more": sum(
            len(names) > 1 for names in pairs.values()
        ),
        "objects of a subject in a frame": dict(sorted(target_counts.items())),
        "share of frames with a relation": related_frames / max(frames, 1),
        "share of spans as long as the video": spans_full / max(spans_all, 1),
    }


if __name__ == "__main__":
    print(json.dumps(survey(sys.argv[1]), indent=2))
