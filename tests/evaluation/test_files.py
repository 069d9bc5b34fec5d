"""Predictions from files: the truth scores 100, and missing files score 0."""

import json
import re
import shutil

import pytest

from c2g_jax.evaluation.files import Throughput, find_files, score_files
from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.results import summarise
from c2g_jax.types import InputError
from tests.evaluation.predictions import write_truth

PROTOCOL = Protocol()


@pytest.fixture(scope="module")
def videos(toy_dataset):
    return toy_dataset.videos("val")[:2]


@pytest.fixture(scope="module")
def truth(toy_dataset, videos, tmp_path_factory):
    """All that is true of two videos, in two runs. Not to be written to."""
    folder = tmp_path_factory.mktemp("truth")
    write_truth(folder, toy_dataset, videos, runs=2)
    return folder


@pytest.fixture
def spoilt(truth, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(truth, tmp_path / "spoilt")


def score(folder, dataset, videos, **options):
    # Through JSON, as the scores are kept.
    found = score_files(folder, dataset, videos, PROTOCOL, **options)
    scores = json.loads(json.dumps(list(found)))
    names = dataset.vocabulary.predicates
    return scores, summarise(scores, PROTOCOL.ks, names)["predictions"]


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def first(folder):
    return sorted(folder.glob("*/*/0.json"))[0]


def test_the_truth_scores_in_full(truth, toy_dataset, videos):
    work, frames = Throughput(), {}

    def begin(what, total):
        frames[what] = [total]
        return frames[what].append

    scores, found = score(truth, toy_dataset, videos, work=work, begin=begin)
    (kind,) = found
    assert kind == "point"
    found = found[kind]
    for name in ("R@3", "mR@3", "pair_any@3", "SpIR", "SpIR precision", "PLR"):
        assert found[name] == {"mean": 100, "std": 0}, name
    for name in ("PLR precision", "tube R@3", "tube SpIR", "PVSG R@20", "PVSG mR@100"):
        assert found[name] == {"mean": 100, "std": 0}, name
    assert found["subject IoU"] == {"mean": 1, "std": 0}
    truths = [video_truth(video, PROTOCOL) for video in videos]
    assert found["units"] == sum(t.counts["units"] for t in truths)
    assert found["prompts"] == sum(len(t.subjects) for t in truths)
    assert (found["runs"], found["missing"]) == (2, 0)
    for what in ("checked", "scored"):
        assert frames[what][0] == sum(frames[what][1:])
    assert frames["scored"][1:] == [video.num_frames for video in videos]
    assert work.frames == 2 * sum(len(t.frames) for v in truths for t in v.subjects)
    assert [s["video"] for s in scores] == [v.video_id for v in videos]


def test_a_missing_run_found_nothing(spoilt, toy_dataset, videos):
    path = first(spoilt)
    (video,) = [v for v in videos if v.video_id == path.parents[1].name]
    truths = [video_truth(v, PROTOCOL) for v in videos]
    whole = sum(t.counts["units"] for t in truths)
    (lost,) = [
        len(t.units)
        for t in video_truth(video, PROTOCOL).subjects
        if str(t.subject_id) == path.parent.name
    ]
    path.unlink()
    scores, found = score(spoilt, toy_dataset, videos)
    missing = {s["video"]: s["missing"] for s in scores}
    assert missing[video.video_id] == {"0": 1, "1": 0}
    found = found["point"]
    assert found["missing"] == 1
    # Run 0 lacks the units of that subject, run 1 has them all.
    assert found["R@3"]["mean"] == pytest.approx(100 * (1 - lost / whole / 2))


def test_a_missing_video_found_nothing(spoilt, toy_dataset, videos):
    gone, there = videos
    shutil.rmtree(spoilt / gone.video_id)
    _, found = score(spoilt, toy_dataset, videos)
    kept = video_truth(there, PROTOCOL).counts["units"]
    whole = kept + video_truth(gone, PROTOCOL).counts["units"]
    assert found["point"]["R@3"]["mean"] == pytest.approx(100 * kept / whole)
    assert found["point"]["PVSG R@20"]["mean"] < 100


def test_a_wrong_word_costs_its_units_alone(spoilt, toy_dataset, videos):
    path = first(spoilt)
    words = []

    def change(document):
        words.extend(g for entry in document["frames"] for g in entry["predictions"])
        words[0]["predicate"] = "no such word"

    edit(path, change)
    _, found = score(spoilt, toy_dataset, videos)
    found = found["point"]
    whole = found["units"]
    assert found["R@3"]["mean"] == pytest.approx(100 * (1 - 1 / whole / 2))
    assert found["SpIR"]["mean"] == 100
    said = [n for own in found["confusion"].values() for n in own]
    assert said.count("(no name of the data set)") == 1


def test_a_graph_without_a_prompt_is_judged_by_pvsg_s_metric(
    spoilt, toy_dataset, videos
):
    one = first(spoilt)
    graph = spoilt / one.parents[1].name / "all" / "0.json"
    graph.parent.mkdir()
    shutil.copy(one, graph)
    edit(graph, lambda document: [document.pop("frames"), document.pop("run")])
    _, found = score(spoilt, toy_dataset, videos)
    assert found["point"]["R@3"]["mean"] == 100
    assert "R@3" not in found["prompt"]
    assert 0 < found["prompt"]["PVSG R@20"]["mean"] < 100


def only_whole(path):
    """Move a graph of one subject to `all`, without predictions on single frames."""
    graph = path.parents[1] / "all" / path.name
    graph.parent.mkdir(exist_ok=True)
    path.rename(graph)
    edit(graph, lambda document: document.pop("frames"))
    return graph


def test_graphs_without_frames_are_not_scored_by_the_frame(spoilt, toy_dataset, videos):
    for path in sorted(spoilt.glob("*/*/*.json")):
        if path.parent == first(spoilt).parent:
            only_whole(path)
        else:
            path.unlink()
    _, found = score(spoilt, toy_dataset, videos)
    found = found["point"]
    # One video has no file at all: its relations count, and none is found.
    assert 0 < found["R@20 (whole relation, one)"]["mean"] < 100
    assert 0 < found["subjects found"]["mean"] < 100
    assert not [name for name in found if "(frame" in name]


def test_either_all_files_of_a_prompt_have_frames_or_none(spoilt, toy_dataset, videos):
    graph = only_whole(first(spoilt))
    says = f'{graph}: has "relations" but no "frames", which other files of the prompt'
    with pytest.raises(InputError, match=re.escape(says)):
        score(spoilt, toy_dataset, videos)


def test_folders_that_are_none(tmp_path, spoilt, toy_dataset, videos):
    with pytest.raises(InputError, match=r"no VIDEO/SUBJECT/RUN.json in it"):
        find_files(tmp_path / "empty")
    (first(spoilt).parent / "one.json").write_text("{}")
    with pytest.raises(InputError, match=r"one.json: name it VIDEO/SUBJECT/RUN.json"):
        find_files(spoilt)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{video}", "nobody", "nobody is no video of val of toy_pvsg"),
        (
            "{video}/{subject}",
            "{video}/99",
            "object 99 is the subject of no relation of the video",
        ),
        ("{video}/{subject}/0.json", "{video}/{subject}/7.json", "has index 0: rename"),
    ],
)
def test_names_that_do_not_fit(spoilt, toy_dataset, videos, old, new, says):
    path = first(spoilt)
    place = {"video": path.parents[1].name, "subject": path.parent.name}
    (spoilt / old.format(**place)).rename(spoilt / new.format(**place))
    with pytest.raises(InputError, match=says):
        score(spoilt, toy_dataset, videos)


