"""Where the videos and masks of a download lie: in a tree, or in zips read in place.

What counts of a path is its end, SOURCE/videos/ID.mp4 or SOURCE/masks/ID/0000.png, and
nothing before: the released zips keep the folders of the machine that made them.
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
# What zipfile raises for a member that is damaged, cut off, encrypted or exotic.
_BAD_MEMBER = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_FLAT = re.compile(r"(?:^|/)([^/]+)/masks/\d+\.png$", re.IGNORECASE)
# Of the release: what the official unpacking script and a public audit name.
CHECKSUMS = Path(__file__).with_name("released_checksums.txt")


@dataclass(frozen=True)
class Place:
    """A file, or a member of a zip."""

    path: str
    archive: str | None = None

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}" if self.archive else self.path

    def read(self) -> bytes:
        """Raises OSError where it cannot be read, whatever is wrong with a zip."""
        if self.archive is None:
            return Path(self.path).read_bytes()
        try:
            return _open_zip(self.archive).read(self.path)
        except _BAD_MEMBER as error:
            raise OSError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class VideoFiles:
    """A video's mp4, and its masks by frame number."""

    video: Place | None = None
    masks: dict[int, Place] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Download:
    """Everything found below a folder. files: {(source, video_id): VideoFiles}."""

    root: Path
    files: dict[tuple[str, str], VideoFiles]
    archives: tuple[Path, ...]
    findings: tuple[Finding, ...]

    def of(self, source: str, video_id: str) -> VideoFiles:
        return self.files.get((source, video_id), VideoFiles())


def find_annotations(root: Path) -> Path:
    """The pvsg.json nearest to the root of a download."""
    if not root.is_dir():
        raise DownloadError(f"{root}: no such folder: give the folder of the download")
    found = sorted(root.rglob("pvsg.json"), key=lambda p: (len(p.parts), str(p)))
    if not found:
        raise DownloadError(f"{root}: no pvsg.json in it: put the released one there")
    return found[0]


def open_download(root: Path, sources: Iterable[str]) -> Download:
    """Find the files of these sources; a tree is preferred to a zip with the same file.

    Raises DownloadError where the masks of a source were unpacked without the folders
    of their videos, so that those of one video overwrote another's.
    """
    sources = set(sources)
    videos: dict[tuple[str, str], Place] = {}
    masks: dict[tuple[str, str], dict[int, Place]] = {}
    flat: dict[str, str] = {}
    archives, findings = _archives(root)
    for place in _places(root, archives):
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
    for source, path in flat.items():
        if not any(key[0] == source for key in masks):
            raise DownloadError(
                f"{path}: the masks of {source} lie in one folder, so those of every "
                "video overwrote the last one's: the official "
                "tools/unzip_and_extract.py and `unzip -j` do this: leave "
                f"{source}_masks.zip unpacked or put it below {root} (it is read in "
                "place), or unpack it with plain `unzip`"
            )
    keys = videos.keys() | masks.keys()
    files = {k: VideoFiles(videos.get(k), masks.get(k, {})) for k in sorted(keys)}
    return Download(root, files, tuple(archives), tuple(findings))


def _archives(root: Path) -> tuple[list[Path], list[Finding]]:
    """The zips below root that open, and a finding for each that does not."""
    good, findings = [], []
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() == ".zip"):
        if _hidden(path.relative_to(root).parts):
            continue
        try:
            _open_zip(str(path))
        except (OSError, zipfile.BadZipFile) as error:
            place = {"file": str(path), "error": str(error)}
            findings.append(Finding("truncated_archive", None, place))
        else:
            good.append(path)
    return good, findings


def _places(root: Path, archives: list[Path]) -> Iterator[Place]:
    """All files of the tree, then all members of the zips, each in sorted order."""
    for folder, folders, files in os.walk(root, followlinks=True):
        # `frames` are the videos decoded by the official script: not needed.
        folders[:] = sorted(f for f in folders if f != "frames" and not _hidden((f,)))
        for name in sorted(files):
            if not _hidden((name,)):
                yield Place(os.path.join(folder, name))
    for archive in archives:
        for name in sorted(_open_zip(str(archive)).namelist()):
            if not _hidden(name.split("/")):
                yield Place(name, str(archive))


def _hidden(parts: Iterable[str]) -> bool:
    return any(part == "__MACOSX" or part.startswith(".") for part in parts if part)


@functools.lru_cache(maxsize=64)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)  # kept open by each process


def check_archives(archives: Iterable[Path]) -> list[Finding]:
    """A finding for each zip that has the name of a released one but not its bytes."""
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
    """{file name: (algorithm, hex digest)} of the released files."""
    rows = [
        line.split()
        for line in CHECKSUMS.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return {name: (algorithm, digest) for algorithm, digest, name in rows}
