"""Finding and scanning a download, whole and broken."""

import shutil
import zipfile

import drawn
import numpy as np
import pytest
from open_pvsg import download
from open_pvsg.download import open_download
from open_pvsg.preparation import FaultError, scan_download
from open_pvsg.quirks import DownloadError
from open_pvsg.scan import true_runs

from tests.datasets.conftest import faults

MASKS = "drawn/masks/0001_1"
WANTED = [("drawn", video_id) for video_id in drawn.FRAMES]


def visible(preparation):
    return {v: s.visible for v, s in preparation.scans.items()}


def test_a_tree_is_scanned(drawn_tree):
    prepared = scan_download(drawn_tree)
    assert faults(prepared) == {}
    assert list(prepared.entries) == ["drawn_train", "drawn_val"]
    assert prepared.num_frames == sum(drawn.FRAMES.values())
    scan = prepared.scans["0002_2"]
    assert (scan.height, scan.width, scan.num_frames) == (*drawn.SIZE, 11)
    assert scan.visible == ((1, 0, 10), (2, 0, 10), (3, 0, 3), (3, 7, 10))
    # The dog chases the cup on all frames but 4, and is not seen on 5 and 6.
    (lacking,) = scan.findings
    assert lacking.quirk == "participant_without_mask"
    assert (lacking.count, lacking.place["no_subject"]) == (2, 2)
    assert scan.frame_pairs == 10 + 11


def test_zips_are_read_in_place(drawn_tree, tmp_path):
    root = drawn.zip_tree(drawn_tree, tmp_path / "zips" / "Drawn")
    whole = scan_download(root.parent)
    assert visible(whole) == visible(scan_download(drawn_tree))
    assert faults(whole) == {}
    for files in whole.download.files.values():
        places = [files.video, *files.masks.values()]
        assert all(p.archive and "__MACOSX" not in p.path for p in places)


def test_a_tree_is_preferred_to_a_zip(drawn_tree, tmp_path):
    root = drawn.zip_tree(drawn_tree, tmp_path / "both")
    shutil.copytree(drawn_tree / "drawn", root / "drawn")
    places = [f.video for f in open_download(root, WANTED).files.values()]
    assert all(place.archive is None for place in places)


def test_upper_case_videos_count_and_other_sources_do_not(tree):
    video = tree / "drawn/videos/0001_1.mp4"
    video.rename(video.with_suffix(".MP4"))
    shutil.copytree(tree / "drawn", tree / "other")
    found = open_download(tree, WANTED)
    assert set(found.files) == {("drawn", v) for v in drawn.FRAMES}
    assert found.of("drawn", "0001_1").video.path.endswith(".MP4")


def test_flattened_masks_are_refused(tree):
    for path in sorted((tree / "drawn/masks").rglob("*.png")):
        path.replace(tree / "drawn/masks" / path.name)
    with pytest.raises(
        DownloadError, match=r"overwrote.*unzip_and_extract.*drawn_masks"
    ):
        scan_download(tree)


def test_masks_flattened_in_part_are_refused_too(tree):
    """One video has no folder of masks; the others have."""
    for path in sorted((tree / "drawn/masks/0003_3").iterdir()):
        path.replace(tree / "drawn/masks" / path.name)
    with pytest.raises(DownloadError, match=r"overwrote.*0003_3 has none.*unzip -j"):
        scan_download(tree)


def test_zips_make_up_for_flattened_masks(tree, drawn_tree):
    drawn.zip_tree(drawn_tree, tree)
    for path in sorted((tree / "drawn/masks").rglob("*.png")):
        path.replace(tree / "drawn/masks" / path.name)
    shutil.rmtree(tree / "drawn/videos")
    assert visible(scan_download(tree)) == visible(scan_download(drawn_tree))


@pytest.mark.parametrize("packed", [False, True])
def test_links_are_followed(drawn_tree, tmp_path, packed):
    """A folder may be a link to another disk; a link to a parent is not followed."""
    whole = drawn.zip_tree(drawn_tree, tmp_path / "zips") if packed else drawn_tree
    root = tmp_path / "root"
    root.mkdir()
    (root / "elsewhere").symlink_to(whole)
    (root / "again").symlink_to(root)
    assert visible(scan_download(root)) == visible(scan_download(drawn_tree))


def test_unreadable_folders_are_named(drawn_tree, monkeypatch):
    def walk(root, onerror, followlinks):
        onerror(PermissionError(13, "Permission denied", f"{root}/drawn"))
        yield from ()

    monkeypatch.setattr(download.os, "walk", walk)
    with pytest.raises(DownloadError, match="drawn: Permission denied: make it read"):
        scan_download(drawn_tree)


