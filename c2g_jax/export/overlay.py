"""Masks and captions painted over frames."""

import colorsys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from c2g_jax.media.rle import decode_mask
from c2g_jax.media.video import write_mp4
from c2g_jax.types import Frame, Relation, SceneGraph

FILL, FAINT = 0.45, 0.4  # opacity of a mask, and of outlines in the background
MAX_LINES = 5  # relation captions on one frame; the best scored are shown
GOLDEN_RATIO = 0.618034  # steps of it around the hue circle stay apart


def object_color(object_id: int) -> tuple[int, int, int]:
    """RGB of an object, the same in every frame and video; neighbours differ most."""
    hue = (0.55 + object_id * GOLDEN_RATIO) % 1.0
    value = 1.0 if object_id % 2 else 0.85
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.8, value))


def write_overlay(folder: Path, frames: Iterable[Frame], graph: SceneGraph) -> None:
    """Write overlay.mp4, and overlay.png where the video is a single image."""
    still = folder / "overlay.png" if graph.video.num_frames == 1 else None

    def painted():
        for frame in draw_graph(frames, graph):
            if still:
                Image.fromarray(frame.rgb).save(still)
            yield frame

    write_mp4(folder / "overlay.mp4", painted(), graph.video.fps)


def draw_graph(frames: Iterable[Frame], graph: SceneGraph) -> Iterator[Frame]:
    """The frames with the graph's masks, names and the relations that hold on each.

    What was found for a subject, but has no relation on a frame, is outlined alone.
    """
    names = {
        track.object_id: f"{track.object_id} {track.category}"
        for track in graph.objects
    }
    for frame in frames:
        masks = {
            track.object_id: decode_mask(track.masks[frame.index])
            for track in graph.objects
            if frame.index in track.masks
        }
        holding = [
            relation
            for relation in graph.relations
            if any(first <= frame.index <= last for first, last in relation.spans)
        ]
        told = {i for r in holding for i in (r.subject_id, r.object_id)}
        quiet = {t.object_id for t in graph.objects if t.prompted_by is not None} - told
        yield replace(frame, rgb=draw_frame(frame.rgb, masks, names, holding, quiet))


def draw_frame(
    rgb: np.ndarray,
    masks: Mapping[int, np.ndarray],
    names: Mapping[int, str],
    relations: Sequence[Relation] = (),
    quiet: Collection[int] = (),
) -> np.ndarray:
    """uint8 [H, W, 3] with masks (object id -> bool [H, W]) filled and outlined.

    Each object is named at its mask; relations are listed at the bottom, best first.
    Those in `quiet` have a faint outline and no name.
    """
    height, width = rgb.shape[:2]
    line = max(1, round(min(height, width) / 300))
    painted = rgb.astype(np.float32)
    # Large masks first, so that what lies within them stays to be seen.
    areas = {object_id: np.count_nonzero(mask) for object_id, mask in masks.items()}
    order = sorted((i for i in areas if areas[i]), key=lambda i: -areas[i])
    for object_id in order:
        around = _surroundings(masks[object_id], line)
        mask, part = masks[object_id][around], painted[around]
        color = np.float32(object_color(object_id))
        outline = _outline(mask, line)
        if object_id in quiet:
            part[outline] += FAINT * (color - part[outline])
            continue
        part[mask] += FILL * (color - part[mask])
        part[outline] = color
    image = Image.fromarray(painted.round().astype(np.uint8))
    draw = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(max(10, round(min(height, width) / 32)))
    taken = _draw_relations(draw, image.size, font, names, relations)
    for object_id in (i for i in order if i not in quiet):
        name = names.get(object_id, str(object_id))
        _draw_name(draw, image.size, font, object_id, name, masks[object_id], taken)
    return np.asarray(image)


def _surroundings(mask, margin):
    """The slices of the box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return tuple(
        slice(max(0, int(found[0]) - margin), int(found[-1]) + 1 + margin)
        for found in (rows, columns)
    )


def _outline(mask, line):
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    inner = np.asarray(image.filter(ImageFilter.MinFilter(2 * line + 1))) > 0
    return mask & ~inner


def _draw_name(draw, size, font, object_id, name, mask, taken):
    """A plate above the mask, within the frame, moved off the plates already there."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    pad = round(font.size / 4)
    wide = round(draw.textlength(name, font)) + 2 * pad
    high = round(font.size * 1.2) + pad
    x = int(columns[0] + columns[-1] - wide) // 2
    x = max(0, min(x, size[0] - wide))
    y = max(0, min(int(rows[0]) - high, size[1] - high))
    for _ in range(len(taken) + 1):
        hit = [
            b
            for b in taken
            if x < b[2] and b[0] < x + wide and y < b[3] and b[1] < y + high
        ]
        if not hit or max(b[3] for b in hit) + high > size[1]:
            break
        y = max(b[3] for b in hit)
    taken.append((x, y, x + wide, y + high))
    _plate(draw, (x, y, x + wide, y + high), font, object_id, name, pad)


def _plate(draw, box, font, object_id, text, pad):
    color = object_color(object_id)
    dark = np.dot(color, (0.299, 0.587, 0.114)) < 140
    draw.rounded_rectangle(box, radius=pad, fill=(*color, 235))
    middle = (box[0] + pad, (box[1] + box[3]) / 2)
    draw.text(middle, text, "white" if dark else "black", font, anchor="lm")


def _draw_relations(draw, size, font, names, relations):
    """Lines of subject, predicate, object, score on a strip; returns what it covers."""
    if not relations:
        return []
    pad = round(font.size / 4)
    high = round(font.size * 1.2) + pad
    most = max(1, min(MAX_LINES, (size[1] // 2 - pad) // (high + pad)))
    shown = relations[:most]
    lines = []
    for relation in shown:
        ends = relation.subject_id, relation.object_id
        subject, object_ = ((i, names.get(i, str(i))) for i in ends)
        words = [subject, (None, relation.predicate), object_]
        lines.append([*words, (None, f"{relation.score:.2f}")])
    if len(relations) > len(shown):
        lines[-1].append((None, f"and {len(relations) - len(shown)} more"))
    widths = [
        [round(draw.textlength(text, font)) + 2 * pad for _, text in line]
        for line in lines
    ]
    top = size[1] - len(lines) * (high + pad) - pad
    right = 3 * pad + max(sum(wide) + pad * len(wide) for wide in widths)
    strip = (0, top, min(right, size[0]), size[1])
    draw.rectangle(strip, fill=(0, 0, 0, 150))
    for i, line in enumerate(lines):
        x, y = 2 * pad, top + pad + i * (high + pad)
        for (object_id, text), wide in zip(line, widths[i], strict=True):
            if object_id is None:
                draw.text((x + pad, y + high / 2), text, "white", font, anchor="lm")
            else:
                _plate(draw, (x, y, x + wide, y + high), font, object_id, text, pad)
            x += wide + pad
    return [strip]
