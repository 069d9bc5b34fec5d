"""Locate the videos and masks of a download: in a tree, or in zips read in place.

Only the end of a path matters, SOURCE/videos/ID.mp4 or SOURCE/masks/ID/0000.png: the
released zips contain the folders of the machine that made them.
"""

import functools
import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .quirks import DownloadError, Finding

_VIDEO = re.compile(r"(?:^|/)([^/]+)/videos/([^/]+)\.mp4$", re.IGNORECASE)
_MASK = re.compile(r"(?:^|/)([^/]+)/masks/([^/]+)/(\d+)\.png$", re.IGNORECASE)
# Raised by zipfile for a damaged, truncated, encrypted or unsupported member.
_BAD_MEMBER = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_FLAT = re.compile(r"(?:^|/)([^/]+)/masks/\d+\.png$", re.IGNORECASE)
# Checksums of the release, from the official unpacking script and a public audit.
CHECKSUMS = Path(__file__).with_name("released_checksums.txt")


@dataclass(frozen=True)
class Place:
    """A file or a member of a zip."""

    path: str
    archive: str | None = None

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}" if self.archive else self.path

    def read(self) -> bytes:
        """Return the content. Raises OSError if it is unreadable, also within a zip."""
        if self.archive is None:
            return Path(self.path).read_bytes()
        try:
            return _open_zip(self.archive).read(self.path)
        except _BAD_MEMBER as error:
            raise OSError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class VideoFiles:
    """The mp4 of a video and its masks by frame number."""

    video: Place | None = None
    masks: dict[int, Place] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Download:
    """All files found below a folder. files: {(source, video_id): VideoFiles}."""

    root: Path
    files: dict[tuple[str, str], VideoFiles]
    archives: tuple[Path, ...]
    findings: tuple[Finding, ...]

    def of(self, source: str, video_id: str) -> VideoFiles:
        return self.files.get((source, video_id), VideoFiles())


def find_annotations(root: Path) -> Path:
    """Return the pvsg.json nearest to the root. Raises DownloadError without one."""
    if not root.is_dir():
        what = "a file" if root.exists() else "no such folder"
        raise DownloadError(f"{root}: {what}: give the folder of the download")
    found = [p for p in _files(root) if os.path.basename(p) == "pvsg.json"]
    if not found:
        raise DownloadError(f"{root}: no pvsg.json in it: put the released one there")
    return Path(min(found, key=lambda path: (path.count(os.sep), path)))


def open_download(root: Path, wanted: Iterable[tuple[str, str]]) -> Download:
    """Find the files of all sources of the wanted videos, (source, video_id) each.

    Files of a tree take precedence over zips. Raises DownloadError if masks were
    unpacked without the folders of their videos, so that videos overwrote each other's
    masks, and a wanted video has no masks of its own.
    """
    wanted = list(wanted)
    sources = {source for source, _ in wanted}
    videos: dict[tuple[str, str], Place] = {}
    masks: dict[tuple[str, str], dict[int, Place]] = {}
    flat: dict[str, str] = {}
    files = list(_files(root))
    archives, findings = _archives(files)
    for place in _places(files, archives):
        path = place.path.replace(os.sep, "/")
        if match := _MASK.search(path):
            source, video_id, number = match.groups()
            if source in sources:
                frames = masks.setdefault((source, video_id), {})
                frames.setdefault(int(number), place)
        elif match := _VIDEO.search(path):
            if match[1] in sources:
                videos.setdefault((match[1], match[2]), place)
        elif (match := _FLAT.search(path)) and match[1] in sources:
            flat.setdefault(match[1], str(place))
    for source, video_id in wanted:
        if source in flat and (source, video_id) not in masks:
            raise DownloadError(
                f"{flat[source]}: all masks of {source} lie in one folder, so each "
                f"video overwrote the masks of the one before, and {video_id} has "
                "none (the official tools/unzip_and_extract.py and `unzip -j` do this)"
                f": put {source}_masks.zip below {root}, it is read in place, or "
                "unpack it with plain `unzip`"
            )
    keys = videos.keys() | masks.keys()
    found = {k: VideoFiles(videos.get(k), masks.get(k, {})) for k in sorted(keys)}
    return Download(root, found, tuple(archives), tuple(findings))


def _files(root: Path) -> Iterator[str]:
    """Yield all files below root in sorted order; links to folders are followed."""
    for folder, folders, names in os.walk(root, onerror=_unreadable, followlinks=True):
        # `frames` holds videos decoded by the official script: not needed.
        folders[:] = sorted(
            name
            for name in folders
            if name != "frames" and not _hidden((name,)) and not _leads_up(folder, name)
        )
        for name in sorted(names):
            if not _hidden((name,)):
                yield os.path.join(folder, name)


def _unreadable(error: OSError) -> None:
    raise DownloadError(
        f"{error.filename}: {error.strerror}: make it readable or move it away"
    ) from error


def _leads_up(folder: str, name: str) -> bool:
    """Return whether a folder is a link to one of its parents, an endless loop."""
    path = os.path.join(folder, name)
    if not os.path.islink(path):
        return False
    above = os.path.realpath(path)
    return os.path.commonpath([above, os.path.realpath(folder)]) == above


def _archives(files: Iterable[str]) -> tuple[list[Path], list[Finding]]:
    """Return the zips that open, and a finding for each one that does not."""
    good, findings = [], []
    for path in files:
        if not path.lower().endswith(".zip"):
            continue
        try:
            _open_zip(path)
        except (OSError, zipfile.BadZipFile) as error:
            reason = getattr(error, "strerror", None) or str(error)
            place = {"file": path, "error": reason}
            findings.append(Finding("truncated_archive", None, place))
        else:
            good.append(Path(path))
    return good, findings


def _places(files: Iterable[str], archives: list[Path]) -> Iterator[Place]:
    """Yield the files of the tree, then the members of the zips, in sorted order."""
    for path in files:
        yield Place(path)
    for archive in archives:
        for name in sorted(_open_zip(str(archive)).namelist()):
            if not _hidden(name.split("/")):
                yield Place(name, str(archive))


def _hidden(parts: Iterable[str]) -> bool:
    return any(part == "__MACOSX" or part.startswith(".") for part in parts if part)


@functools.lru_cache(maxsize=64)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)  # kept open in each process


def check_archives(archives: Iterable[Path]) -> list[Finding]:
    """Return a finding for each zip with a released name but other bytes."""
    released, findings = released_checksums(), []
    for path in archives:
        algorithm, wanted = released.get(path.name, ("md5", None))
        if wanted is None:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, algorithm).hexdigest()
        if digest != wanted:
            place = {"file": str(path), algorithm: digest, "released": wanted}
            findings.append(Finding("archive_checksum", None, place))
    return findings


def released_checksums() -> dict[str, tuple[str, str]]:
    """Return {file name: (algorithm, hex digest)} of the released files."""
    rows = [
        line.split()
        for line in CHECKSUMS.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return {name: (algorithm, digest) for algorithm, digest, name in rows}
