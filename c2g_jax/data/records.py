"""The annotations of one prepared video: objects, visibility, relations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class VideoRecord:
    """A video's annotations; its pixels are read by `dataset.Dataset.read`.

    Frames count from 0 to num_frames - 1; spans are inclusive at both ends.
    """

    video_id: str
    source: str
    split: str  # the stored split, such as "vidor_val"
    first_row: int  # row of its first chunk within the stored split
    height: int
    width: int
    num_frames: int
    fps: float
    object_ids: np.ndarray  # int32 [n]
    categories: np.ndarray  # int32 [n], indices of vocabulary.objects
    is_thing: np.ndarray  # bool [n]
    visible: np.ndarray  # int32 [v, 3]: object_id, start, end; has pixels there
    relations: np.ndarray  # int32 [r, 5]: subject, object, predicate, start, end
    summary: str = ""
    captions: tuple[dict[str, str], ...] = ()  # time, description
    questions: tuple[dict[str, str], ...] = ()  # time, question, answer
    # int32 [s, 3]: object_id, start, end
    status: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    status_names: tuple[str, ...] = ()  # one per row of status

    @cached_property
    def visible_table(self) -> np.ndarray:
        """Whether each object has pixels on each frame: bool [n, num_frames]."""
        table = np.zeros((len(self.object_ids), self.num_frames), bool)
        for object_id, start, end in self.visible.tolist():
            table[self.row(object_id), start : end + 1] = True
        return table

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {object_id: i for i, object_id in enumerate(self.object_ids.tolist())}

    def row(self, object_id: int) -> int:
        """Return an id's index in object_ids; KeyError if the video has none."""
        return self._rows[int(object_id)]

    def visible_mask(self, object_id: int) -> np.ndarray:
        """Return on which frames the object has pixels: bool [num_frames]."""
        return self.visible_table[self.row(object_id)]

    def category(self, object_id: int) -> int:
        """Return the index of the object's class in vocabulary.objects."""
        return int(self.categories[self.row(object_id)])

    @cached_property
    def triplets(self) -> np.ndarray:
        """Class indices of subject, object and predicate: int [n, 3].

        One row for each relation, however many spans it has.
        """
        kinds = np.unique(self.relations[:, :3], axis=0)
        kinds[:, :2] = [[self.category(i) for i in row] for row in kinds[:, :2]] or 0
        return kinds

    @cached_property
    def valid_relations(self) -> np.ndarray:
        """Where a relation holds and both masks have pixels: bool [r, num_frames]."""
        times = np.arange(self.num_frames)
        starts, ends = self.relations[:, 3:4], self.relations[:, 4:5]
        holds = (starts <= times) & (times <= ends)
        for row, (subject, other) in zip(holds, self.relations[:, :2], strict=True):
            row &= self.visible_mask(subject) & self.visible_mask(other)
        return holds


def video_record(record: Mapping[str, Any], split: str, first_row: int) -> VideoRecord:
    """Make a VideoRecord from a record of the config `videos`, as TFDS reads it."""
    objects = record["objects"]
    status = record["status"]
    return VideoRecord(
        video_id=_text(record["video_id"]),
        source=_text(record["source"]),
        split=split,
        first_row=first_row,
        height=int(record["height"]),
        width=int(record["width"]),
        num_frames=int(record["num_frames"]),
        fps=float(record["fps"]),
        object_ids=np.asarray(objects["object_id"], np.int32),
        categories=np.asarray(objects["category"], np.int32),
        is_thing=np.asarray(objects["is_thing"], bool),
        visible=_table(record["visible"], "object_id start end"),
        relations=_table(
            record["relations"], "subject_id object_id predicate start end"
        ),
        summary=_text(record["summary"]),
        captions=_texts(record["captions"], "time description"),
        questions=_texts(record["questions"], "time question answer"),
        status=_table(status, "object_id start end"),
        status_names=tuple(map(_text, status["name"])),
    )


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _table(columns: Mapping[str, Any], names: str) -> np.ndarray:
    """Return the named columns, in that order: int32 [rows, columns]."""
    return np.stack([np.asarray(columns[n], np.int32) for n in names.split()], axis=1)


def _texts(columns: Mapping[str, Any], names: str) -> tuple[dict[str, str], ...]:
    keys = names.split()
    rows = zip(*(columns[key] for key in keys), strict=True)
    return tuple(dict(zip(keys, map(_text, row), strict=True)) for row in rows)
