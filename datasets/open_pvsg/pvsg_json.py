"""pvsg.json: reading it, and which video is in which split."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .annotations import Annotations
from .cleaning import Names, clean_video
from .quirks import DownloadError, Exclusion, Finding

KEYS = ("data", "objects", "relations", "split")


def read_annotations(path: Path) -> Annotations:
    """Read a pvsg.json. Raises DownloadError where it is none."""
    try:
        data = path.read_bytes()
        content = json.loads(data)
    except OSError as error:
        raise DownloadError(f"{path}: {error.strerror}: name a pvsg.json") from error
    except ValueError as error:
        raise DownloadError(
            f"{path}: not JSON ({error}): fetch pvsg.json anew"
        ) from error
    if not isinstance(content, dict) or set(KEYS) - set(content):
        raise DownloadError(f"{path}: not a pvsg.json, which has {', '.join(KEYS)}")
    try:
        names = _names(content)
        raw, findings = _by_id(content["data"])
        videos, excluded = [], []
        for source, split, video_id in _listed(content["split"], findings):
            if video_id not in raw:
                findings.append(Finding("split_without_video", video_id))
                excluded.append(
                    Exclusion(video_id, source, split, "split_without_video")
                )
                continue
            videos.append(
                clean_video(raw.pop(video_id), source, split, names, findings)
            )
        for video_id in raw:
            findings.append(Finding("video_without_split", video_id))
            excluded.append(Exclusion(video_id, None, None, "video_without_split"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DownloadError(
            f"{path}: not in the format of pvsg.json: {error!r}"
        ) from error
    return Annotations(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        things=names.things,
        stuff=names.stuff,
        predicates=names.predicates,
        sources=tuple(content["split"]),
        videos=tuple(videos),
        findings=tuple(findings),
        excluded=tuple(excluded),
    )


def _names(content: Mapping) -> Names:
    objects = content["objects"]
    return Names(
        tuple(objects["thing"]), tuple(objects["stuff"]), tuple(content["relations"])
    )


def _by_id(data: Sequence[Mapping]) -> tuple[dict[str, Mapping], list[Finding]]:
    raw, findings = {}, []
    for video in data:
        if video["video_id"] in raw:
            findings.append(Finding("listed_twice", video["video_id"]))
        raw.setdefault(video["video_id"], video)
    return raw, findings


def _listed(splits: Mapping, findings: list) -> Iterator[tuple[str, str, str]]:
    """(source, split, video_id) of the lists of splits, each video once."""
    seen = set()
    for source, lists in splits.items():
        for split, video_ids in lists.items():
            for video_id in video_ids:
                if video_id in seen:
                    findings.append(Finding("listed_twice", video_id))
                    continue
                seen.add(video_id)
                yield source, split, video_id
