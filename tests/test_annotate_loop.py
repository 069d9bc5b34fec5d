"""From annotations to a model: annotate, prepare, train, annotate the next."""

import json

import numpy as np
import pytest

import c2g_jax
from c2g_jax.checkpoints.pretrained import save_sam2
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.session.dataset import export_sessions
from tests.commands import run
from tests.session.bold import random_model

CLIPS, FRAMES, STEPS = 6, 12, 30


def annotate(session, truth):
    """What a person does who sees the `truth`: masks, names, spans, relations."""
    ids = {}
    for row in truth.objects:
        seen = np.flatnonzero((truth.segments == row["object_id"]).any(axis=(1, 2)))
        for t in seen.tolist():
            own = ids.get(row["object_id"])
            mask = truth.segments[t] == row["object_id"]
            view = session.mask(t, mask, own)
            if own is None:
                ids[row["object_id"]] = view.objects[-1].object_id
        if len(seen):
            session.rename(ids[row["object_id"]], row["category"])
    for s, o, predicate, spans in truth.relations:
        inside = [(a, min(b, FRAMES - 1)) for a, b in spans if a < FRAMES]
        if s in ids and o in ids and inside:
            session.relate(ids[s], ids[o], predicate, inside)


@pytest.mark.slow
def test_six_clips_are_annotated_exported_prepared_and_trained_on(
    tmp_path, toy_download
):
    pytest.importorskip("tensorflow_datasets")
    from open_pvsg.build import build
    from toy_pvsg.generate import Truth, truth, videos

    save_sam2(random_model().sam2, tmp_path / "sam2", {"image_size": 64})
    plans, sessions = videos("tiny")[:CLIPS], []
    for plan in plans:
        (film,) = toy_download.rglob(f"videos/{plan.video_id}.mp4")
        with pytest.warns(UserWarning, match="holds SAM2.1 alone"):
            session = c2g_jax.open(film, tmp_path / "sam2", max_frames=FRAMES)
        known = truth("tiny", plan.split, plan.index)
        cut = Truth(known.segments[:FRAMES], known.objects, known.relations)
        annotate(session, cut)
        sessions.append(session)
    export_sessions(sessions, tmp_path / "download")
    for session in sessions:
        session.close()

    configs = ("videos", "default")
    build(tmp_path / "download", tmp_path / "data", "annotated", configs, strict=True)
    report = json.loads((tmp_path / "data" / "annotated" / "audit.json").read_text())
    counts = {name for name, quirk in report["quirks"].items() if quirk["count"]}
    # What is true of the clips: frames without objects, objects behind others.
    assert counts <= {"void_frame", "participant_without_mask"}

    work = tmp_path / "run"
    done = run(
        "c2g_jax.train",
        "--config=configs/toy_pvsg.py:tiny",
        f"--workdir={work}",
        f"--config.data.dir={tmp_path / 'data'}",
        "--config.data.name=annotated",
        "--config.data.held_out=0",
        f"--config.sam2.checkpoint={tmp_path / 'sam2'}",
        f"--config.steps={STEPS}",
        "--config.batch_size=2",
        "--config.eval_every=0",
        "--config.lr.sch=2e-3",
    )
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, (work / "metrics.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if "loss" in line]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])

    (film,) = toy_download.rglob(f"videos/{plans[0].video_id}.mp4")
    done = run(
        "c2g_jax.predict",
        f"--video={film}",
        f"--checkpoint={work / 'weights'}",
        "--point=60,50",
        "--max_frames=4",
        "--top=0",
        f"--output={tmp_path / 'predicted'}",
    )
    assert done.returncode == 0, done.stderr
    graph = read_scene_graph(tmp_path / "predicted" / "scene_graph.json")
    assert graph.video.num_frames == 4
