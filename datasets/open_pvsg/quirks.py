"""The table of quirks: everything wrong or unusual in a download, and its handling."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class DownloadError(ValueError):
    """The download cannot be used; the message is one line with the remedy."""


@dataclass(frozen=True)
class Quirk:
    """A kind of quirk. needs: what must be read to detect it."""

    name: str
    handling: str
    needs: str = "annotations"  # or "videos", "masks"
    fault: bool = False  # of the download, not of the annotations: stops --strict


QUIRKS = {
    quirk.name: quirk
    for quirk in (
        Quirk("unknown_predicate", "record dropped: its predicate is not in the list"),
        Quirk("span_past_end", "clipped to the last frame, unless it is span_outside"),
        Quirk("span_outside", "dropped: it starts past the last frame"),
        Quirk("span_malformed", "dropped: not [start, end] with 0 <= start <= end"),
        Quirk("overlapping_spans", "kept: spans of the same triplet overlap"),
        Quirk("self_relation", "record dropped: subject and object are the same"),
        Quirk("unknown_participant", "record dropped: no object has this id"),
        Quirk("unknown_category", "object dropped: its category is not in the list"),
        Quirk("duplicate_object_id", "only the first object with the id is kept"),
        Quirk("object_id_range", "object dropped: masks hold ids 1 to 255"),
        Quirk("ids_not_in_order", "none: objects are looked up by id, not by position"),
        Quirk("is_thing_mismatch", "the list of things is used"),
        Quirk("frame_count_mismatch", "num_frames is used, not duration * fps"),
        Quirk("status_given", "kept in the column `status`"),
        Quirk("unresolved_tag", "kept: the text names an object without an id"),
        Quirk("split_without_video", "excluded: in a split, but not annotated"),
        Quirk("video_without_split", "excluded: annotated, but in no split"),
        Quirk("listed_twice", "only the first entry is used"),
        Quirk("truncated_archive", "the archive is not read", "videos", True),
        Quirk("archive_checksum", "read anyway: not the released bytes", "videos"),
        Quirk("missing_video", "video excluded", "videos", True),
        Quirk("unreadable_video", "video excluded", "videos", True),
        Quirk("decodes_short", "the frames that decode are used", "videos", True),
        Quirk("decodes_long", "frames past num_frames are not used", "videos", True),
        Quirk("video_size", "the decoded size is used, not the stated", "videos", True),
        Quirk("video_size_changes", "the frames before are used", "videos", True),
        Quirk("missing_masks", "video excluded", "masks", True),
        Quirk("masks_short", "the frames with masks are used", "masks", True),
        Quirk("masks_long", "masks past num_frames are not used", "masks", True),
        Quirk("missing_mask", "the frame is set to void", "masks", True),
        Quirk("unreadable_mask", "the frame is set to void", "masks", True),
        Quirk("mask_size", "the frame is set to void", "masks", True),
        Quirk("unknown_mask_id", "pixels are set to void", "masks"),
        Quirk("void_frame", "kept: a frame without objects", "masks"),
        Quirk("object_without_pixels", "kept: never visible", "masks"),
        Quirk(
            "participant_without_mask",
            "the pair does not count in that frame: both masks are needed",
            "masks",
        ),
    )
}


@dataclass(frozen=True)
class Finding:
    """An occurrence of a quirk: in which video, where, and how many."""

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
    """A video that is not part of the prepared set."""

    video_id: str
    source: str | None
    split: str | None
    reason: str
