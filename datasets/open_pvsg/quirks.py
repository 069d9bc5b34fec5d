"""What is wrong, or merely odd, in a download: each kind once, and what is done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class DownloadError(ValueError):
    """The download cannot be used: one line that names the thing and the mend."""


@dataclass(frozen=True)
class Quirk:
    """A kind of oddity. needs: the least that must be read to see it."""

    name: str
    handling: str
    needs: str = "annotations"  # or "videos", "masks"
    fault: bool = False  # of the download, not of the data: --strict stops at it


QUIRKS = {
    quirk.name: quirk
    for quirk in (
        Quirk("unknown_predicate", "record dropped: its predicate is not in the list"),
        Quirk("span_past_end", "clipped to the last frame, unless span_outside too"),
        Quirk("span_outside", "dropped: it also begins past the last frame"),
        Quirk("span_malformed", "dropped: not [start, end] with 0 <= start <= end"),
        Quirk("overlapping_spans", "kept: one pair and predicate, twice at a time"),
        Quirk("self_relation", "record dropped: subject and object are one"),
        Quirk("unknown_participant", "record dropped: no object has this id"),
        Quirk("unknown_category", "object dropped: its category is not in the list"),
        Quirk("duplicate_object_id", "the first object with the id counts"),
        Quirk("object_id_range", "object dropped: a mask holds ids 1 to 255"),
        Quirk("ids_not_in_order", "none: objects are found by id, never by place"),
        Quirk("is_thing_mismatch", "the list of things decides"),
        Quirk("frame_count_mismatch", "num_frames counts, not duration * fps"),
        Quirk("status_given", "kept in the column `status`"),
        Quirk("unresolved_tag", "kept: the text names an object without an id"),
        Quirk("split_without_video", "excluded: listed in a split, not annotated"),
        Quirk("video_without_split", "excluded: annotated, in no split"),
        Quirk("listed_twice", "the first place counts"),
        Quirk("truncated_archive", "nothing in it is read", "videos", True),
        Quirk("archive_checksum", "read all the same: not as released", "videos"),
        Quirk("missing_video", "video excluded", "videos", True),
        Quirk("unreadable_video", "video excluded", "videos", True),
        Quirk("decodes_short", "the frames that decode are used", "videos", True),
        Quirk("decodes_long", "frames past num_frames are not used", "videos", True),
        Quirk("video_size", "the decoded size counts, not the stated", "videos", True),
        Quirk("missing_masks", "video excluded", "masks", True),
        Quirk("masks_short", "the frames that have masks are used", "masks", True),
        Quirk("masks_long", "masks past num_frames are not used", "masks", True),
        Quirk("missing_mask", "the frame is taken as void", "masks", True),
        Quirk("unreadable_mask", "the frame is taken as void", "masks", True),
        Quirk("mask_size", "the frame is taken as void", "masks", True),
        Quirk("unknown_mask_id", "taken as void", "masks"),
        Quirk("void_frame", "kept: a frame without any object", "masks"),
        Quirk("object_without_pixels", "kept: never visible", "masks"),
        Quirk(
            "participant_without_mask",
            "frame of a pair does not count: it needs both masks (see frame_pairs)",
            "masks",
        ),
    )
}


@dataclass(frozen=True)
class Finding:
    """One oddity: which, in which video, where in it, and how many it stands for."""

    quirk: str
    video_id: str | None
    place: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1

    def __post_init__(self):
        if self.quirk not in QUIRKS:
            raise KeyError(f"{self.quirk} is not in QUIRKS")

    def __str__(self) -> str:
        where = ", ".join(f"{key} {value}" for key, value in self.place.items())
        return f"{self.quirk}: {self.video_id or 'download'}" + f" ({where})" * bool(
            where
        )

    @property
    def is_fault(self) -> bool:
        return QUIRKS[self.quirk].fault


@dataclass(frozen=True)
class Exclusion:
    """A video that the prepared set leaves out."""

    video_id: str
    source: str | None
    split: str | None
    reason: str
