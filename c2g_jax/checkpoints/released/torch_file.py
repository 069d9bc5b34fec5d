"""A .pt as torch.save writes it: a zip with a pickle, and a record for each storage.

`ARCHIVE/data.pkl` is the pickle, `ARCHIVE/data/KEY` are the storages, not compressed
(torch/serialization.py, `_save`). Only the pickle is held in memory.
"""

import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from c2g_jax.checkpoints.released.stored_tensor import DTYPES, StoredTensor, span
from c2g_jax.checkpoints.released.torch_pickle import (
    Forbidden,
    Malformed,
    Storage,
    read_torch_pickle,
)
from c2g_jax.types import InputError

DAMAGED = "cannot be read as a checkpoint: it is cut short or another kind of file"
# The number with which torch.save began a file before version 1.6, pickled.
_BEFORE_1_6 = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LARGEST_PICKLE = 64 << 20


class _Record(NamedTuple):
    offset: int  # in the file, in bytes
    size: int


def read_torch_file(file: str | Path) -> Any:
    """Return what a .pt holds; its tensors are `StoredTensor`s.

    No code of the file is run. Checksums are compared, and tensors checked to lie
    within their storages. InputError names what is wrong.
    """
    file = Path(file)
    try:
        _check_format(file)
        records = _records(file)
        (start,) = (
            name.removesuffix("data.pkl")
            for name in records
            if name.count("/") == 1 and name.endswith("/data.pkl")
        )
        data = _bytes(file, records[f"{start}data.pkl"])
        order = records.get(f"{start}byteorder")
        if order is not None and _bytes(file, order) != b"little":
            raise InputError(f"{file} is big-endian: save it on another machine")
        return read_torch_pickle(
            data, lambda *part: _tensor(file, records, f"{start}data/", *part)
        )
    except (InputError, PermissionError, MemoryError):
        raise
    except Forbidden as error:
        raise InputError(
            f"{file} holds Python objects besides tensors, which are not loaded "
            f"({str(error)[:200]!r}): save the state dict alone"
        ) from error
    # What `zipfile` raises for damaged directories.
    except (Malformed, zipfile.BadZipFile, zlib.error, struct.error, ValueError,
            EOFError, NotImplementedError, OverflowError, RuntimeError,
            OSError) as error:  # fmt: skip
        raise InputError(f"{file} {DAMAGED}; download it again") from error


def _check_format(file: Path) -> None:
    with open(file, "rb") as opened:
        start = opened.read(32)
    if start[:1] == b"\x80" and start[2:].startswith(_BEFORE_1_6):
        raise InputError(
            f"{file} is in the format of torch before 1.6, which is not read: save it "
            "again, torch.save(torch.load(OLD), NEW)"
        )


def _records(file: Path) -> dict[str, _Record]:
    """Return the records of an archive by name, their checksums compared."""
    records = {}
    end = file.stat().st_size
    with zipfile.ZipFile(file) as archive, open(file, "rb") as opened:
        for part in archive.infolist():
            opened.seek(part.header_offset)
            header = opened.read(_LOCAL_HEADER.size)
            signature, name, extra = _LOCAL_HEADER.unpack(header)
            offset = part.header_offset + _LOCAL_HEADER.size + name + extra
            if signature != b"PK\3\4" or part.compress_type != zipfile.ZIP_STORED:
                raise Malformed("a record is compressed, or not where it should be")
            if part.file_size != part.compress_size or offset + part.file_size > end:
                raise Malformed("a record ends beyond the file")
            opened.seek(offset)
            # torch can save without checksums: they are 0.
            if part.CRC and _checksum(opened, part.file_size) != part.CRC:
                raise Malformed("a record has changed")
            records[part.filename] = _Record(offset, part.file_size)
    return records


def _checksum(opened: Any, left: int) -> int:
    found = 0
    while left:
        block = opened.read(min(left, 1 << 20))
        if not block:
            raise EOFError
        found, left = zlib.crc32(block, found), left - len(block)
    return found


def _bytes(file: Path, record: _Record) -> bytes:
    if record.size > _LARGEST_PICKLE:
        raise Malformed("its pickle is larger than any of a checkpoint")
    with open(file, "rb") as opened:
        opened.seek(record.offset)
        return opened.read(record.size)


def _tensor(
    file: Path,
    records: Mapping[str, _Record],
    folder: str,
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: str,
) -> StoredTensor:
    """Return a tensor of a storage; Malformed unless it lies within the record."""
    record = records[folder + storage.key]
    if len(shape) != len(strides):
        raise Malformed("a tensor has more axes than strides")
    if storage.numel * DTYPES[storage.dtype].itemsize != record.size:
        raise Malformed("a storage is of another size than its record")
    width = DTYPES[dtype].itemsize
    tensor = StoredTensor(file, dtype, record.offset + offset * width, shape, strides)
    held = record.size // width
    # Repeated elements (stride 0) would let a small file fill the memory. Axes of 0
    # elements count as 1: arrays beside them are limited too.
    elements = math.prod(n or 1 for n in shape)
    if offset + span(shape, strides) > held or elements > max(held, 1):
        raise Malformed("a tensor is larger than its storage")
    return tensor
