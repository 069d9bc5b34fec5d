"""Scores kept by video: kills, shards, and other ways of scoring."""

import json

import pytest

from c2g_jax.evaluation.job import (
    annotations_sha256,
    files_sha256,
    read_scores,
    score_writer,
)
from c2g_jax.types import InputError
from tests.data.fake import fake_dataset

WAY = {"protocol": {"tau": 0.5, "ks": (3, 20)}, "model": {"checkpoint": "abc"}}
A = {"video": "a", "systems": {"didm": {"point": {"subjects": {"1": {"0": {"n": 1}}}}}}}
B, C = {"video": "b", "n": 0.1 + 0.2}, {"video": "c"}


def write(output, *scores, shard=(0, 1)):
    with score_writer(output, shard, WAY) as append:
        for score in scores:
            append(score)
    return output / "scores" / f"{shard[0]}-of-{shard[1]}.jsonl"


def test_what_was_written_is_read_again(tmp_path):
    assert read_scores(tmp_path, WAY) == {}
    write(tmp_path, A, B)
    assert read_scores(tmp_path, WAY) == {"a": A, "b": B}
    write(tmp_path, C)
    assert list(read_scores(tmp_path, WAY)) == ["a", "b", "c"]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_counts_for_nothing_and_is_written_anew(tmp_path, cut):
    path = write(tmp_path, A, B)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read_scores(tmp_path, WAY) == {"a": A}
    write(tmp_path, B)
    assert path.read_bytes() == whole


def test_a_torn_first_line_begins_anew(tmp_path):
    whole = write(tmp_path, A).read_bytes()
    (tmp_path / "scores/0-of-1.jsonl").write_bytes(whole[:7])
    assert read_scores(tmp_path, WAY) == {}
    assert write(tmp_path, A).read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path):
    path = write(tmp_path, A, B)
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(first + rest[0].replace("{", "", 1) + rest[1])
    with pytest.raises(InputError, match=r"0-of-1.jsonl is damaged .*move it away"):
        read_scores(tmp_path, WAY)


def test_another_way_of_scoring_is_an_error_with_the_difference(tmp_path):
    write(tmp_path, A)
    other = {"protocol": {"tau": 0.4, "ks": (3, 20)}, "predictions": {"files": 2}}
    with pytest.raises(InputError) as caught:
        read_scores(tmp_path, other)
    line = str(caught.value)
    assert "protocol.tau: 0.5 -> 0.4" in line
    assert 'model.checkpoint: "abc" -> (none)' in line
    assert "predictions.files: (none) -> 2" in line
    assert "ks" not in line
    assert "--output" in line


def test_shards_see_each_other(tmp_path):
    write(tmp_path, A, shard=(0, 2))
    write(tmp_path, B, C, shard=(1, 2))
    assert read_scores(tmp_path, WAY).keys() == {"a", "b", "c"}


def test_one_process_a_file(tmp_path):
    with score_writer(tmp_path, (0, 1), WAY) as append:
        append(A)
        read_scores(tmp_path, WAY)  # which does not let go of the file
        with (
            pytest.raises(InputError, match=r"in use by another process.*--shard"),
            score_writer(tmp_path, (0, 1), WAY),
        ):
            pass
    path = write(tmp_path, B)
    assert len(path.read_text().splitlines()) == 3


def test_a_line_is_on_disk_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "scores/0-of-1.jsonl"
    with score_writer(tmp_path, (0, 1), WAY) as append:
        append(A)
        assert json.loads(path.read_text().splitlines()[1]) == A


def test_data_are_told_apart():
    dataset, _ = fake_dataset(2)
    same, _ = fake_dataset(2)
    videos = dataset.videos("val")
    known = annotations_sha256(videos)
    assert annotations_sha256(same.videos("val")) == known
    assert annotations_sha256(videos[:1]) != known
    videos[1].relations[0, 2] += 1
    assert annotations_sha256(videos) != known


def test_files_are_told_apart(tmp_path):
    path = tmp_path / "v/1/0.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    known = files_sha256(tmp_path)
    assert files_sha256(tmp_path) == known
    (tmp_path / "results.json").write_text("of an evaluation in the same folder")
    assert files_sha256(tmp_path) == known
    path.write_text("[2]")
    assert files_sha256(tmp_path) != known


def test_nothing_is_left_where_nothing_was_scored(tmp_path):
    write(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    folder = tmp_path / "scores"
    write(tmp_path)
    assert not folder.exists()
    write(tmp_path, A, shard=(1, 2))
    write(tmp_path)
    assert [p.name for p in folder.iterdir()] == ["1-of-2.jsonl"]
