"""Scene graphs as a folder in the layout of OpenPVSG.

FOLDER/pvsg.json; FOLDER/SOURCE/masks/VIDEO/0000.png, whose pixels are object ids, 0 for
background; FOLDER/SOURCE/videos/VIDEO.mp4.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from c2g_jax.export.names import plain_stem
from c2g_jax.export.overlay import object_color
from c2g_jax.media.outputs import output_folder
from c2g_jax.media.rle import decode_mask
from c2g_jax.media.video import write_mp4
from c2g_jax.types import Frame, InputError, ObjectTrack, SceneGraph
from c2g_jax.vocabulary import UNKNOWN, Vocabulary, load_vocabulary

SOURCE = "click2graph"
TRAIN, VAL = SPLITS = "train", "val"
_MAX_OBJECTS = 255  # ids in the 8-bit pixels of a mask


@dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """A video to write; `frames` returns those of the graph, in order.

    unfinished: what is left to do before its masks are known, as "frame 3 is stale".
    """

    graph: SceneGraph
    frames: Callable[[], Iterable[Frame]]
    split: str = VAL
    unfinished: str = ""


def write_open_pvsg(
    folder: str | Path,
    graph: SceneGraph,
    frames: Iterable[Frame],
    split: str = VAL,
    vocabulary: Vocabulary | None = None,
) -> None:
    """Write the folder of one video; `frames` are those of the graph, in order.

    Objects without a category are left out; see `write_videos`.
    """
    video = AnnotatedVideo(graph, lambda: frames, split)
    write_videos(folder, [video], vocabulary, leave_out=True)


def write_videos(
    folder: str | Path,
    videos: Sequence[AnnotatedVideo],
    vocabulary: Vocabulary | None = None,
    leave_out: bool = False,
) -> None:
    """Write the folder of several videos atomically.

    Objects are numbered from 1 in the order of their ids. OpenPVSG requires a category
    for every object and at most one object per pixel: objects without a category are
    left out with `leave_out`, else refused; where masks overlap the smaller one wins.
    Unfinished videos are refused. Videos of the same name get numbers. vocabulary: the
    names that the graphs may use, default OpenPVSG's; InputError if one uses another.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already: name a new folder")
    if not videos:
        raise InputError("there is no video to export: annotate one first")
    vocabulary = vocabulary or load_vocabulary()
    if not leave_out:
        _refuse_unknown(videos)
    _refuse_unfinished(videos)
    written: list[_Video] = []
    for video in videos:
        if video.split not in SPLITS:
            raise InputError(
                f"the split is {video.split!r}: give {' or '.join(SPLITS)}"
            )
        taken = {own.video_id.casefold() for own in written}  # some disks ignore case
        written.append(_Video.of(video, vocabulary, taken))
    document = {
        "objects": {
            "thing": list(vocabulary.things),
            "stuff": list(vocabulary.stuff),
        },
        "relations": list(vocabulary.predicates),
        "split": {
            SOURCE: {
                split: [v.video_id for v in written if v.split == split]
                for split in SPLITS
            }
        },
        "data": [own.entry(vocabulary) for own in written],
    }
    with output_folder(folder) as temporary:
        for video, own in zip(videos, written, strict=True):
            own.write(temporary, video.frames())
        text = json.dumps(document, allow_nan=False)
        (temporary / "pvsg.json").write_text(text, encoding="utf-8")


def _refuse_unknown(videos: Sequence[AnnotatedVideo]) -> None:
    """Raise InputError, which lists them, if objects have no category."""
    listed = []
    for video in videos:
        ids = [t.object_id for t in video.graph.objects if t.category == UNKNOWN]
        if ids:
            numbers = ", ".join(map(str, ids))
            listed.append(f"{video.graph.video.name}: {numbers}")
    if listed:
        raise InputError(
            f"objects have no name ({'; '.join(listed)}): name them, remove them, or "
            "leave them out"
        )


def _refuse_unfinished(videos: Sequence[AnnotatedVideo]) -> None:
    """Raise InputError, which lists them, if videos are unfinished."""
    listed = [f"{v.graph.video.name}: {v.unfinished}" for v in videos if v.unfinished]
    if listed:
        mend = "leave the video out, or take it as it is"
        if len(listed) > 1:
            mend = "leave these videos out, or take them as they are"
        raise InputError(f"{'; '.join(listed)}: track on, {mend}")