def a_mask(document):
    return next(iter(document["objects"][0]["masks"].values()))


def a_guess(document):
    return next(g for x in document["frames"] for g in x["predictions"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["video"].update(width=7), "predict at the size of the video"),
        (lambda d: d.pop("frames"), 'has no "frames"'),
        (lambda d: d["frames"][0].update(subject=77), "one file for each prompted"),
        (lambda d: d.clear(), "no schema_version"),
        (lambda d: a_mask(d).update(size=[2, 2], counts="04"), "a mask of frame .* is"),
        (lambda d: a_mask(d).update(counts="04"), "do not add up to the mask"),
        (lambda d: a_mask(d).update(counts=4), "not a valid scene graph"),
        (lambda d: d["relations"][0].__setitem__(0, 99), "KeyError: 99"),
        (lambda d: d["relations"][0].__setitem__(3, [["a", 1]]), "scene graph"),
        (
            lambda d: d["relation_scores"].__setitem__(0, None),
            "is not a finite",
        ),
        (lambda d: a_guess(d).update(confidence="high"), "could not convert string"),
        (lambda d: a_guess(d).update(object="a"), "invalid literal for int"),
        (lambda d: a_guess(d).update(predicate=["on"]), "unhashable type"),
    ],
)
def test_files_that_do_not_fit_are_refused_before_any_scores(
    spoilt, toy_dataset, videos, change, says
):
    """Those of videos, too, that are not asked for."""
    last = sorted(spoilt.glob(f"{videos[1].video_id}/*/1.json"))[-1]
    edit(last, change)
    scores = score_files(spoilt, toy_dataset, videos[:1], PROTOCOL)
    with pytest.raises(InputError, match=says) as error:
        next(scores)
    assert str(error.value).startswith(f"{last}: ")
