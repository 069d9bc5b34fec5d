"""Faults of the real download, planted on purpose.

A quirk changes one video: its pvsg.json entry, its masks, its files, or an archive.
Each plant function returns the location of the fault, for tests to compare with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import layout


@dataclass
class Draft:
    """A video before it is written, open to changes."""

    video_id: str
    entry: dict  # its entry in pvsg.json
    frames: list[np.ndarray]  # frames of the mp4
    masks: list[np.ndarray]  # object_ids, uint8 [H, W] each
    # Mask files to replace, by frame; None: leave the file out.
    files: dict[int, bytes | None] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)  # file quirks applied by `write`

    @property
    def length(self) -> int:
        return self.entry["meta"]["num_frames"]

    def objects_by_area(self) -> list[int]:
        """Return the object_ids, largest total area first."""
        counts = np.bincount(np.stack(self.masks).ravel(), minlength=256)
        listed = [o["object_id"] for o in self.entry["objects"]]
        return sorted(listed, key=lambda i: -counts[i])

    def add_relation(
        self, subject: int, target: int, predicate: str, spans: list
    ) -> dict:
        self.entry["relations"].append([subject, target, predicate, spans])
        place = len(self.entry["relations"]) - 1
        return {"relation": place, "predicate": predicate, "spans": spans}

    def write(self, folder: Path, source: str, fps: int) -> None:
        """Write FOLDER/SOURCE/videos/ID.mp4 and FOLDER/SOURCE/masks/ID/0000.png, ..."""
        videos, masks = folder / source / "videos", folder / source / "masks"
        (masks / self.video_id).mkdir(parents=True)
        videos.mkdir(exist_ok=True)
        ending = "MP4" if "upper_case_video" in self.extra else "mp4"
        if "missing_video" not in self.extra:
            layout.write_video(videos / f"{self.video_id}.{ending}", self.frames, fps)
        for t, mask in enumerate(self.masks):
            data = self.files[t] if t in self.files else layout.mask_png(mask)
            if data is not None:
                (masks / self.video_id / f"{t:04d}.png").write_bytes(data)
        if "macosx_members" in self.extra:
            beside = masks / "__MACOSX" / self.video_id
            beside.mkdir(parents=True)
            (beside / "._0000.png").write_bytes(b"\0\5\x16\7 not a picture")


def _unknown_predicate(d: Draft) -> dict:
    a, b = d.objects_by_area()[:2]
    return d.add_relation(a, b, "climbing", [[1, 6]])


def _span_past_end(d: Draft) -> dict:
    a, b = d.objects_by_area()[:2]
    return d.add_relation(a, b, "touching", [[d.length - 4, d.length + 2]])


def _span_outside(d: Draft) -> dict:
    a, b = d.objects_by_area()[:2]
    return d.add_relation(a, b, "touching", [[d.length, d.length + 3]])


def _span_reversed(d: Draft) -> dict:
    a, b = d.objects_by_area()[:2]
    return d.add_relation(a, b, "touching", [[9, 4]])


def _overlapping_spans(d: Draft) -> dict:
    a, b = d.objects_by_area()[:2]
    return d.add_relation(b, a, "touching", [[2, 6], [5, 9]])


def _self_relation(d: Draft) -> dict:
    a = d.objects_by_area()[0]
    return d.add_relation(a, a, "touching", [[0, 5]])


def _participant_without_mask(d: Draft) -> dict:
    a, b = d.objects_by_area()[:2]
    for t in (1, 2, 3):
        d.masks[t] = np.where(d.masks[t] == b, 0, d.masks[t]).astype(np.uint8)
    place = d.add_relation(a, b, "hugging", [[1, 6]])
    return {**place, "object_id": b, "frames": [1, 2, 3]}


def _object_never_visible(d: Draft) -> dict:
    number = len(d.entry["objects"]) + 1
    d.entry["objects"].append(
        {"object_id": number, "category": "book", "is_thing": True, "status": []}
    )
    return {"object_id": number}


def _unresolved_caption(d: Draft) -> dict:
    d.entry["captions"].append(
        {
            "time": "0000-0004",
            "description": "The adult (1) waves at the baby (baby-1).",
        }
    )
    return {"caption": len(d.entry["captions"]) - 1}


def _status_given(d: Draft) -> dict:
    d.entry["objects"][0]["status"] = {"moving": [[0, 4]]}
    return {"object_id": 1}


def _short_video(d: Draft) -> dict:
    d.frames = d.frames[:-2]
    return {"decoded": len(d.frames), "num_frames": d.length}


def _unknown_mask_id(d: Draft) -> dict:
    d.masks[7] = d.masks[7].copy()
    d.masks[7][:4, :4] = 200
    return {"frame": 7, "object_id": 200}


def _void_frame(d: Draft) -> dict:
    d.masks[10] = np.zeros_like(d.masks[10])
    return {"frame": 10}


def _missing_mask(d: Draft) -> dict:
    d.files[11] = None
    return {"frame": 11}


def _unreadable_mask(d: Draft) -> dict:
    whole = layout.mask_png(d.masks[12])
    d.files[12] = whole[: len(whole) // 2]
    return {"frame": 12}


def _mask_size(d: Draft) -> dict:
    d.masks[13] = d.masks[13][::2, ::2]
    return {"frame": 13, "size": list(d.masks[13].shape)}


def _meta_size(d: Draft) -> dict:
    d.entry["meta"]["height"] += 2
    return {"height": d.entry["meta"]["height"]}


def _file_only(name: str):
    def plant(d: Draft) -> dict:
        d.extra.append(name)
        return {}

    return plant


_PLANTS = {
    "unknown_predicate": _unknown_predicate,
    "span_past_end": _span_past_end,
    "span_outside": _span_outside,
    "span_reversed": _span_reversed,
    "overlapping_spans": _overlapping_spans,
    "self_relation": _self_relation,
    "participant_without_mask": _participant_without_mask,
    "object_never_visible": _object_never_visible,
    "unresolved_caption": _unresolved_caption,
    "status_given": _status_given,
    "short_video": _short_video,
    "unknown_mask_id": _unknown_mask_id,
    "void_frame": _void_frame,
    "missing_mask": _missing_mask,
    "unreadable_mask": _unreadable_mask,
    "mask_size": _mask_size,
    "meta_size": _meta_size,
    "missing_video": _file_only("missing_video"),
    "upper_case_video": _file_only("upper_case_video"),
    "macosx_members": _file_only("macosx_members"),
}
ARCHIVE_QUIRKS = ("truncated_zip",)  # on the first mask archive; layout "zips" only
QUIRKS = (*_PLANTS, *ARCHIVE_QUIRKS)


def plan(quirks, video_ids: list[str]) -> dict[str, list[str]]:
    """Assign quirks to videos: {video_id: names}.

    quirks: names, each planted once, or {name: count}. No video gets a quirk twice.
    """
    wanted = dict(quirks) if isinstance(quirks, Mapping) else dict.fromkeys(quirks, 1)
    unknown = sorted(set(wanted) - set(QUIRKS))
    if unknown:
        raise ValueError(f"no quirk {unknown[0]!r}; there are {', '.join(QUIRKS)}")
    given: dict[str, list[str]] = {v: [] for v in video_ids}
    place = 0
    for name, count in wanted.items():
        if name in ARCHIVE_QUIRKS:
            continue
        if count > len(video_ids):
            raise ValueError(f"{count} times {name}, but {len(video_ids)} videos")
        for _ in range(count):
            given[video_ids[place % len(video_ids)]].append(name)
            place += 1
    return given


def plant(draft: Draft, names: list[str]) -> dict[str, dict]:
    """Plant quirks in a video; return {name: location}."""
    where = {
        name: {"video_id": draft.video_id, **_PLANTS[name](draft)} for name in names
    }
    return where


def truncate(folder: Path) -> dict:
    """Cut off the end of the first mask archive."""
    path = sorted(folder.glob("*/*_masks.zip"))[0]
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    return {"archive": path.name}
