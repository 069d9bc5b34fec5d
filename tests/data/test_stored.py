"""Damaged prepared sets are refused, and never read as valid data."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from c2g_jax.data.dataset import open_dataset
from c2g_jax.types import InputError

NAME = "toy_pvsg"


@pytest.fixture
def copy(prepared_toy, tmp_path):
    """DATA_DIR/toy_pvsg of a prepared set, to be damaged."""
    return shutil.copytree(prepared_toy / NAME, tmp_path / NAME)


def file_of(copy: Path, config: str, name: str) -> Path:
    (path,) = (copy / config / "1.0.0").glob(name)
    return path


CONFIGS = ("videos", "default")
FILES = ("dataset_info.json", "features.json", "*_train.array_record*")


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [None, 0, 0.5])
def test_files_that_are_not_whole_are_refused(copy, config, name, keep):
    path = file_of(copy, config, name)
    data = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match=rf"{config}.*c2g_jax\.prepare"):
        open_dataset(copy.parent, NAME)


def test_the_error_names_the_folder_to_remove(copy):
    path = file_of(copy, "default", "*_val.array_record*")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError) as caught:
        open_dataset(copy.parent, NAME)
    size = path.stat().st_size
    assert str(caught.value) == (
        f"{path.parent} is damaged (toy_pvsg_val has {size:,} bytes, not {size + 1:,})"
        ": remove that folder, and run python -m c2g_jax.prepare again"
    )


def first_clip(data_dir):
    dataset = open_dataset(data_dir, NAME)
    return dataset.read(dataset.videos("val")[0], 0, 8)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_flipped_byte_is_found_by_its_row(copy, config):
    path = file_of(copy, config, "*_val.array_record*")
    data = bytearray(path.read_bytes())
    data[200] ^= 1  # within the first record
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=rf"{config}.*\(row 0 of toy_pvsg_val: .*hash"):
        first_clip(copy.parent)


def test_other_videos_of_a_damaged_set_can_be_read(copy, prepared_toy):
    path = file_of(copy, "default", "*_val.array_record*")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))
    damaged = open_dataset(copy.parent, NAME)
    whole = open_dataset(prepared_toy, NAME)
    for ours, theirs in zip(
        damaged.videos("val")[1:], whole.videos("val")[1:], strict=True
    ):
        np.testing.assert_array_equal(
            damaged.read(ours, 0, 8)[1], whole.read(theirs, 0, 8)[1]
        )


def test_files_of_another_split_are_refused(copy):
    path = file_of(copy, "default", "*_train.array_record*")
    shutil.copy(file_of(copy, "default", "*_val.array_record*"), path)
    with pytest.raises(InputError, match="toy_pvsg_train has"):
        open_dataset(copy.parent, NAME)


@pytest.mark.parametrize("file", ["objects-category", "relations-predicate"])
@pytest.mark.parametrize("lines", [None, 10])
def test_names_that_are_lost_are_not_made_up(copy, file, lines):
    """TFDS would call the labels "0", "1" and so on, or take the fewer names."""
    path = file_of(copy, "videos", f"{file}.labels.txt")
    names = path.read_text().splitlines()
    path.unlink()
    if lines is not None:
        path.write_text("\n".join(names[:lines]))
    with pytest.raises(InputError, match=r"videos/1\.0\.0 is damaged .*labels"):
        open_dataset(copy.parent, NAME)


def test_a_missing_data_set_s_alternatives_are_named(copy):
    with pytest.raises(InputError, match=r"there is toy_pvsg/default, toy_pvsg/vid"):
        open_dataset(copy.parent, "open_pvsg")
    with pytest.raises(InputError, match="'videos' holds no frames: use default or 1"):
        open_dataset(copy.parent, NAME, "videos")
