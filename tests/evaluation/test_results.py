"""From counts to metrics, means and tables, with numbers computed by hand."""

import csv
import io
from collections import Counter

import numpy as np
import pytest

from c2g_jax.evaluation import plan
from c2g_jax.evaluation.counting import WAYS, way_name
from c2g_jax.evaluation.document import (
    csv_text,
    grid,
    make_document,
    markdown,
    provenance,
)
from c2g_jax.evaluation.ground_truth import truth_summary, video_ceiling
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.results import shares, spread, summarise
from c2g_jax.vocabulary import load_vocabulary
from tests.evaluation.scenes import row, video

PREDICATES = ("beside", "biting", "blowing")


def counts(units, hits, pairs=0, found=0, masks=0, **more):
    own = {"units": units, "R@3": hits, "pairs": pairs, "SpIR": found, "masks": masks}
    return {**own, **more}


def score(name, source, subjects, official=None, system="didm", kind="point", **more):
    """The scores of a video, keys as JSON has them."""
    part = {"subjects": subjects, "official": official or {}}
    return {
        "video": name,
        "source": source,
        "truth": {"annotated": 12, "units": 10, "past the video": 2},
        "ceiling": {"subjects": 1, "units": 10, "pairs": 8, "R@3": 9, "SpIR": 6},
        "systems": {system: {kind: part}},
        **more,
    }


SCORES = [
    score(
        "a",
        "x",
        {
            "1": {"0": counts(4, 2, 4, 1, 10), "1": counts(4, 4, 4, 4, 10)},
            "2": {"0": counts(2, 0, 1, 0, 0), "1": counts(2, 1, 1, 1, 5)},
        },
    ),
    score("b", "x", {"5": {"0": counts(4, 4, 4, 4, 10), "1": counts(4, 1, 4, 0, 5)}}),
    score(
        "c", "y", {"1": {"0": counts(10, 0, 8, 2, 20), "1": counts(10, 5, 8, 4, 20)}}
    ),
]


def point(scores=SCORES, ks=(3,)):
    return summarise(scores, ks, PREDICATES)["didm"]["point"]


def test_pooled_by_source_and_over_runs():
    found = point()
    assert found["runs"] == 2
    assert found["units"] == 20
    # Run 0: 6 of 20 units, run 1: 11 of 20.
    assert found["R@3"]["mean"] == pytest.approx((30 + 55) / 2)
    assert found["R@3"]["std"] == pytest.approx(25 / np.sqrt(2))
    # Pairs: 7 of 17, 9 of 17; masks 40 in both runs.
    assert found["SpIR"]["mean"] == pytest.approx(100 * 8 / 17)
    assert found["SpIR precision"]["mean"] == pytest.approx(100 * 8 / 40)
    assert found["sources"]["x"]["R@3"]["mean"] == pytest.approx(60)  # 6 of 10 twice
    assert found["sources"]["x"]["R@3"]["std"] == 0
    assert found["sources"]["y"]["R@3"]["mean"] == pytest.approx(25)  # 0, then 5 of 10


def test_means_over_sources_videos_and_subjects():
    macro = {name: v["R@3"]["mean"] for name, v in point()["macro"].items()}
    assert macro["source"] == pytest.approx(((60 + 0) / 2 + (60 + 50) / 2) / 2)
    run_0 = (100 * 2 / 6 + 100 + 0) / 3
    run_1 = (100 * 5 / 6 + 25 + 50) / 3
    assert macro["video"] == pytest.approx((run_0 + run_1) / 2)
    assert macro["subject"] == pytest.approx(
        ((50 + 0 + 100 + 0) / 4 + (100 + 50 + 25 + 50) / 4) / 2
    )


def test_one_run_has_no_deviation_and_shares_of_nothing_are_none():
    found = point([score("a", "x", {"1": {"0": counts(4, 2)}})])
    assert found["R@3"] == {"mean": 50, "std": None}
    assert found["SpIR"] == found["PLR"] == {"mean": None, "std": None}
    assert spread([None, 3.0]) == {"mean": 3.0, "std": None}
    assert spread([1.0, 2.0, 6.0])["std"] == pytest.approx(np.sqrt(7))


def test_every_share_has_its_own_parts():
    found = shares(
        {
            "units": 10,
            "R@3": 4,
            "pairs": 8,
            "pair_any@3": 2,
            "SpIR": 6,
            "masks": 12,
            "PLR pairs": 5,
            "PLR": 4,
            "points": 20,
            "points inside": 3,
            "tubes": 4,
            "tube R@3": 1,
            "tube pairs": 3,
            "tube SpIR": 3,
            "subject frames": 8,
            "subject IoU": 6.0,
            # Predicate 0 is found 3 of 6 times, 2 once of 4: a mean of 0.5 and 0.25.
            "predicate 0": 6,
            "predicate 2": 4,
            "R@3 predicate 0": 3,
            "R@3 predicate 2": 1,
        },
        (3,),
    )
    assert found == {
        "R@3": 40,
        "mR@3": 37.5,
        "pair_any@3": 25,
        "tube R@3": 25,
        "SpIR": 75,
        "SpIR precision": 50,
        "tube SpIR": 100,
        "PLR": 80,
        "PLR precision": 15,
        "subject IoU": 0.75,
    }


