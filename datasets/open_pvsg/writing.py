"""Write files of records, each in one process, locally or on Apache Beam."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer, file_adapters
from tensorflow_datasets.core import writer as writer_lib

from .features import chunk_features, video_features
from .shards import VIDEOS, Shard

_BEAM_RUNNER = "DirectRunner"  # Beam's own default
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)


@dataclass(frozen=True)
class File:
    """A shard and the path to write it to."""

    shard: Shard
    path: str
    file_format: str
    objects: tuple[str, ...]
    predicates: tuple[str, ...]


def write_file(file: File) -> int:
    """Write one file, on any worker; return its number of records.

    Raises OSError if the disk is full or not writable.
    """
    if file.shard.config == VIDEOS:
        features = video_features(file.objects, file.predicates)
    else:
        features = chunk_features()
    writer = writer_lib.ShardWriter(
        features=features,
        serializer=example_serializer.ExampleSerializer(features.get_serialized_info()),
        example_writer=writer_lib.ExampleWriter(
            file_adapters.FileFormat.from_value(file.file_format)
        ),
    )
    try:
        return writer.write(examples=file.shard(), path=tfds.core.Path(file.path))
    except RuntimeError as error:  # from ArrayRecord, with the text of the errno
        for code in _DISK_ERRORS:
            if os.strerror(code) in str(error):
                raise OSError(code, os.strerror(code), file.path) from error
        raise


def write_on_beam(
    files: Sequence[File], config: tfds.download.DownloadConfig
) -> list[int]:
    """Write the files on Beam, one element each; workers must share data_dir."""
    import apache_beam as beam  # an optional extra, used only here

    options = config.beam_options
    runner = config.beam_runner or (None if options else _BEAM_RUNNER)
    with beam.Pipeline(runner=runner, options=options) as pipeline:
        _ = (
            pipeline
            | "Files" >> beam.Create(list(files))
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.Map(write_file)
        )
    adapters = file_adapters.ADAPTER_FOR_FORMAT
    return [
        adapters[file_adapters.FileFormat.from_value(file.file_format)].num_examples(
            file.path
        )
        for file in files
    ]
