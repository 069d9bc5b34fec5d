"""Models scored on videos, compared with tracking one trial at a time."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from c2g_jax.click2graph.model import mask_ious as real_mask_ious
from c2g_jax.data.prompts import KINDS
from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.ground_truth import scored_truth, video_ceiling, video_truth
from c2g_jax.evaluation.heuristic import Heuristic, Oracle
from c2g_jax.evaluation.metrics import score_subject
from c2g_jax.evaluation.predictions import overlap_of_frames, relations_of_frames
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.runner import scoring_model
from c2g_jax.evaluation.trials import trials_of
from c2g_jax.types import InputError
from tests.evaluation.all_parts import ALL, HEAT, score
from tests.evaluation.one_trial import alone
from tests.evaluation.scripted_model import Drawn, mask_ious
from tests.scripted import model

PROTOCOLS = {
    "default": Protocol(),
    "both": Protocol(directions="both", prompt_frame="random"),
    "without tracks": Protocol(link="none"),
    "seldom": Protocol(discover_every=3, prompt_frame="first_visible"),
    "once, nms, vote": Protocol(
        discover_every=0, mask_nms=0.5, subject_label="tube_vote", click="interior"
    ),
}
# Where the twin numbers its tracks one way through the video, and at all.
TRACKS_ALIKE = ("default", "seldom", "once, nms, vote")


def official(video, guesses) -> Counter:
    """Return the counts of the PVSG metric for predictions by subject."""
    claims = [
        claim
        for subject, (_, said) in guesses.items()
        for claim in relations_of_frames(said, video.num_frames, subject)
    ]
    return pvsg_official.score_video(
        pvsg_official.true_relations(video),
        claims,
        overlap_of_frames(guesses, video.num_frames),
    )


@pytest.mark.parametrize("name", PROTOCOLS)
def test_all_at_once_count_as_one_at_a_time(name, monkeypatch):
    protocol, drawn = PROTOCOLS[name], Drawn(seed=3)
    dataset, world = drawn.dataset(), drawn.careless(seed=1)
    world.install(monkeypatch)
    point_sources = {"heuristic": Heuristic(HEAT, 3), "oracle": Oracle(3)}
    whole, hits = Counter(), 0
    for got, video in zip(score(dataset, protocol), dataset.videos("val"), strict=True):
        truth = video_truth(video, protocol)
        by_run = defaultdict(dict)
        assert got["truth"] == truth.counts
        assert (got["video"], got["source"]) == (video.video_id, "toy")
        assert {(s, k) for s, kinds in got["systems"].items() for k in kinds} == {*ALL}
        for trial in trials_of(video, truth, ALL, protocol):
            point_source = point_sources.get(trial.system)
            said = alone(dataset, video, trial, point_source, protocol)
            part = scored_truth(trial.truth, trial.frame, protocol)
            want = score_subject(part, said, trial.frame, protocol)
            want["prompts"] = 1
            want["units left out"] = len(trial.truth.units) - len(part.units)
            results = got["systems"][trial.system][trial.kind]
            counts = results["subjects"][trial.truth.subject_id][trial.run]
            assert counts == want, (trial.system, trial.kind, trial.run)
            whole.update(want)
            by_run[(*trial.part, trial.run)][trial.truth.subject_id] = trial.truth, said
        for (system, kind, run), own in by_run.items():
            if name in TRACKS_ALIKE:
                counts = got["systems"][system][kind]["official"][run]
                assert counts == official(video, own)
                hits += sum(v for k, v in counts.items() if k.startswith("R@100"))
    # It is no comparison of nothing with nothing.
    assert (hits > 0) == (name in TRACKS_ALIKE)
    assert 0 < whole["R@3"] < whole["units"]
    assert 0 < whole["SpIR"] < whole["pairs"]
    assert 0 < whole["points inside"] < whole["points"]


# --- what is known without a twin


@pytest.mark.parametrize("system", ["didm", "oracle"])
def test_a_perfect_model_reaches_the_ceiling(system, monkeypatch):
    drawn = Drawn(seed=5, lengths=(12, 10, 8))
    dataset = drawn.dataset()
    drawn.perfect().install(monkeypatch)
    protocol = Protocol()
    runs = {(system, kind): 2 for kind in KINDS}
    counts, ceiling = Counter(), Counter()
    for got in score(dataset, protocol, runs):
        for kind in KINDS:
            for own in got["systems"][system][kind]["subjects"].values():
                assert own[0] == own[1]  # whatever the prompt, the subject is meant
                counts.update(own[0])
    for video in dataset.videos("val"):
        ceiling.update(video_ceiling(video, protocol))
    assert counts["units"] == ceiling["units"] * len(KINDS) > 0
    assert counts["R@3"] == ceiling["R@3"] * len(KINDS)
    assert counts["SpIR"] == ceiling["SpIR"] * len(KINDS)
    assert counts["SpIR"] == counts["masks"]
    assert counts["subject IoU"] == counts["subject frames"]
    assert counts["points"] == counts["points inside"] == counts["PLR"]
    assert counts["PLR"] == counts["SpIR"]


def test_what_was_before_a_late_prompt_counts_in_both_directions(monkeypatch):
    segments = np.zeros((12, 16, 16), np.uint8)
    segments[:, 2:6, 2:6], segments[:, 9:14, 9:14] = 1, 2
    drawn = Drawn(seed=0)
    drawn.videos = {"late": (segments, [(1, 2, 7, 2, 9)])}
    drawn.perfect().install(monkeypatch)
    dataset = drawn.dataset()
    options = {"prompt_frame": "random"}
    for directions in ("forward", "both"):
        protocol = Protocol(directions=directions, **options)
        (got,) = score(dataset, protocol, {("didm", "point"): 4})
        runs = got["systems"]["didm"]["point"]["subjects"][1]
        official = got["systems"]["didm"]["point"]["official"]
        (truth,) = video_truth(dataset.videos("val")[0], protocol).subjects
        trials = trials_of(
            dataset.videos("val")[0],
            video_truth(dataset.videos("val")[0], protocol),
            {("didm", "point"): 4},
            protocol,
        )
        frames = [trial.frame for trial in trials]
        assert len(set(frames)) > 1
        assert max(frames) > 5
        for run, frame in enumerate(frames):
            seen = 8 if directions == "both" else 10 - frame
            assert runs[run]["units"] == runs[run]["R@3"] == seen
            assert runs[run]["units left out"] == len(truth.units) - seen
            # One track through the prompt's frame, which PVSG's metric wants.
            assert official[run]["relations 7"] == 1
            assert official[run]["R@20 7"] == (seen >= 4)


def test_without_tracks_the_mask_under_each_point_is_scored(monkeypatch):
    # Thing 2 is tracked onto thing 3, and its fresh mask is right.
    segments = np.zeros((6, 16, 16), np.uint8)
    segments[:, 2:6, 2:6], segments[:, 9:14, 9:14] = 1, 2
    drawn = Drawn(seed=0)
    drawn.videos = {"drift": (segments, [(1, 2, 7, 0, 5)])}
    world = drawn.perfect()
    follow = world.follow

    def drifting(sam2, bank, features, frame, active, num_frames):
        bank, answer = follow(sam2, bank, features, frame, active, num_frames)
        logits = answer.mask_logits.copy()
        for slot, thing in enumerate(answer.obj_ptr):
            if thing == 2:
                logits[slot] = -10
                logits[slot, 9:12, 9:14] = 10  # 15 of 25 pixels: still linked
        return bank, answer._replace(mask_logits=logits)

    world.follow = drifting
    world.install(monkeypatch)
    dataset, runs = drawn.dataset(), {("didm", "point"): 1}
    hits = {}
    for link in ("tracks", "none"):
        world.followed.clear()
        protocol = Protocol(link=link, tau=0.8)
        (got,) = score(dataset, protocol, runs)
        part = got["systems"]["didm"]["point"]
        hits[link] = part["subjects"][1][0]["SpIR"]
        followed = {things for _, things in world.followed}
        assert followed == ({(1,)} if link == "none" else {(1, 2)})
    assert hits == {"tracks": 1, "none": 6}
    # The query is the track, for PVSG's metric.
    assert part["official"][0]["R@20 7"] == 1


def test_runs_do_not_depend_on_how_many_there_are(monkeypatch):
    drawn = Drawn(seed=8)
    dataset = drawn.dataset()
    drawn.careless(seed=2).install(monkeypatch)
    many = score(dataset, plan={("didm", "point"): 3, ("didm", "box"): 2})
    few = score(dataset, plan={("didm", "point"): 2})
    for a, b in zip(many, few, strict=True):
        a, b = (x["systems"]["didm"]["point"] for x in (a, b))
        for subject, runs in b["subjects"].items():
            assert runs == {r: a["subjects"][subject][r] for r in (0, 1)}
        assert b["official"] == {r: a["official"][r] for r in (0, 1)}


def test_a_video_without_anything_to_prompt_has_no_subjects(monkeypatch):
    drawn = Drawn(seed=3)
    segments, _ = drawn.videos["drawn-0"]
    drawn.videos = {"idle": (segments, [])}
    world = drawn.perfect()
    world.install(monkeypatch)
    told = []
    (got,) = score(drawn.dataset(), advance=told.append)
    assert got["systems"]["didm"]["point"] == {
        "subjects": {},
        "official": {0: {}, 1: {}},
    }
    assert world.encoded == 0
    assert sum(told) == len(segments)


def test_the_model_is_left_as_it_was():
    own = model(rules={"patience": 4})
    before = own.config
    scoring = scoring_model(own, Protocol(discover_every=5, max_tracks=7))
    assert own.config is before
    assert scoring.config.discover_every == 5
    assert scoring.config.rules.patience == 4
    assert scoring.config.rules.max_tracks == 7
    assert scoring.config.rules.share_iou is None
    assert scoring.config.rules.subject_iou is None
    for link in ("tracks", "none"):
        scoring = scoring_model(own, Protocol(link=link, subject_iou=0.7))
        assert scoring.config.rules.subject_iou == 0.7
        assert scoring.sam2 is own.sam2


def test_systems_that_there_are_none_of(monkeypatch):
    drawn = Drawn(seed=3)
    drawn.perfect().install(monkeypatch)
    for part, says in (
        (("luck", "point"), "no system 'luck': use some of didm, heur"),
        (("didm", "scribble"), "no kind of prompt 'scribble': use point, box, mask"),
    ):
        with pytest.raises(InputError, match=says):
            score(drawn.dataset(), plan={part: 1})


def test_the_scripted_model_overlaps_masks_as_the_real_one_does():
    masks = (
        np.random.default_rng(0).random((9, 16, 16))
        < np.linspace(0, 1, 9)[:, None, None]
    )
    for ours, theirs in zip(mask_ious(masks), real_mask_ious(masks), strict=True):
        np.testing.assert_array_equal(ours, np.asarray(theirs))
