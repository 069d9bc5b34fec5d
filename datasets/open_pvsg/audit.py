"""Report on the content and the quirks of a download, as JSON and as text."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .annotations import Annotations, Video
from .download import released_checksums
from .preparation import Preparation
from .quirks import QUIRKS, Finding
from .scan import Scan

SCHEMA_VERSION = 1
NEEDS = "needs {}"  # in place of a count for which nothing was read
COLUMNS = 5  # of the table of counts
PLACES = 3  # listed per quirk in the text; the JSON has all


def audit_report(
    annotations: Annotations, preparation: Preparation | None = None
) -> dict[str, Any]:
    """Return all counts as plain JSON.

    Without a preparation the report covers the annotation file only.
    """
    whole = preparation is not None
    findings = preparation.findings if whole else annotations.findings
    excluded = preparation.excluded if whole else annotations.excluded
    scans = preparation.scans if whole else None
    released = released_checksums()["pvsg.json"][1]
    return {
        "schema_version": SCHEMA_VERSION,
        "annotations": {
            "file": str(annotations.path),
            "sha256": annotations.sha256,
            "is_released": annotations.sha256 == released,
        },
        "download": str(preparation.download.root) if whole else None,
        "archives": [str(p) for p in preparation.download.archives] if whole else [],
        "vocabulary": {
            "things": len(annotations.things),
            "stuff": len(annotations.stuff),
            "predicates": len(annotations.predicates),
        },
        "total": _counts(annotations.videos, scans),
        "splits": _splits(annotations, scans),
        "quirks": _quirks(findings, whole),
        "predicates": _predicates(annotations),
        "objects": _objects(annotations),
        "excluded": [asdict(e) for e in excluded],
    }


def _counts(videos: Sequence[Video], scans: Mapping[str, Scan] | None) -> dict:
    """Count what is annotated in these videos and, given scans, what is usable."""
    counts = {
        "videos": len(videos),
        "frames": sum(v.num_frames for v in videos),
        "objects": sum(v.num_objects for v in videos),
        "relations": sum(v.num_relations for v in videos),
        "spans": sum(v.num_spans for v in videos),
    }
    if scans is not None:
        usable = [v for v in videos if scans[v.video_id].num_frames]
        counts |= {
            "usable_videos": len(usable),
            "usable_frames": sum(scans[v.video_id].num_frames for v in usable),
            "usable_spans": sum(
                span.start < scans[v.video_id].num_frames
                for v in usable
                for span in v.spans
            ),
            "frame_pairs": sum(scans[v.video_id].frame_pairs for v in usable),
        }
    return counts


def _splits(annotations: Annotations, scans) -> dict[str, dict]:
    groups = defaultdict(list)
    for video in annotations.videos:
        groups[video.split_name].append(video)
    return {name: _counts(videos, scans) for name, videos in groups.items()}


def _quirks(findings: Iterable[Finding], whole: bool) -> dict[str, dict]:
    """Return count, handling and places of every quirk, including those not found."""
    places = defaultdict(list)
    for finding in findings:
        places[finding.quirk].append(finding)
    quirks = {}
    for quirk in QUIRKS.values():
        entry = {"handling": quirk.handling, "fault": quirk.fault}
        if not whole and quirk.needs != "annotations":
            entry["count"] = NEEDS.format(quirk.needs)
        else:
            found = places[quirk.name]
            entry |= {
                "count": sum(f.count for f in found),
                "videos": len({f.video_id for f in found}),
                "places": [_place(f) for f in found],
            }
        quirks[quirk.name] = entry
    return quirks


def _place(finding: Finding) -> dict[str, Any]:
    count = {"count": finding.count} if finding.count != 1 else {}
    return {"video_id": finding.video_id, **finding.place, **count}


def _predicates(annotations: Annotations) -> dict[str, dict]:
    """Count annotated records per predicate, most frequent first."""
    counts = Counter(dict.fromkeys(annotations.predicates, 0))
    for video in annotations.videos:
        counts.update(video.predicates)
    known = set(annotations.predicates)
    return {
        "known": {n: c for n, c in counts.most_common() if n in known},
        "unknown": {n: c for n, c in counts.most_common() if n not in known},
    }


def _objects(annotations: Annotations) -> dict[str, int]:
    counts = Counter(dict.fromkeys(annotations.objects, 0))
    for video in annotations.videos:
        counts.update(o.category for o in video.objects)
    return dict(counts.most_common())


def write_report(report: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write audit.json and audit.txt to the folder, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    paths = folder / "audit.json", folder / "audit.txt"
    for path, content in zip(paths, (text, report_text(report)), strict=True):
        aside = path.with_name(f".{path.name}.part")
        try:
            aside.write_text(content, encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    return paths


def report_text(report: Mapping[str, Any]) -> str:
    """Return the report as text, wrapped at 88 columns where names allow."""
    about = report["annotations"]
    is_released = (
        "the released file" if about["is_released"] else "not the released file"
    )
    lines = [f"{about['file']} ({is_released})", ""]
    lines += [*_table({**report["splits"], "all": report["total"]}), ""]
    lines += ["quirks"]
    for name, quirk in report["quirks"].items():
        if quirk["count"] == 0:
            continue
        lines.append(f"  {quirk['count']:>13}  {name}: {quirk['handling']}")
        shown = quirk.get("places", [])[:PLACES]
        lines += [f"{'':17}{_place_text(place)}" for place in shown]
        rest = len(quirk.get("places", [])) - len(shown)
        if rest:
            lines.append(f"{'':17}and {rest} more places in audit.json")
    none = [name for name, quirk in report["quirks"].items() if quirk["count"] == 0]
    lines += [*_wrapped("  not found: " + ", ".join(none)), ""]
    lines += [f"excluded videos: {len(report['excluded']) or 'none'}"]
    lines += [f"  {e['video_id']}: {e['reason']}" for e in report["excluded"]]
    predicates = report["predicates"]
    lines += ["", "relation records by predicate", *_histogram(predicates["known"])]
    if predicates["unknown"]:
        lines += ["predicates outside the list", *_histogram(predicates["unknown"])]
    lines += ["", "objects by category", *_histogram(report["objects"])]
    return "\n".join(lines) + "\n"


def _place_text(place: Mapping[str, Any]) -> str:
    rest = (f"{k} {v}" for k, v in place.items() if k != "video_id")
    return f"{place['video_id'] or 'download'}: " + ", ".join(rest)


def _table(rows: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Format annotated counts and, below them, usable counts if known."""
    names = list(next(iter(rows.values())))
    width, lines = max(map(len, rows)), []
    for part in (names[:COLUMNS], names[COLUMNS:]):
        if part:
            head = "".join(f"{name.replace('_', ' '):>14}" for name in part)
            lines.append(" " * width + head)
            lines += [
                f"{row:<{width}}" + "".join(f"{counts[name]:>14,}" for name in part)
                for row, counts in rows.items()
            ]
    return lines


def _histogram(counts: Mapping[str, int]) -> list[str]:
    used = [f"{name} {count}" for name, count in counts.items() if count]
    unused = len(counts) - len(used)
    return _wrapped("  " + ", ".join(used) + f"; {unused} unused" * bool(unused))


def _wrapped(text: str, width: int = 88) -> list[str]:
    """Break a text at its commas into lines of at most `width` where possible."""
    lines = [""]
    for item in text.split(", "):
        if len(lines[-1]) + len(item) + 2 > width:
            lines[-1] += ","
            lines.append(f"  {item}")
        else:
            lines[-1] += f", {item}" if lines[-1] else item
    return lines