def test_a_truncated_zip_is_named_and_its_videos_are_excluded(drawn_tree, tmp_path):
    root = drawn.zip_tree(drawn_tree, tmp_path / "zips")
    shutil.copytree(drawn_tree / MASKS, root / MASKS)
    archive = root / "drawn_masks.zip"
    archive.write_bytes(archive.read_bytes()[:-100])
    scanned = scan_download(root)
    assert faults(scanned) == {"truncated_archive": 1, "missing_masks": 2}
    assert {e.reason for e in scanned.excluded} == {"missing_masks"}
    assert list(scanned.entries) == ["drawn_train"]
    with pytest.raises(FaultError, match=r"drawn_masks\.zip"):
        scan_download(root, strict=True)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_an_unreadable_mask(drawn_tree, tmp_path, method):
    root = drawn.zip_tree(drawn_tree, tmp_path / "zips")
    archive = root / "drawn_masks.zip"
    with zipfile.ZipFile(archive) as whole:
        name = next(n for n in whole.namelist() if n.endswith("0000.png"))
        files = {n: whole.read(n) for n in whole.namelist()}
    with zipfile.ZipFile(archive, "w", method) as again:
        for member, data in files.items():
            again.writestr(member, data)
        place = again.getinfo(name)
    data = bytearray(archive.read_bytes())
    first = place.header_offset + 30 + len(name)  # a local header has 30 bytes
    data[first : first + 40] = bytes(40)
    archive.write_bytes(bytes(data))
    scanned = scan_download(root)
    assert faults(scanned) == {"unreadable_mask": 1}
    (found,) = [f for f in scanned.findings if f.is_fault]
    assert found.place["file"].endswith(name)


def test_a_damaged_member_is_an_unreadable_video(drawn_tree, tmp_path):
    root = drawn.zip_tree(drawn_tree, tmp_path / "zips")
    archive = root / "drawn_videos.zip"
    data = bytearray(archive.read_bytes())
    data[data.index(b"mdat") + 50] ^= 0xFF  # the checksum of the member tells
    archive.write_bytes(bytes(data))
    scanned = scan_download(root)
    assert faults(scanned) == {"unreadable_video": 1}
    assert len(scanned.excluded) == 1


def test_a_video_that_is_cut_off_is_excluded(tree):
    path = tree / "drawn/videos/0001_1.mp4"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])  # without its index: no video
    assert faults(scan_download(tree)) == {"unreadable_video": 1}


def test_zips_of_released_names_are_compared_with_the_release(drawn_tree, tmp_path):
    root = drawn.zip_tree(drawn_tree, tmp_path / "zips")
    (root / "drawn_masks.zip").rename(root / "vidor_masks.zip")
    scanned = scan_download(root, checksums=True)
    (found,) = [f for f in scanned.findings if f.quirk == "archive_checksum"]
    assert found.place["file"].endswith("vidor_masks.zip")
    assert found.place["released"] == "17bfa5ec13235d86273bc9d067776862"
    assert visible(scanned) == visible(scan_download(drawn_tree))


def test_frames_that_do_not_decode_are_not_used(tree):
    pictures = [drawn.picture_of("0001_1", t) for t in range(17)]
    drawn.write_video(tree / "drawn/videos/0001_1.mp4", pictures)
    scanned = scan_download(tree)
    assert faults(scanned) == {"decodes_short": 1}
    assert scanned.scans["0001_1"].num_frames == 17
    assert scanned.scans["0001_1"].visible[0] == (1, 0, 16)


def test_masks_without_frames_are_noted(tree):
    shutil.copy(tree / MASKS / "0019.png", tree / MASKS / "0020.png")
    scanned = scan_download(tree)
    assert faults(scanned) == {"masks_long": 1}
    assert scanned.scans["0001_1"].num_frames == 20


def test_findings_are_deterministic(tree):
    """For example, no memory addresses in messages."""
    (tree / MASKS / "0005.png").write_bytes(b"no image")
    (tree / "drawn/videos/0002_2.mp4").write_bytes(b"")
    first, second = scan_download(tree).findings, scan_download(tree).findings
    assert first == second
    assert {f.place.get("error") for f in first if f.is_fault} == {
        "not a PNG, or a damaged one",
        "it does not open as a video: Invalid data found when processing input",
    }


def test_masks_that_end_early_and_videos_that_end_late(tree):
    (tree / MASKS / "0019.png").unlink()
    pictures = [drawn.picture_of("0002_2", t) for t in range(13)]
    drawn.write_video(tree / "drawn/videos/0002_2.mp4", pictures)
    scanned = scan_download(tree)
    assert faults(scanned) == {"masks_short": 1, "decodes_long": 1}
    assert scanned.scans["0001_1"].num_frames == 19
    assert scanned.scans["0002_2"].num_frames == 11


def test_videos_that_cannot_be_used_are_excluded(tree):
    (tree / "drawn/videos/0001_1.mp4").write_bytes(b"not a video")
    (tree / "drawn/videos/0002_2.mp4").unlink()
    scanned = scan_download(tree)
    reasons = {e.video_id: e.reason for e in scanned.excluded}
    assert reasons == {"0001_1": "unreadable_video", "0002_2": "missing_video"}
    assert list(scanned.entries) == ["drawn_val"]


def test_a_folder_without_videos_is_refused(tree, tmp_path):
    with pytest.raises(DownloadError, match="no such folder"):
        scan_download(tmp_path / "nowhere")
    with pytest.raises(DownloadError, match="a file: give the folder"):
        scan_download(tree / "pvsg.json")
    with pytest.raises(DownloadError, match=r"no pvsg\.json"):
        scan_download(tree / "drawn")
    shutil.rmtree(tree / "drawn")
    with pytest.raises(DownloadError, match="none of the 3 videos"):
        scan_download(tree)


def test_runs():
    assert true_runs(np.array([], bool)) == []
    assert true_runs(np.array([1, 1, 0, 1], bool)) == [(0, 1), (3, 3)]