def test_predicates_and_what_they_are_taken_for():
    one = {"predicate 0": 4, "predicate 1": 6, "R@3 predicate 1": 3}
    said = {"confusion 1 0": 2, "confusion 1 1": 5, "confusion 0 -1": 1}
    first = counts(10, 3, **one, **said)
    second = counts(10, 6, **{**one, "R@3 predicate 1": 6}, **said)
    found = point([score("a", "x", {"1": {"0": first, "1": second}})])
    assert list(found["predicates"]) == ["biting", "beside"]
    assert found["predicates"]["biting"]["units"] == 6
    assert found["predicates"]["biting"]["R@3"]["mean"] == pytest.approx(75)
    assert found["predicates"]["beside"]["R@3"]["mean"] == 0
    assert found["confusion"] == {
        "beside": {"(no name of the data set)": 2},
        "biting": {"beside": 4, "biting": 10},
    }


def test_what_has_no_file_counts_as_found_nothing():
    nothing = {
        "subjects": {"1": {"0": counts(6, 0, 5), "1": counts(6, 0, 5)}},
        "official": {"relations 0": 3},
    }
    there = score(
        "a",
        "x",
        {"1": {"1": counts(6, 6, 5, 5, 5)}},
        {"1": {"relations 0": 1, "R@20 0": 1}},
        nothing=nothing,
    )
    # No file at all of the second video, and none of run 0 of the first.
    gone = {**score("b", "y", {}), "nothing": nothing, "systems": {"didm": {}}}
    found = point([there, gone])
    assert found["runs"] == 1  # run 0 is of nobody, so of some other kind of prompt
    assert found["missing"] == 1
    assert found["R@3"]["mean"] == 50
    assert found["sources"]["y"]["R@3"]["mean"] == 0
    assert found["PVSG R@20"]["mean"] == pytest.approx(25)
    # With a second subject's run 0 there are two runs, and three places are empty.
    both = {"1": {"0": counts(6, 6), "1": counts(6, 0)}}
    also = score("c", "x", both, nothing=nothing)
    found = point([there, gone, also])
    assert (found["runs"], found["missing"]) == (2, 3)
    assert found["R@3"]["mean"] == pytest.approx(100 * 6 / 18)


def test_a_graph_that_nobody_prompted_is_judged_by_pvsg_alone():
    official = {"0": {"relations 0": 4, "R@20 0": 1, "relations 2": 1, "R@20 2": 1}}
    one = score("a", "x", {}, official, "predictions", "prompt")
    found = summarise([one], (3,), PREDICATES)["predictions"]["prompt"]
    assert "R@3" not in found
    assert found["PVSG R@20"]["mean"] == pytest.approx(40)
    assert found["PVSG mR@20"]["mean"] == pytest.approx((25 + 100) / 2)
    assert found["PVSG R@50"]["mean"] == 0


def test_what_is_scored_and_what_is_not():
    truth = truth_summary(SCORES, (3,))
    assert (truth["videos"], truth["units"], truth["annotated"]) == (3, 30, 36)
    assert truth["dropped"] == {"past the video": 6, "before the prompt": 0}
    assert truth["ceilings"] == {"R@3": 90, "SpIR": 75}
    assert truth["sources"]["x"]["videos"] == 2
    assert truth["sources"]["y"]["ceilings"] == {"R@3": 90, "SpIR": 75}


def test_the_ceiling_of_crowded_frames():
    # Subject 1 with four objects on frame 0, two words for one of them, and with one
    # object on frame 1; subject 2 with one object.
    segments = np.stack([row(1, 2, 3, 4, 5)] * 2)
    relations = [(1, i, 0, 0, 0) for i in (2, 3, 4, 5)]
    relations += [(1, 2, 1, 0, 0), (1, 3, 0, 1, 1), (2, 1, 0, 1, 1)]
    record = video(segments, relations)
    assert video_ceiling(record, Protocol(ks=(1, 3))) == Counter(
        {
            "subjects": 2,
            "subject frames": 3,
            "crowded frames": 1,
            "units": 7,
            "pairs": 6,
            "SpIR": 5,
            "R@1": 3,
            "R@3": 5,
        }
    )
    many = Protocol(ks=(5,), queries=4, multi_predicate=True)
    assert video_ceiling(record, many)["R@5"] == 7
    one_word = Protocol(ks=(5,), queries=4)
    assert video_ceiling(record, one_word)["R@5"] == 6


PVSG_TEXT = (
    "PVSG's own metric is that of whole relations, with all predicates, where the "
    "relations have them. Not comparable with R@K above, which is of one subject."
)


class _Dataset:
    name = plan.PAPER_DATASET
    vocabulary = load_vocabulary()


