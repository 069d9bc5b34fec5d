"""Drawing of masks, names and relations on frames."""

import colorsys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from c2g_jax.media.rle import decode_mask
from c2g_jax.media.video import write_mp4
from c2g_jax.types import Frame, Relation, SceneGraph

FILL, FAINT = 0.45, 0.4  # opacity of masks, and of outlines of unrelated objects
MAX_LINES = 5  # relations listed on one frame, best score first
GOLDEN_RATIO = 0.618034  # as a step of hue, it keeps the colours of any ids apart


def object_color(object_id: int) -> tuple[int, int, int]:
    """Return the RGB colour of an object id; consecutive ids differ most."""
    hue = (0.55 + object_id * GOLDEN_RATIO) % 1.0
    value = 1.0 if object_id % 2 else 0.85
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.8, value))


def write_overlay(folder: Path, frames: Iterable[Frame], graph: SceneGraph) -> None:
    """Write overlay.mp4, and overlay.png if the video is a single image."""
    still = folder / "overlay.png" if graph.video.num_frames == 1 else None

    def drawn():
        for frame in draw_graph(frames, graph):
            if still:
                Image.fromarray(frame.rgb).save(still)
            yield frame

    write_mp4(folder / "overlay.mp4", drawn(), graph.video.fps)


def draw_graph(frames: Iterable[Frame], graph: SceneGraph) -> Iterator[Frame]:
    """Yield the frames with the graph's masks, names and current relations drawn.

    Discovered objects without a relation on a frame only get a faint outline.
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
        related = {i for r in holding for i in (r.subject_id, r.object_id)}
        found = {t.object_id for t in graph.objects if t.prompted_by is not None}
        quiet = found - related
        yield replace(frame, rgb=draw_frame(frame.rgb, masks, names, holding, quiet))


def draw_frame(
    rgb: np.ndarray,
    masks: Mapping[int, np.ndarray],
    names: Mapping[int, str],
    relations: Sequence[Relation] = (),
    quiet: Collection[int] = (),
) -> np.ndarray:
    """Draw on uint8 [H, W, 3] the masks (object id -> bool [H, W]) and names.

    Relations are listed at the bottom, best first. Objects in `quiet` get a faint
    outline and no name.
    """
    height, width = rgb.shape[:2]
    line = max(1, round(min(height, width) / 300))
    drawn = rgb.astype(np.float32)
    # Large masks first, so that smaller ones on them stay visible.
    areas = {object_id: np.count_nonzero(mask) for object_id, mask in masks.items()}
    order = sorted((i for i in areas if areas[i]), key=lambda i: -areas[i])
    for object_id in order:
        around = _bounding_slices(masks[object_id], line)
        mask, part = masks[object_id][around], drawn[around]
        color = np.float32(object_color(object_id))
        outline = _outline(mask, line)
        if object_id in quiet:
            part[outline] += FAINT * (color - part[outline])
            continue
        part[mask] += FILL * (color - part[mask])
        part[outline] = color
    image = Image.fromarray(drawn.round().astype(np.uint8))
    draw = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(max(10, round(min(height, width) / 32)))
    taken = _draw_relations(draw, image.size, font, names, relations)
    for object_id in (i for i in order if i not in quiet):
        name = names.get(object_id, str(object_id))
        _draw_name(draw, image.size, font, object_id, name, masks[object_id], taken)
    return np.asarray(image)


def _bounding_slices(mask, margin):
    """Return the slices of the bounding box of a mask that is not empty."""
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
    """Draw a label above the mask, inside the frame, below labels that it would hit."""
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
    _draw_label(draw, (x, y, x + wide, y + high), font, object_id, name, pad)


def _draw_label(draw, box, font, object_id, text, pad):
    color = object_color(object_id)
    dark = np.dot(color, (0.299, 0.587, 0.114)) < 140
    draw.rounded_rectangle(box, radius=pad, fill=(*color, 235))
    middle = (box[0] + pad, (box[1] + box[3]) / 2)
    draw.text(middle, text, "white" if dark else "black", font, anchor="lm")


def _draw_relations(draw, size, font, names, relations):
    """List subject, predicate, object, score on a strip; returns its box in a list."""
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
                _draw_label(
                    draw, (x, y, x + wide, y + high), font, object_id, text, pad
                )
            x += wide + pad
    return [strip]
