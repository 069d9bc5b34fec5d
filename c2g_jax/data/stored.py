"""The files of a prepared data set: found, checked, and read row by row.

Each record has a checksum, so damaged records are never read as valid; missing or
truncated files raise InputError when the data set is opened.
"""

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format

from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

_LABELS = ("objects-category.labels.txt", "relations-predicate.labels.txt")


class StoredConfig:
    """One config of a prepared data set: the newest version in DATA_DIR/NAME/CONFIG.

    Raises InputError if there is none, or it is incomplete.
    """

    def __init__(self, data_dir: str | Path, name: str, config: str):
        self.folder = _newest(Path(data_dir), name, config)
        try:
            self._builder = tfds.builder_from_directory(self.folder)
        except (ValueError, json_format.Error) as error:
            raise damaged(self.folder, f"its JSON files: {error}") from error
        for split in self._builder.info.splits.values():
            self._check_files(split)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._builder.info.splits)

    def records(self, split: str) -> Iterator[Any]:
        """Yield the split's records as TFDS reads them."""
        source = self._builder.as_data_source(split)
        for row in range(len(source)):
            try:
                record = source[row]
            except RuntimeError as error:  # ArrayRecord's own
                raise damaged(self.folder, f"row {row} of {split}: {error}") from error
            yield record

    def chunks(self, split: str) -> "ChunkRows":
        """Return the split's chunks of frames, by row."""
        rows = self._builder.as_data_source(split).data_source
        return ChunkRows(rows, self.folder, split)

    def vocabulary(self) -> Vocabulary:
        """Return the names of the labels, in their order; for the config `videos`."""
        try:
            form = (self.folder / "features.json").read_text(encoding="utf-8")
            lists = [
                (self.folder / file).read_text(encoding="utf-8").splitlines()
                for file in _LABELS
            ]
        except (OSError, ValueError) as error:
            raise damaged(self.folder, f"{error}") from error
        counts, lengths = re.findall(r'"numClasses": "(\d+)"', form), map(len, lists)
        if sorted(map(int, counts)) != sorted(lengths):
            raise damaged(
                self.folder, f"{' and '.join(_LABELS)} should have {counts} lines"
            )
        names, predicates = lists
        stuff = load_vocabulary().stuff  # TFDS keeps the names, not which are stuff
        first = next((i for i, name in enumerate(names) if name in stuff), len(names))
        return Vocabulary(tuple(names[:first]), tuple(names[first:]), tuple(predicates))

    def _check_files(self, split: tfds.core.SplitInfo) -> None:
        files = [os.fspath(path) for path in split.filepaths]
        for file in files:
            if not os.path.isfile(file):
                raise damaged(self.folder, f"{os.path.basename(file)} is missing")
        size = sum(map(os.path.getsize, files))
        if size != split.num_bytes:
            raise damaged(
                self.folder, f"{split.name} has {size:,} bytes, not {split.num_bytes:,}"
            )


def damaged(folder: Path, what: str) -> InputError:
    """Return an error about prepared files that says how to fix them."""
    return InputError(
        f"{folder} is damaged ({what}): remove that folder, and run "
        "python -m c2g_jax.prepare again"
    )


def _newest(data_dir: Path, name: str, config: str) -> Path:
    folder = data_dir / name / config
    # A killed run leaves a folder "incomplete…" beside them.
    versions = [
        file.parent
        for file in folder.glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", file.parent.name)
    ]
    if not versions:
        found = data_dir.glob("*/*/*/dataset_info.json")
        others = sorted({"/".join(file.parts[-4:-2]) for file in found})
        others = f" (there is {', '.join(others)})" if others else ""
        of = "--toy" if name.startswith("toy") else "--manual_dir=DOWNLOAD"
        raise InputError(
            f"{folder}: no prepared data set{others}: make one with "
            f"python -m c2g_jax.prepare {of} --data_dir={data_dir}"
        )
    return max(versions, key=lambda v: tuple(map(int, v.name.split("."))))


class ChunkRows:
    """Chunk records of a stored split, with encoded images.

    Parses the bytes itself, because TFDS's SkipDecoding needs TensorFlow for a sequence
    of images.
    """

    def __init__(self, rows: Any, folder: Path, split: str):
        self._rows, self._folder, self._split = rows, folder, split

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        try:
            data = self._rows[row]
        except RuntimeError as error:  # ArrayRecord's own
            raise damaged(
                self._folder, f"row {row} of {self._split}: {error}"
            ) from error
        record = _chunk_features().deserialize_example_np(data)
        text = {key: record[key].decode("utf-8") for key in ("video_id", "source")}
        return {**record, **text, "start": int(record["start"])}


@functools.cache  # not kept by ChunkRows: they hold locks, which cannot be pickled
def _chunk_features() -> tfds.features.FeaturesDict:
    images = tfds.features.Sequence(tfds.features.Tensor(shape=(), dtype=np.object_))
    return tfds.features.FeaturesDict(
        {
            "video_id": tfds.features.Text(),
            "source": tfds.features.Text(),
            "start": tfds.features.Scalar(np.int32),
            "frames": images,
            "masks": images,
        }
    )