def document(name=plan.PAPER_DATASET, scores=SCORES):
    dataset = type("D", (_Dataset,), {"name": name})
    return make_document(dataset, Protocol(), scores, provenance([], {}))


def lines(page, title):
    """The cells of a table below a title, by row."""
    body = page.partition(f"## {title}\n\n")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in body.splitlines()]
    return [[cell.strip() for cell in cells] for cells in rows]


def test_the_page_has_the_paper_s_numbers_beside_its_own_data_set_alone():
    real = {"x": "vidor", "y": "ego4d"}
    scores = [{**s, "source": real[s["source"]]} for s in SCORES]
    page = markdown(document(scores=scores), (2,))
    heads, _, *rows = lines(page, plan.TITLES[2])
    assert heads[-3:] == ["paper's R@3", "paper's SpIR", "paper's PLR"]
    assert [cells[0] for cells in rows] == ["vidor", "ego4d", "all"]
    assert rows[0][heads.index("R@3")] == "60.00 ± 0.00"
    assert rows[0][heads.index("counted by")] == "frame"
    assert rows[0][heads.index("predicates")] == "one"
    assert rows[0][-3:] == ["2.72 ± 0.25", "15.37 ± 0.55", "28.86 ± 0.34"]
    assert rows[2][-3:] == ["2.23", "", ""]
    other = markdown(document("toy_pvsg", scores), (2,))
    assert "paper" not in other
    assert "3 videos" in other
    assert "left out: past the video 6." in other


def test_every_table_names_how_recall_is_counted():
    ways = {
        way_name(*way): {"relations 0": 4, "R@20 0": n} for n, way in enumerate(WAYS)
    }
    ways["subjects"] = {"subject frames": 4, "subjects found": 3}
    auto = {
        "none": {"official": {"0": ways["whole relation, all"]}, "ways": {"0": ways}}
    }
    scores = [{**s, "systems": {**s["systems"], "auto": auto}} for s in SCORES]
    page = markdown(document(scores=scores), (2,))
    heads = [
        line for line in page.splitlines() if line.startswith("| ") and "R@" in line
    ]
    assert len(heads) == 5
    assert all("counted by" in line and "predicates" in line for line in heads)
    _, _, *rows = lines(page, "All subjects of a video together\n\n" + PVSG_TEXT)
    found = {tuple(r[4:6]): r[6] for r in rows if (r[0], r[1]) == ("x", "auto")}
    assert found == dict(zip(WAYS, ("0.00", "25.00", "50.00", "75.00"), strict=True))
    assert "| 75.00" in page.partition("Subjects found")[2]
    rows = list(csv.DictReader(io.StringIO(csv_text(document(scores=scores)))))
    told = {
        (r["system"], r["metric"]): (r["counted_by"], r["predicates"]) for r in rows
    }
    assert told["didm", "R@3"] == ("frame", "one")
    assert told["didm", "tube R@3"] == ("tube", "one")
    assert told["didm", "SpIR"] == ("frame", "")
    assert told["auto", "PVSG R@20"] == ("whole relation", "all")
    assert told["auto", "mR@50 (frame, all)"] == ("frame", "all")


def test_what_files_without_frames_cannot_tell_is_a_dash():
    way = {"relations 0": 4, "R@20 0": 3}
    ways = {way_name(*w): way for w in WAYS if w[0] != "frame"}
    whole = {"none": {"official": {"0": way}, "ways": {"0": ways}}}
    scores = [{**s, "systems": {"predictions": whole}} for s in SCORES]
    page = markdown(document(scores=scores), (2,))
    says = 'A dash: files without "frames", the predictions on single frames.'
    title = f"All subjects of a video together\n\n{PVSG_TEXT}\n\n{says}"
    _, _, *rows = lines(page, title)
    found = {tuple(r[4:6]): r[6] for r in rows if r[0] == "x"}
    assert found == dict(zip(WAYS, ("-", "-", "75.00", "75.00"), strict=True))


def test_the_csv_says_the_same_as_the_page():
    rows = list(csv.DictReader(io.StringIO(csv_text(document()))))
    (one,) = [r for r in rows if (r["source"], r["metric"]) == ("x", "R@3")]
    assert float(one["mean"]) == pytest.approx(60)
    assert (one["system"], one["prompt"], one["runs"]) == ("didm", "point", "2")
    (none,) = [r for r in rows if (r["source"], r["metric"]) == ("all", "PLR")]
    assert none["mean"] == none["std"] == ""


def test_columns_stand_in_line():
    assert grid(["a", "bcd"], [["12", "3"]]) == (
        "| a  | bcd |\n| -- | --- |\n| 12 | 3   |"
    )


def test_a_shard_leaves_no_trace():
    for shard in (["--shard=0/2"], ["--shard", "0/2"], ["-shard=0/2"]):
        said = provenance([*shard, "--runs=2"], {"model": "x"})
        assert said["command"] == "python -m c2g_jax.evaluate --runs=2"
        assert said["model"] == "x"
