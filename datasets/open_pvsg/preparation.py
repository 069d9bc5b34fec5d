"""Scan a download: read its annotations, locate and check its files."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .annotations import Annotations, Video
from .download import Download, check_archives, find_annotations, open_download
from .pvsg_json import read_annotations
from .quirks import DownloadError, Exclusion, Finding
from .scan import Scan, Task, scan_video
from .shards import Entry
from .workers import advance, run_tasks


class FaultError(DownloadError):
    """A fault of the download, raised if `strict`."""


@dataclass(frozen=True)
class Preparation:
    """A scanned download, from which a prepared set is built."""

    annotations: Annotations
    download: Download
    entries: dict[str, tuple[Entry, ...]]  # by split name; no empty splits
    scans: dict[str, Scan]  # of every annotated video, by video_id
    findings: tuple[Finding, ...]
    excluded: tuple[Exclusion, ...]

    @property
    def num_frames(self) -> int:
        """Number of usable frames of all videos."""
        return sum(scan.num_frames for scan in self.scans.values())


def scan_download(
    root: Path,
    workers: int = 1,
    strict: bool = False,
    begin: Callable[[str, int], Callable[[int], None]] | None = None,
    checksums: bool = False,
) -> Preparation:
    """Read all videos and masks below root; with checksums, also hash the zips.

    begin(name, total_frames) is called before the long part and returns a function that
    is called with numbers of frames done. Raises DownloadError if nothing can be
    prepared and, if strict, FaultError at the first fault.
    """
    annotations = read_annotations(find_annotations(root))
    wanted = [(video.source, video.video_id) for video in annotations.videos]
    download = open_download(root, wanted)
    if checksums:
        found = check_archives(download.archives)
        download = replace(download, findings=(*download.findings, *found))
    if strict:
        _stop_at_fault(download.findings)
    tasks = [Task(v, download.of(v.source, v.video_id)) for v in annotations.videos]
    total = sum(task.video.num_frames for task in tasks)
    progress = begin("videos read", total) if begin else None
    scans = []
    for scan in run_tasks(_scan, tasks, workers, total, progress):
        if strict:
            _stop_at_fault(scan.findings)
        scans.append(scan)
    return _preparation(annotations, download, tasks, scans)


def _scan(task: Task) -> Scan:
    scan = scan_video(task)
    advance(task.video.num_frames)
    return scan


def _stop_at_fault(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.is_fault:
            raise FaultError(f"{finding}: repair it or run without --strict")


def _preparation(
    annotations: Annotations,
    download: Download,
    tasks: Sequence[Task],
    scans: Sequence[Scan],
) -> Preparation:
    entries: dict[str, list[Entry]] = {}
    excluded, findings = list(annotations.excluded), [*annotations.findings]
    findings += download.findings
    counts: dict[str, int] = {}
    for task, scan in zip(tasks, scans, strict=True):
        video = task.video
        index = counts.setdefault(video.split_name, 0)
        counts[video.split_name] += 1
        findings += scan.findings
        if scan.reason:
            excluded.append(_exclusion(video, scan))
        else:
            entry = Entry(index, video, task.files, scan)
            entries.setdefault(video.split_name, []).append(entry)
    if not entries:
        raise DownloadError(
            f"{download.root}: none of the {len(tasks)} videos of {annotations.path} "
            "can be used: put SOURCE/videos/ID.mp4 and SOURCE/masks/ID/0000.png "
            "there, or zips of them, with SOURCE one of "
            + ", ".join(annotations.sources)
            + "".join(f"; {f}" for f in download.findings)
        )
    return Preparation(
        annotations=annotations,
        download=download,
        entries={name: tuple(group) for name, group in entries.items()},
        scans={scan.video_id: scan for scan in scans},
        findings=tuple(findings),
        excluded=tuple(excluded),
    )


def _exclusion(video: Video, scan: Scan) -> Exclusion:
    return Exclusion(video.video_id, video.source, video.split, scan.reason)
