"""Runs of a preparation: one at a time, resumed, refused."""

import errno

import drawn
import pytest
from open_pvsg import writing
from open_pvsg.build import build
from open_pvsg.lock import only_one
from open_pvsg.quirks import DownloadError

from c2g_jax.data.dataset import open_dataset
from c2g_jax.types import InputError

CHUNKED = ("videos", "default")


def test_what_is_prepared_stays_and_another_download_is_refused(
    drawn_tree, tree, tmp_path, monkeypatch
):
    data_dir = tmp_path / "data"
    assert build(drawn_tree, data_dir, configs=("videos",)) is not None
    stamp = (data_dir / "open_pvsg/videos/1.0.0/dataset_info.json").stat().st_mtime_ns
    assert build(drawn_tree, data_dir, configs=("videos",)) is None
    build(drawn_tree, data_dir, configs=CHUNKED)
    after = (data_dir / "open_pvsg/videos/1.0.0/dataset_info.json").stat().st_mtime_ns
    assert stamp == after
    (tree / "drawn/masks/0002_2/0010.png").unlink()
    with pytest.raises(DownloadError, match="other videos"):
        build(tree, data_dir, configs=("1024",))
    drawn.write_json(tree, drawn.annotations() | {"extra": 1})
    with pytest.raises(DownloadError, match=r"other pvsg\.json"):
        build(tree, data_dir, configs=CHUNKED)


def test_one_preparation_at_a_time(drawn_tree, tmp_path):
    folder = tmp_path / "open_pvsg"
    with (
        only_one(folder, folder / ".lock"),
        pytest.raises(DownloadError, match="another preparation"),
    ):
        build(drawn_tree, tmp_path)


def test_what_is_no_download_leaves_no_folder(tmp_path):
    with pytest.raises(DownloadError, match="no such folder"):
        build(tmp_path / "nowhere", tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("file", "keep"),
    [
        ("videos/1.0.0/dataset_info.json", 0),
        ("videos/1.0.0/*train.array_record*", 40),
        ("videos/1.0.0/*train.array_record*", None),
        ("origin.json", 5),
    ],
)
def test_what_is_there_and_damaged_is_named(drawn_tree, tmp_path, file, keep):
    build(drawn_tree, tmp_path, configs=("videos",))
    (path,) = (tmp_path / "open_pvsg").glob(file)
    data = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(data[:keep])
    with pytest.raises(DownloadError, match=r"damaged: remove .*open_pvsg.*again"):
        build(drawn_tree, tmp_path, configs=CHUNKED)


def test_a_full_disk_is_the_disk_s_error(drawn_tree, tmp_path, monkeypatch):
    """ArrayRecord says it in a RuntimeError; what was begun does not count."""

    def write(self, examples, path):
        raise RuntimeError(f"write() failed: No space left on device; writing {path}")

    monkeypatch.setattr(writing.writer_lib.ShardWriter, "write", write)
    with pytest.raises(OSError, match="No space left") as caught:
        build(drawn_tree, tmp_path, configs=("videos",))
    assert caught.value.errno == errno.ENOSPC
    assert "array_record" in caught.value.filename
    with pytest.raises(InputError, match="no prepared data set"):
        open_dataset(tmp_path)
