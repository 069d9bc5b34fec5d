"""One clip of a video as arrays of fixed shape, for one of two tasks.

Axes: t frame, K subjects, O objects of a subject, P predicates, N objects, S side of
the square. Object ids are the video's own, 0 is padding; masks are `segments == id`.

"relations", for Click2Graph:
    frames uint8 [t, S, S, 3], segments uint8 [t, S, S]
    subjects, subject_labels int32 [K]: visible on the first frame, in a valid relation
    objects, object_labels int32 [K, O]: the objects of the subject's valid relations,
        then bystanders: things in view on the clip that are in no relation with it
    predicates bool [K, O, t, P]: the relation holds and both masks have pixels
    points float32 [K, O, t, 2], point_valid bool [K, O, t]: inside the object, (x, y)
        in [0, 1]; 0 where it is not visible
    prompt_kind int32 [K], prompt_coords float32 [K, 2, 2], prompt_labels int32 [K, 2]:
        on the first frame, pixels of the square, labels of c2g_jax.sam2.prompts
    overflow int32 []: objects left out because a subject has more than O
"segments", for the segmenter:
    frames, segments as above; objects int32 [N]: visible on the first frame
    categories int32 [256]: class of each id, index of vocabulary.objects, or NO_CLASS
    holds bool [N, N, t, P]: the relation of the first to the second, as `predicates`
Both: video_index, start int32 [].
"""

import numpy as np

from c2g_jax.data import augmentation, prompts, sampling
from c2g_jax.data.augmentation import Clip
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.dataset import Dataset
from c2g_jax.data.pasting import paste
from c2g_jax.data.records import VideoRecord
from c2g_jax.media.images import resize_frame
from c2g_jax.types import NO_CLASS


def make_clip(
    dataset: Dataset,
    video: VideoRecord,
    start: int,
    config: ClipConfig,
    rng: np.random.Generator,
    donor: tuple[VideoRecord, int] | None = None,
) -> Clip:
    """Return the clip that starts at frame `start`, one of config.starts(video).

    donor: another video and a start, of which things are pasted (`config.pasted`).
    """
    times = start + config.stride * np.arange(config.num_frames)
    frames, segments = dataset.read_frames(video, times.tolist())
    if config.crop < 1:
        frames, segments = _window(video, frames, segments, config, rng)
    clip = square(frames, segments, config.image_size)
    predicates = len(dataset.vocabulary.predicates)
    if config.task == "relations":
        clip |= _relations(video, times, segments, clip["segments"], config, rng)
        clip["predicates"] = _predicates(
            video, times, clip["subjects"], clip["objects"], predicates
        )
    else:
        clip["categories"], weights = _categories(video), _weights(video, config)
        if donor is not None and config.pasted:
            given = make_clip(dataset, *donor, config.still(), rng)
            clip, weights = _paste_some(clip, given, video, donor[0], config, rng)
        chosen = _choose_segments(clip["segments"][0], weights, config.max_objects, rng)
        clip["objects"] = chosen
        pairs = np.tile(chosen, (len(chosen), 1))
        clip["holds"] = _predicates(video, times, chosen, pairs, predicates)
    clip["start"] = np.int32(start)
    if rng.random() < config.flip:
        clip = augmentation.mirror(clip)
    return augmentation.jitter_colours(
        clip, rng, config.brightness, config.contrast, config.saturation, config.hue
    )


