"""Arrays in a temporary file: as they were written, in places that are reused."""

import errno
import os

import ml_dtypes
import numpy as np
import pytest

from c2g_jax.media import spill
from c2g_jax.media.spill import SpillFile
from c2g_jax.types import InputError


@pytest.fixture
def file():
    file = SpillFile("the memories")
    yield file
    file.close()


def arrays(seed, rows=3):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(rows, 4)).astype(np.float32),
        rng.normal(size=(2, rows)).astype(ml_dtypes.bfloat16),
        np.float64([seed, np.nan, 1 / 3]),
        np.zeros((0, 5), np.int32),
    )


def equal(one, two):
    for a, b in zip(one, two, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_arrays_come_back_as_they_were(file):
    places = [file.write(arrays(seed, rows=seed % 4)) for seed in range(9)]
    for seed in (5, 0, 8, 5):
        equal(file.read(places[seed]), arrays(seed, rows=seed % 4))
    view = np.arange(12.0).reshape(3, 4).T  # not contiguous
    equal(file.read(file.write([view])), [view])


def test_a_place_that_is_given_back_is_reused(file):
    first, second = file.write(arrays(0)), file.write(arrays(1))
    size = file.nbytes
    file.free(first)
    assert file.write(arrays(2)).offset == first.offset
    assert file.nbytes == size
    assert file.write(arrays(3)).offset == size
    equal(file.read(second), arrays(1))


def test_the_file_has_no_name_and_is_made_when_it_is_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(spill.tempfile, "tempdir", str(tmp_path))
    file = SpillFile("the memories")
    assert file.nbytes == 0
    place = file.write(arrays(0))
    assert list(tmp_path.iterdir()) == []
    equal(file.read(place), arrays(0))
    file.close()
    assert file.nbytes == 0


def test_a_full_disk_is_named_and_what_is_there_stays(file, monkeypatch):
    first, second = file.write(arrays(0)), file.write(arrays(1))
    file.free(second)
    write, room = os.pwrite, [40]

    def little(descriptor, data, offset):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(descriptor, data[: room[0]], offset)  # a part of it
        room[0] -= count
        return count

    monkeypatch.setattr(spill.os, "pwrite", little)
    with pytest.raises(
        InputError, match=r"the memories cannot be written there .No sp"
    ):
        file.write(arrays(2))
    monkeypatch.undo()
    equal(file.read(first), arrays(0))
    assert file.write(arrays(3)).offset == second.offset
