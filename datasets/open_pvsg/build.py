"""A download to a prepared set on disk: all configs, and the audit beside them."""

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
    """Prepare the download below root as data_dir/name; returns the audit's report.

    A config that is there already stays as it is; None where all are. A killed run
    leaves nothing that counts as a config, and the next one removes what it left.
    begin, checksums: as in `scan_download`. Raises DownloadError, FaultError.
    """
    folder = data_dir / name
    find_annotations(root)  # before a folder is made for what is no download
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
    """What the configs of one data set must have in common."""
    scans = [
        (scan.video_id, scan.num_frames, scan.visible)
        for scan in preparation.scans.values()
    ]
    return {
        "pvsg.json": preparation.annotations.sha256,
        "videos": hashlib.sha256(repr(scans).encode()).hexdigest(),
    }


def _check_origin(folder: Path, origin: Mapping[str, str]) -> None:
    """DownloadError where configs in the folder were made of another download.

    The first run notes in origin.json what it was made of.
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
    """The builder under this name; it is told of progress instead of telling."""

    class Named(Builder, skip_registration=True):
        pkg_dir_path = Builder._get_pkg_dir_path()  # of README.md and the like

        def _log_download_bytes(self) -> None:
            """TFDS would print sizes that it does not know."""

        def _log_download_done(self) -> None:
            """And where the data are."""

    Named.name = name
    try:
        return Named(data_dir=data_dir, config=config)
    except (ValueError, json_format.Error) as error:  # of JSON that is there already
        folder = data_dir / name / config
        raise _damaged(folder, folder) from error


def _is_whole(builder: Builder) -> bool:
    """Whether the config is there. Raises DownloadError where it is damaged."""
    if not builder.is_there():
        return False
    for split in builder.info.splits.values():
        files = [path for path in split.filepaths if path.exists()]
        if sum(os.path.getsize(path) for path in files) != split.num_bytes:
            raise _damaged(Path(builder.data_path), Path(builder.data_path))
    return True


def _damaged(thing: Path, folder: Path) -> DownloadError:
    return DownloadError(
        f"{thing} is damaged: remove {folder}, and give the same command again"
    )
