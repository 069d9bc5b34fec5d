"""A slow reference of the metrics: loops over pixels, sets and exhaustive searches."""

from collections import Counter

import numpy as np


def iou(one: np.ndarray, other: np.ndarray) -> float:
    both = either = 0
    for a, b in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
        both += a and b
        either += a or b
    return both / either if either else 0.0


def most_pairs(choices: list[set], used: frozenset = frozenset()) -> int:
    """Return the size of a maximum matching, by trying all ways."""
    if not choices:
        return 0
    best = most_pairs(choices[1:], used)
    for choice in choices[0] - used:
        best = max(best, 1 + most_pairs(choices[1:], used | {choice}))
    return best


def score(video, segments, seen, prompt, options) -> Counter:
    """Return the counts of subject 1, on the frames from the prompt on."""
    counts = Counter()
    units = set()
    for subject, other, predicate, start, end in video.relations.tolist():
        for t in range(max(0, start), min(end, video.num_frames - 1) + 1):
            in_view = (segments[t] == subject).any() and (segments[t] == other).any()
            if subject == 1 and other != 1 and in_view and t >= prompt:
                units.add((t, other, predicate))
    category = {int(i): 10 + int(i) for i in video.object_ids}
    subject_name = dict.fromkeys(seen)
    if options.subject_label == "tube_vote":
        votes = Counter()
        for frame in seen.values():
            for prediction in frame.predictions:
                votes[prediction.labels[0]] += prediction.confidence
        if votes:
            subject_name = {t: votes.most_common(1)[0][0] for t in seen}

    tubes = {}
    for t in sorted({t for t, *_ in units}):
        here = [u for u in units if u[0] == t]
        objects = sorted({u[1] for u in here})
        counts["units"] += len(here)
        counts["pairs"] += len(objects)
        frame = seen.get(t)
        for unit in here:
            counts[f"predicate {unit[2]}"] += 1
        away = t - prompt
        every = options.discover_every
        due = away % every == 0 if every else away == 0
        counts["PLR pairs"] += len(objects) * due
        if frame is None:
            for unit in here:
                for k in options.ks:
                    tubes.setdefault((k, unit[1:]), []).append(0)
            for other in objects:
                tubes.setdefault(("SpIR", other), []).append(0)
            continue
        ranked = sorted(
            frame.predictions,
            key=lambda p: (-p.confidence, p.object_id, p.labels[2]),
        )
        if options.mask_nms:
            kept = []
            for prediction in ranked:
                if all(
                    iou(prediction.mask, k.mask) < options.mask_nms
                    for k in kept
                    if k.object_id != prediction.object_id
                ):
                    kept.append(prediction)
            ranked = kept
        subject_iou = iou(frame.subject, segments[t] == 1)
        counts["subject IoU"] += subject_iou

        def over(prediction, other, t=t, subject_iou=subject_iou):
            close = iou(prediction.mask, segments[t] == other) >= options.tau
            return close and subject_iou >= options.tau

        def right(prediction, unit, t=t):
            name = prediction.labels[0] if subject_name[t] is None else subject_name[t]
            words = (name, *prediction.labels[1:])
            return words == (11, category[unit[1]], unit[2]) and over(
                prediction, unit[1]
            )

        for k in options.ks:
            top = ranked[:k]
            choices = [{i for i, s in enumerate(top) if right(s, u)} for u in here]
            alone = options.one_to_one
            counts[f"R@{k}"] += (
                most_pairs(choices) if alone else sum(map(bool, choices))
            )
            for unit, choice in zip(here, choices, strict=True):
                if not alone:
                    counts[f"R@{k} predicate {unit[2]}"] += bool(choice)
                tubes.setdefault((k, unit[1:]), []).append(bool(choice))
            for predicate in {u[2] for u in here} if alone else ():
                own = [
                    c for c, u in zip(choices, here, strict=True) if u[2] == predicate
                ]
                counts[f"R@{k} predicate {predicate}"] += most_pairs(own)
            pairs = [
                {
                    i
                    for i, s in enumerate(top)
                    if any(right(s, u) for u in here if u[1] == o)
                }
                for o in objects
            ]
            counts[f"pair_any@{k}"] += (
                most_pairs(pairs) if alone else sum(map(bool, pairs))
            )
        first = []
        for prediction in ranked:
            if prediction.object_id not in [s.object_id for s in first]:
                first.append(prediction)
        first = first[: options.queries]
        counts["masks"] += len(first)
        choices = [{i for i, s in enumerate(first) if over(s, o)} for o in objects]
        counts["SpIR"] += (
            most_pairs(choices) if options.one_to_one else sum(map(bool, choices))
        )
        for other, choice in zip(objects, choices, strict=True):
            tubes.setdefault(("SpIR", other), []).append(bool(choice))
        under = [int(segments[t][int(y), int(x)]) for x, y in frame.points]
        if due:
            counts["points"] += len(under)
            counts["points inside"] += sum(i in objects for i in under)
            counts["PLR"] += sum(o in under for o in objects)
    counts["subject frames"] = len({u[0] for u in units})
    for (kind, _what), hits in tubes.items():
        good = sum(hits) / len(hits) >= options.tube_share
        if kind == "SpIR":
            counts["tube pairs"] += 1
            counts["tube SpIR"] += good
        else:
            counts["tubes"] += kind == options.ks[0]
            counts[f"tube R@{kind}"] += good
    return counts


