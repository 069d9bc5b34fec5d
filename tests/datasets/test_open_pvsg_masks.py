"""Masks of a download, valid and damaged: what is read, and what is set to void."""

import struct
import zlib

import drawn
import numpy as np
import pytest
from open_pvsg.download import Place
from open_pvsg.masks import UnreadableMask, read_mask
from open_pvsg.preparation import FaultError, scan_download
from PIL import Image

from tests.datasets.conftest import faults

MASKS = "drawn/masks/0001_1"


def spoil_missing(tree):
    (tree / MASKS / "0005.png").unlink()


def spoil_unreadable(tree):
    path = tree / MASKS / "0005.png"
    path.write_bytes(path.read_bytes()[:60])


def spoil_colours(tree):
    path = tree / MASKS / "0005.png"
    Image.fromarray(np.zeros((*drawn.SIZE, 3), np.uint8)).save(path)


def spoil_format(tree):
    """A JPEG named .png: its grey values are close to the ids, but not equal."""
    image = Image.fromarray(drawn.mask_of("0001_1", 5))
    image.save(tree / MASKS / "0005.png", "JPEG")


def spoil_bomb(tree):
    """A header that declares more pixels than PIL decodes."""
    path = tree / MASKS / "0005.png"
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(bytes(data))


def spoil_size(tree):
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(tree / MASKS / "0005.png")


@pytest.mark.parametrize(
    ("spoil", "quirk"),
    [
        (spoil_missing, "missing_mask"), (spoil_unreadable, "unreadable_mask"),
        (spoil_colours, "unreadable_mask"), (spoil_size, "mask_size"),
        (spoil_format, "unreadable_mask"), (spoil_bomb, "unreadable_mask"),
    ],
)  # fmt: skip
def test_a_frame_without_a_usable_mask_is_void(tree, spoil, quirk):
    spoil(tree)
    scanned = scan_download(tree)
    assert faults(scanned) == {quirk: 1}
    scan = scanned.scans["0001_1"]
    assert scan.void == {5}
    assert (scan.num_frames, scan.visible[:2]) == (20, ((1, 0, 4), (1, 6, 19)))
    with pytest.raises(FaultError, match=f"{quirk}: 0001_1 .*frame 5"):
        scan_download(tree, strict=True)


def test_ids_that_no_object_has_are_void(tree, drawn_tree):
    path = tree / MASKS / "0004.png"
    mask = drawn.mask_of("0001_1", 4)
    mask[-2:, :3] = 200
    Image.fromarray(mask).save(path)
    scanned = scan_download(tree)
    (found,) = [f for f in scanned.findings if f.quirk == "unknown_mask_id"]
    assert found.place == {"frame": 4, "ids": [200], "pixels": 6}
    assert faults(scanned) == {}
    whole = scan_download(drawn_tree)
    assert {v: s.visible for v, s in scanned.scans.items()} == {
        v: s.visible for v, s in whole.scans.items()
    }


def test_no_flipped_bit_gives_another_mask(drawn_tree, tmp_path):
    """The checksums of a PNG are verified."""
    whole = (drawn_tree / MASKS / "0005.png").read_bytes()
    refused = 0
    for place in (places := range(0, len(whole), 5)):
        data = bytearray(whole)
        data[place] ^= 0x10
        (tmp_path / "mask.png").write_bytes(bytes(data))
        try:
            mask = read_mask(Place(str(tmp_path / "mask.png")))
        except UnreadableMask:
            refused += 1
        else:
            np.testing.assert_array_equal(mask, drawn.mask_of("0001_1", 5))
    assert refused > 0.9 * len(places)


def test_masks_keep_their_ids_at_any_depth(tmp_path):
    """A palette of few colours is stored with fewer bits than a byte."""
    image = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.save(tmp_path / "mask.png")
    mask = read_mask(Place(str(tmp_path / "mask.png")))
    np.testing.assert_array_equal(mask, [[0, 1], [2, 3]])
