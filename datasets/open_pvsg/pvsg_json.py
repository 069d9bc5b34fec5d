"""Read pvsg.json: annotations and splits."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .annotations import Annotations
from .cleaning import Vocabulary, clean_video
from .quirks import DownloadError, Exclusion, Finding
from .schema import PVSG, violations


def read_annotations(path: Path) -> Annotations:
    """Read a pvsg.json. Raises DownloadError if it is not one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DownloadError(f"{path}: {error.strerror}: give a pvsg.json") from error
    content = _content(path, data)
    names = _names(path, content)
    raw, findings = _by_id(content["data"])
    videos, excluded = [], []
    for source, split, video_id in _listed(content["split"], findings):
        if video_id not in raw:
            findings.append(Finding("split_without_video", video_id))
            excluded.append(Exclusion(video_id, source, split, "split_without_video"))
            continue
        videos.append(clean_video(raw.pop(video_id), source, split, names, findings))
    for video_id in raw:
        findings.append(Finding("video_without_split", video_id))
        excluded.append(Exclusion(video_id, None, None, "video_without_split"))
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


def _content(path: Path, data: bytes) -> dict[str, Any]:
    """Parse the JSON and check it against `schema`."""
    try:
        # NaN and infinities stay strings, so that no check takes them for numbers.
        content = json.loads(data, parse_float=_finite, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise DownloadError(
            f"{path}: not JSON ({error}): download pvsg.json again"
        ) from error
    if not isinstance(content, dict) or not set(PVSG) <= set(content):
        raise DownloadError(
            f"{path}: not a pvsg.json, which has {', '.join(PVSG)}: give that file"
        )
    wrong = next(violations(content), None)
    if wrong is not None:
        raise DownloadError(
            f"{path}: not in the format of pvsg.json: {wrong}: repair it or download "
            "pvsg.json again"
        )
    return content


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _names(path: Path, content: Mapping) -> Vocabulary:
    objects = content["objects"]
    names = Vocabulary(
        tuple(objects["thing"]), tuple(objects["stuff"]), tuple(content["relations"])
    )
    for kind in (names.things + names.stuff, names.predicates):
        for name, count in Counter(kind).items():
            if count > 1:
                raise DownloadError(
                    f"{path}: the name {name!r} is listed {count} times: labels are "
                    "positions in the list, so list it once"
                )
    return names


def _by_id(data: Sequence[Mapping]) -> tuple[dict[str, Mapping], list[Finding]]:
    raw, findings = {}, []
    for video in data:
        if video["video_id"] in raw:
            findings.append(Finding("listed_twice", video["video_id"]))
        raw.setdefault(video["video_id"], video)
    return raw, findings


def _listed(splits: Mapping, findings: list) -> Iterator[tuple[str, str, str]]:
    """Yield (source, split, video_id) of the split lists, each video once."""
    seen = set()
    for source, lists in splits.items():
        for split, video_ids in lists.items():
            for video_id in video_ids:
                if video_id in seen:
                    findings.append(Finding("listed_twice", video_id))
                    continue
                seen.add(video_id)
                yield source, split, video_id
