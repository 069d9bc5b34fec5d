"""The TFDS builder of OpenPVSG, run by `python -m c2g_jax.prepare` or `tfds build`.

The three configs have the same splits and order of videos: `videos` has one record per
video, `default` and `1024` have one per eight frames. Each file is written by one
process: this one, a worker process, or a Beam worker.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core import splits as splits_lib

from .audit import audit_report, write_report
from .features import chunk_features, video_features
from .preparation import Preparation, scan_download
from .shards import VIDEOS, Shard, plan_shards
from .workers import run_tasks
from .writing import File, write_file, write_on_beam

_INSTRUCTIONS = """
Put pvsg.json and the six zips of OpenPVSG (vidor_videos.zip, vidor_masks.zip, and the
same for epic_kitchen and ego4d) into one folder, in subfolders or not, and leave them
packed: they are read in place. An unpacked tree works too:
SOURCE/videos/ID.mp4 and SOURCE/masks/ID/0000.png. A subset of the sources is enough.
"""
FILE_FORMAT = "array_record"


class Builder(tfds.core.ShardBasedBuilder):
    """OpenPVSG. `preparation`, `workers` and `begin` may be set before it runs."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name="default",
            description="Eight frames per record, at original size.",
        ),
        tfds.core.BuilderConfig(
            name="1024",
            description="Eight frames per record, resized to 1024x1024; masks are not.",
        ),
        tfds.core.BuilderConfig(
            name=VIDEOS, description="One record per video: its annotations."
        ),
    ]

    preparation: Preparation | None = None  # shared by several configs
    workers: int | None = None  # number of processes; default: one per core
    # Progress, see `scan_download`.
    begin: Callable[[str, int], Callable[[int], None]] | None = None

    def __init__(self, *, file_format: str | None = None, **kwargs: Any):
        super().__init__(file_format=file_format, **kwargs)
        if file_format is None and not self.is_there():
            self.info.set_file_format(FILE_FORMAT, override=True)  # random access

    def is_there(self) -> bool:
        """Return whether this config is prepared (`is_prepared` of TFDS would warn)."""
        return (self.data_path / "dataset_info.json").exists()

    def _info(self) -> tfds.core.DatasetInfo:
        is_videos = self.builder_config.name == VIDEOS
        return self.dataset_info_from_configs(
            features=video_features() if is_videos else chunk_features(),
            homepage="https://github.com/LilyDaytoy/OpenPVSG",
            disable_shuffling=True,
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        if self.preparation is None:
            root = Path(os.fspath(dl_manager.manual_dir))
            self.preparation = _scan_once(root, self._processes(), self.begin)
        config = self.builder_config.name
        return {
            split: plan_shards(config, entries)
            for split, entries in self.preparation.entries.items()
        }

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig | None = None,
    ) -> None:
        """Write all files of all splits in parallel, and the split info.

        TFDS's own loop writes one file after the other, and on Beam it writes the files
        of the first split once for every split.
        """
        shards = self._shard_iterators_per_split(dl_manager)
        annotations = self.preparation.annotations
        if self.builder_config.name == VIDEOS:
            features = self.info.features
            features["objects"]["category"].names = annotations.objects
            features["relations"]["predicate"].names = annotations.predicates
        files = {
            split: [
                File(
                    shard=shard,
                    path=os.fspath(
                        self._get_filename_template(split_name=split).sharded_filepath(
                            shard_index=index, num_shards=len(group)
                        )
                    ),
                    file_format=self.info.file_format.value,
                    objects=annotations.objects,
                    predicates=annotations.predicates,
                )
                for index, shard in enumerate(group)
            ]
            for split, group in shards.items()
        }
        flat = [file for group in files.values() for file in group]
        if download_config and (
            download_config.beam_runner or download_config.beam_options
        ):
            lengths = write_on_beam(flat, download_config)
        else:
            name = self.builder_config.name
            frames = 0 if name == VIDEOS else self.preparation.num_frames
            progress = self.begin(name, frames) if self.begin and frames else None
            lengths = list(
                run_tasks(write_file, flat, self._processes(), frames, progress)
            )
        self.info.set_splits(self._splits(files, iter(lengths)))

    def _splits(self, files: Mapping[str, Sequence[File]], lengths) -> Any:
        infos = [
            splits_lib.SplitInfo(
                name=split,
                shard_lengths=[next(lengths) for _ in group],
                num_bytes=sum(os.path.getsize(file.path) for file in group),
                filename_template=self._get_filename_template(split_name=split),
            )
            for split, group in files.items()
        ]
        return splits_lib.SplitDict(infos)

    def _post_download_and_prepare_hook(self) -> None:
        # data_dir is DATA_DIR/NAME/CONFIG/VERSION: one audit for all configs.
        report = audit_report(self.preparation.annotations, self.preparation)
        write_report(report, Path(self.data_dir).parent.parent)

    def _processes(self) -> int:
        return self.workers or os.cpu_count() or 1


_scanned: dict[Path, Preparation] = {}


def _scan_once(root: Path, workers: int, begin) -> Preparation:
    """Scan a download once per process: `tfds build` makes one builder per config."""
    if root not in _scanned:
        _scanned[root] = scan_download(root, workers, begin=begin)
    return _scanned[root]