@dataclass(frozen=True, eq=False)
class _Video:
    """A video with the objects that are written, and the number of each id."""

    video_id: str
    split: str
    graph: SceneGraph
    tracks: Sequence[ObjectTrack]
    number: Mapping[int, int]

    @classmethod
    def of(
        cls, video: AnnotatedVideo, vocabulary: Vocabulary, taken: Collection[str]
    ) -> "_Video":
        """InputError for names that the vocabulary lacks, or too many objects."""
        graph = video.graph
        tracks = [t for t in graph.objects if t.category != UNKNOWN]
        _check_names("object", (t.category for t in tracks), vocabulary.objects)
        predicates = (r.predicate for r in graph.relations)
        _check_names("predicate", predicates, vocabulary.predicates)
        if len(tracks) > _MAX_OBJECTS:
            raise InputError(
                f"{len(tracks)} objects are too many: OpenPVSG's masks hold "
                f"{_MAX_OBJECTS}: remove some"
            )
        number = {track.object_id: k + 1 for k, track in enumerate(tracks)}
        name = video_id = _video_id(graph.video.name)
        count = 1
        while video_id.casefold() in taken:
            count += 1
            video_id = f"{name}_{count}"
        return cls(video_id, video.split, graph, tracks, number)

    def entry(self, vocabulary: Vocabulary) -> dict:
        """Return the entry of pvsg.json."""
        video, number = self.graph.video, self.number
        fps = float(video.fps or 1.0)
        return {
            "video_id": self.video_id,
            "meta": {
                "height": video.height,
                "width": video.width,
                "fps": fps,
                "duration": video.num_frames / fps,
                "num_frames": video.num_frames,
            },
            "objects": [
                {
                    "object_id": number[track.object_id],
                    "category": track.category,
                    "is_thing": track.category in vocabulary.things,
                    "status": [],
                }
                for track in self.tracks
            ],
            "relations": [
                [
                    number[r.subject_id],
                    number[r.object_id],
                    r.predicate,
                    [list(span) for span in r.spans],
                ]
                for r in self.graph.relations
                if r.subject_id in number and r.object_id in number
            ],
            "captions": [],
            "qa_pairs": [],
            "summary": "",
        }

    def write(self, folder: Path, frames: Iterable[Frame]) -> None:
        """Write masks and video."""
        masks = folder / SOURCE / "masks" / self.video_id
        videos = folder / SOURCE / "videos"
        masks.mkdir(parents=True)
        videos.mkdir(parents=True, exist_ok=True)
        palette = [0, 0, 0]
        palette += [c for i in range(1, _MAX_OBJECTS + 1) for c in object_color(i)]
        for t in range(self.graph.video.num_frames):
            segments = _segments(self.graph, self.tracks, self.number, t)
            picture = Image.fromarray(segments)
            picture.putpalette(palette)
            picture.save(masks / f"{t:04d}.png")
        write_mp4(videos / f"{self.video_id}.mp4", frames, self.graph.video.fps)


def _check_names(kind: str, used: Iterable[str], known: Iterable[str]) -> None:
    """Raise InputError if a used name is not among the known ones."""
    unknown = sorted(set(used) - set(known))
    if unknown:
        raise InputError(
            f"the {kind} {unknown[0]!r} is not in the vocabulary: give the vocabulary "
            "of the model that named it"
        )


def _segments(
    graph: SceneGraph,
    tracks: Sequence[ObjectTrack],
    number: Mapping[int, int],
    frame: int,
) -> np.ndarray:
    """Return uint8 [H, W]: the object's number at each pixel, 0 for background."""
    segments = np.zeros((graph.video.height, graph.video.width), np.uint8)
    masks = {
        number[track.object_id]: decode_mask(track.masks[frame])
        for track in tracks
        if frame in track.masks
    }
    for i in sorted(masks, key=lambda i: -np.count_nonzero(masks[i])):
        segments[masks[i]] = i
    return segments


def _video_id(name: str) -> str:
    """Return the video's name as a file name."""
    name = plain_stem(name)
    # Readers of OpenPVSG skip folders named "frames", which hold decoded videos.
    return "video" if name == "frames" else name
