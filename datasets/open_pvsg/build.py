"""Build a prepared set from a download: all configs, and the audit report."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from google.protobuf import json_format

from .audit import audit_report, write_report
from .download import find_annotations
from .lock import only_one
from .open_pvsg_dataset_builder import Builder
from .preparation import Preparation, scan_download
from .quirks import DownloadError

CONFIGS = tuple(config.name for config in Builder.BUILDER_CONFIGS)


def build(
    root: Path,
    data_dir: Path,
    name: str = "open_pvsg",
    configs: Sequence[str] = CONFIGS,
    workers: int = 1,
    strict: bool = False,
    begin: Callable[[str, int], Callable[[int], None]] | None = None,
    beam_options: Any | None = None,
    checksums: bool = False,
) -> dict[str, Any] | None:
    """Prepare the download below root as data_dir/name; return the audit report.

    Configs that exist already are kept; returns None if all of them exist. A killed run
    leaves no config that would be taken for complete, and the next run removes its
    files. begin, checksums: see `scan_download`. Raises DownloadError, FaultError.
    """
    folder = data_dir / name
    find_annotations(root)  # raises before any folder is created
    with only_one(folder, folder / ".lock"):
        for left in folder.glob("*/incomplete.*"):
            shutil.rmtree(left)
        builders = [_builder(name, data_dir, c) for c in dict.fromkeys(configs)]
        missing = [builder for builder in builders if not _is_whole(builder)]
        if not missing and (folder / "audit.json").is_file():
            _check_origin(folder, {"pvsg.json": _sha256(find_annotations(root))})
            return None
        preparation = scan_download(root, workers, strict, begin, checksums)
        _check_origin(folder, _origin(preparation))
        for builder in missing:
            builder.preparation, builder.workers = preparation, workers
            builder.begin = begin
            builder.download_and_prepare(
                download_dir=folder / ".downloads",
                download_config=tfds.download.DownloadConfig(
                    manual_dir=root, beam_options=beam_options
                ),
            )
        shutil.rmtree(folder / ".downloads", ignore_errors=True)
        report = audit_report(preparation.annotations, preparation)
        write_report(report, folder)
        return report


def _origin(preparation: Preparation) -> dict[str, str]:
    """Return hashes that all configs of one data set must share."""
    scans = [
        (scan.video_id, scan.num_frames, scan.visible)
        for scan in preparation.scans.values()
    ]
    return {
        "pvsg.json": preparation.annotations.sha256,
        "videos": hashlib.sha256(repr(scans).encode()).hexdigest(),
    }


def _check_origin(folder: Path, origin: Mapping[str, str]) -> None:
    """Raise DownloadError if the folder was prepared from another download.

    The first run records its origin in origin.json.
    """
    path = folder / "origin.json"
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise _damaged(path, folder) from error
    for name, value in origin.items():
        if before.get(name, value) != value:
            raise DownloadError(
                f"{folder} was prepared from other {name}: remove that folder, or give "
                "another --data_dir"
            )
    if not before:
        aside = path.with_name(".origin.json-aside")
        aside.write_text(json.dumps(origin), encoding="utf-8")
        aside.replace(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _builder(name: str, data_dir: Path, config: str) -> Builder:
    """Return a builder with this name and without TFDS's own progress messages."""

    class Named(Builder, skip_registration=True):
        pkg_dir_path = Builder._get_pkg_dir_path()  # where README.md etc. lie

        def _log_download_bytes(self) -> None:
            """Suppressed: TFDS would print sizes that it does not know."""

        def _log_download_done(self) -> None:
            """Suppressed: the location is printed by `prepare`."""

    Named.name = name
    try:
        return Named(data_dir=data_dir, config=config)
    except (ValueError, json_format.Error) as error:  # from existing, damaged JSON
        folder = data_dir / name / config
        raise _damaged(folder, folder) from error


def _is_whole(builder: Builder) -> bool:
    """Return whether the config exists. Raises DownloadError if it is damaged."""
    if not builder.is_there():
        return False
    for split in builder.info.splits.values():
        files = [path for path in split.filepaths if path.exists()]
        if sum(os.path.getsize(path) for path in files) != split.num_bytes:
            raise _damaged(Path(builder.data_path), Path(builder.data_path))
    return True


def _damaged(thing: Path, folder: Path) -> DownloadError:
    return DownloadError(
        f"{thing} is damaged: remove {folder} and run the same command again"
    )