def score_together(video, segments, tracks, triplets, relations) -> dict:
    """Return {(way, predicates): {"units": n, K: hits}} of all subjects of a video.

    tracks: {id: bool [t, H, W]}; triplets: {t: [(subject, object, labels, score)]};
    relations: [(subject, object, labels, score, set of frames)].
    """
    category = {int(i): 10 + int(i) for i in video.object_ids}
    true = {}
    for subject, other, predicate, start, end in video.relations.tolist():
        own = true.setdefault((subject, other, predicate), set())
        for t in range(max(0, start), min(end, video.num_frames - 1) + 1):
            if (segments[t] == subject).any() and (segments[t] == other).any():
                own.add(t)
    true = {key: frames for key, frames in true.items() if key[0] != key[1]}

    def over(track, object_id, t):
        return iou(tracks[track][t], segments[t] == object_id) >= 0.5

    def by_rank(x):
        return -x[3], x[0], x[1], x[2][2]

    def named(x, key):
        s, o, predicate = key
        return x[2] == (category[s], category[o], predicate)

    found = {}
    for predicates in ("one", "all"):
        hits = {"units": sum(map(len, true.values())), 20: 0, 50: 0, 100: 0}
        for t in range(video.num_frames):
            ranked = sorted(triplets.get(t, []), key=by_rank)
            if predicates == "one":
                first, seen = [], set()
                for x in ranked:
                    first += [] if x[:2] in seen else [x]
                    seen.add(x[:2])
                ranked = first
            here = [key for key, frames in true.items() if t in frames]
            for k in (20, 50, 100):
                choices = [
                    {
                        i
                        for i, x in enumerate(ranked[:k])
                        if named(x, key) and over(x[0], key[0], t)
                        if over(x[1], key[1], t)
                    }
                    for key in here
                ]
                hits[k] += most_pairs(choices)
        found["frame", predicates] = hits

        ranked = sorted(relations, key=by_rank)
        if predicates == "one":
            first = []
            for i, x in enumerate(ranked):
                rivals = [y[4] for y in ranked[:i] if y[:2] == x[:2]]
                left = x[4].difference(*rivals)
                first += [(*x[:4], left)] if left else []
            ranked = first
        pairs = []
        for x in ranked:
            pairs += [] if x[:2] in pairs else [x[:2]]
        ranked = [x for x in ranked if x[:2] in pairs[:100]]
        hits = {"units": len(true), 20: 0, 50: 0, 100: 0}
        for key, frames in true.items():
            good = [
                rank
                for rank, x in enumerate(ranked)
                if named(x, key) and frames
                if 2 * sum(
                    t in x[4] and over(x[0], key[0], t) and over(x[1], key[1], t)
                    for t in frames
                ) >= len(frames)
            ]  # fmt: skip
            for k in (20, 50, 100):
                hits[k] += bool(good) and good[0] < k
        found["whole relation", predicates] = hits
    return found
