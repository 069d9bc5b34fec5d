"""Reads a download by json, PIL and PyAV alone, without code of the project."""

import json
import re
from collections import Counter
from pathlib import Path

import av
import numpy as np
from PIL import Image


def read(root: Path) -> tuple[dict[str, dict], Counter]:
    """Return {video_id: categories, spans, masks, frames} of usable data, and quirks.

    Spans are (subject, object, predicate, start, end), masks uint8 [t, H, W].
    """
    content = json.loads((root / "pvsg.json").read_text(encoding="utf-8"))
    predicates = content["relations"]
    names = content["objects"]["thing"] + content["objects"]["stuff"]
    odd, videos = Counter(), {}
    for entry in content["data"]:
        spans = read_spans(entry, predicates, odd)
        texts = [c["description"] for c in entry["captions"]] + [entry["summary"]]
        odd["unresolved_tag"] += len(re.findall(r"\([a-z]+-\d+\)", " ".join(texts)))
        odd["status_given"] += sum(bool(o["status"]) for o in entry["objects"])
        frames = read_frames(root, entry["video_id"])
        if not frames:
            odd["missing_video"] += 1
            continue
        meta, size = entry["meta"], frames[0].shape[:2]
        odd["decodes_short"] += len(frames) < meta["num_frames"]
        odd["video_size"] += size != (meta["height"], meta["width"])
        count = min(len(frames), meta["num_frames"])
        ids = [o["object_id"] for o in entry["objects"]]
        masks = read_masks(root, entry["video_id"], ids, count, size, odd)
        seen = {i: (masks == i).any((1, 2)) for i in ids}
        odd["object_without_pixels"] += sum(not any(s) for s in seen.values())
        spans = [(*s[:4], min(s[4], count - 1)) for s in spans if s[3] < count]
        pairs = {(s, o, t) for s, o, _, a, b in spans for t in range(a, b + 1)}
        odd["participant_without_mask"] += sum(
            not (seen[s][t] and seen[o][t]) for s, o, t in pairs
        )
        categories = {o["object_id"]: o["category"] for o in entry["objects"]}
        videos[entry["video_id"]] = {
            "categories": {i: names.index(name) for i, name in categories.items()},
            "spans": sorted(spans), "masks": masks, "frames": np.stack(frames[:count]),
        }  # fmt: skip
    return videos, +odd  # without zero counts


def read_spans(entry: dict, predicates: list, odd: Counter) -> list[tuple]:
    count, kept = entry["meta"]["num_frames"], []
    for subject, other, predicate, spans in entry["relations"]:
        odd["unknown_predicate"] += predicate not in predicates
        odd["self_relation"] += subject == other
        for start, end in spans:
            if not 0 <= start <= end:
                odd["span_malformed"] += 1
                continue
            odd["span_past_end"] += end >= count
            odd["span_outside"] += start >= count
            if start < count and subject != other and predicate in predicates:
                label = predicates.index(predicate)
                kept.append((subject, other, label, start, min(end, count - 1)))
    for i, later in enumerate(in_time := sorted(kept, key=lambda s: s[3:])):
        odd["overlapping_spans"] += any(
            s[:3] == later[:3] and s[4] >= later[3] for s in in_time[:i]
        )
    return kept


def read_frames(root: Path, video_id: str) -> list[np.ndarray]:
    for path in root.glob(f"*/videos/{video_id}.*"):
        with av.open(str(path)) as container:
            return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return []


def read_masks(root: Path, video_id: str, ids, count: int, size, odd: Counter):
    masks = np.zeros((count, *size), np.uint8)
    (folder,) = root.glob(f"*/masks/{video_id}")
    for t in range(count):
        try:
            with Image.open(folder / f"{t:04d}.png") as image:
                mask = np.array(image)
        except FileNotFoundError:
            odd["missing_mask"] += 1
        except OSError:
            odd["unreadable_mask"] += 1
        else:
            if mask.shape != size:
                odd["mask_size"] += 1
                continue
            known = np.isin(mask, [0, *ids])
            masks[t] = mask * known
            odd["unknown_mask_id"] += not known.all()
            odd["void_frame"] += not masks[t].any()
    return masks