def _window(
    video: VideoRecord,
    frames: np.ndarray,
    segments: np.ndarray,
    config: ClipConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Crop all frames to one window around a random pixel of a random object.

    The object is on the first frame. The pixel may lie anywhere in the window, as far
    as the frame allows.
    """
    (chosen,) = _choose_segments(segments[0], _weights(video, config), 1, rng)
    there = segments[0] == chosen if chosen else np.ones(segments.shape[1:], bool)
    rows, columns = np.nonzero(there)
    at = int(rng.integers(len(rows)))
    slices, share = [slice(None)], config.crop
    if config.crop_to:
        share = rng.uniform(config.crop, config.crop_to)
    for place, size in zip((rows[at], columns[at]), segments.shape[1:], strict=True):
        side = max(round(share * size), 1)
        first = int(np.clip(place - rng.integers(side), 0, size - side))
        slices.append(slice(first, first + side))
    return frames[tuple(slices)], segments[tuple(slices)]


def square(frames: np.ndarray, segments: np.ndarray, size: int) -> Clip:
    """Resize frames (bicubic) and segments (nearest) to size x size, if needed."""
    if frames.shape[1:3] != (size, size):
        frames = np.stack([resize_frame(frame, size) for frame in frames])
    if segments.shape[1:3] != (size, size):
        rows, columns = (_nearest(side, size) for side in segments.shape[1:3])
        segments = segments[:, rows][:, :, columns]
    return {"frames": frames, "segments": segments}


def _nearest(side: int, size: int) -> np.ndarray:
    """Return the pixel, of `side`, under the centre of each of `size`: int [size]."""
    # In integers: PIL rounds ties inconsistently.
    return (2 * np.arange(size) + 1) * side // (2 * size)


def _paste_some(
    clip: Clip,
    donor: Clip,
    video: VideoRecord,
    giver: VideoRecord,
    config: ClipConfig,
    rng: np.random.Generator,
) -> tuple[Clip, np.ndarray]:
    """Paste up to `config.pasted` things of the donor, a clip of the video `giver`.

    Each gets an id that is free. Returns the clip, and the `_weights` with theirs.
    """
    categories, weights = clip["categories"].copy(), _weights(video, config)
    things, givable = (
        np.isin(np.arange(256), v.object_ids[v.is_thing]) for v in (video, giver)
    )
    shown = np.unique(donor["segments"][0])
    shown = shown[givable[shown]]
    unused = np.setdiff1d(np.arange(1, 256), video.object_ids)
    count = min(int(rng.integers(config.pasted + 1)), len(shown), len(unused))
    chosen = rng.choice(shown, count, replace=False) if count else ()
    for thing, as_id in zip(chosen, unused, strict=False):
        behind = bool(rng.integers(2))
        clip = paste(clip, donor, thing, as_id, things, behind, rng)
        categories[as_id], things[as_id] = donor["categories"][thing], True
        weights[as_id] = config.thing_weight
    return {**clip, "categories": categories}, weights


def _choose_segments(
    first: np.ndarray, weights: np.ndarray, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw objects with pixels on the square's first frame: int32 [most].

    Each by its weight in `weights` [256]; 0 is padding.
    """
    ids = np.unique(first)
    ids = ids[weights[ids] > 0]
    count = min(most, len(ids))
    chosen = np.zeros(most, np.int32)
    if count:
        p = weights[ids] / weights[ids].sum()
        chosen[:count] = rng.choice(ids, count, replace=False, p=p)
    return chosen


def _categories(video: VideoRecord) -> np.ndarray:
    """Return the class of each id of `segments`, or NO_CLASS: int32 [256]."""
    table = np.full(256, NO_CLASS, np.int32)
    table[video.object_ids] = video.categories
    return table


def _weights(video: VideoRecord, config: ClipConfig) -> np.ndarray:
    """Return how often each id of `segments` is drawn, 0 if never: float64 [256]."""
    table = np.zeros(256)
    table[video.object_ids] = np.where(video.is_thing, config.thing_weight, 1.0)
    return table


def _pick(ids: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Draw at most `most` of the ids, in ascending order."""
    return ids if len(ids) <= most else np.sort(rng.choice(ids, most, replace=False))


def _relations(
    video: VideoRecord,
    times: np.ndarray,
    native: np.ndarray,
    squared: np.ndarray,
    config: ClipConfig,
    rng: np.random.Generator,
) -> Clip:
    """Return the arrays of "relations", except pixels and predicates."""
    k, o, t = config.max_subjects, config.object_slots, config.num_frames
    size = native.shape[2], native.shape[1]
    clip = {
        "subjects": np.zeros(k, np.int32),
        "subject_labels": np.zeros(k, np.int32),
        "objects": np.zeros((k, o), np.int32),
        "object_labels": np.zeros((k, o), np.int32),
        "points": np.zeros((k, o, t, 2), np.float32),
        "point_valid": np.zeros((k, o, t), bool),
        "prompt_kind": np.zeros(k, np.int32),
        "prompt_coords": np.zeros((k, 2, 2), np.float32),
        "prompt_labels": np.full((k, 2), prompts.ABSENT, np.int32),
        "overflow": np.int32(0),
    }
    clip["prompt_labels"][:, 0] = prompts.NOT_A_POINT
    found, possible = sampling.valid_subjects(video, t, config.stride)
    live = video.relations[video.valid_relations[:, times].any(axis=1)]
    for i, subject in enumerate(_pick(found[possible[:, times[0]]], k, rng)):
        related = np.unique(live[live[:, 0] == subject, 1])
        others = _pick(related, config.max_objects, rng)
        clip["overflow"] += np.int32(len(related) - len(others))
        if config.bystanders:
            in_view = video.visible_table[:, times].any(axis=1)
            things = video.object_ids[video.is_thing & in_view]
            beside = np.setdiff1d(things, [subject, *related])
            others = np.append(others, _pick(beside, config.bystanders, rng))
        clip["subjects"][i] = subject
        clip["subject_labels"][i] = video.category(subject)
        clip["objects"][i, : len(others)] = others
        clip["object_labels"][i, : len(others)] = [video.category(j) for j in others]
        kind = prompts.choose_kind(rng, config.prompt_mix)
        if kind == prompts.MASK and not (squared[0] == subject).any():
            kind = prompts.POINT  # too small to have a pixel in the square
        clip["prompt_kind"][i] = kind
        clip["prompt_coords"][i], clip["prompt_labels"][i] = prompts.draw_prompt(
            native[0] == subject, kind, config.image_size, rng
        )
        for j, other in enumerate(others):
            for frame in np.flatnonzero(video.visible_mask(other)[times]):
                pixel = prompts.interior_point(
                    native[frame] == other, rng, config.point_side
                )
                clip["points"][i, j, frame] = (pixel + 0.5) / size
                clip["point_valid"][i, j, frame] = True
    return clip


def _predicates(
    video: VideoRecord,
    times: np.ndarray,
    subjects: np.ndarray,
    objects: np.ndarray,
    count: int,
) -> np.ndarray:
    """Return which predicates hold: bool [K, O, t, P].

    Between subjects [K] and their objects [K, O], on the frames `times` [t].
    """
    predicates = np.zeros((*objects.shape, len(times), count), bool)
    valid = video.valid_relations[:, times]
    for (subject, other, predicate, *_), holds in zip(
        video.relations.tolist(), valid, strict=True
    ):
        for i in np.flatnonzero(subjects == subject):
            for j in np.flatnonzero(objects[i] == other):
                predicates[i, j, :, predicate] |= holds
    return predicates
