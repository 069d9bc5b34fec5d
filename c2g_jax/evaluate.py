r"""Score a model, or the predictions of any system, on a prepared data set.

    python -m c2g_jax.evaluate --checkpoint=FOLDER --data_dir=data --name=toy_pvsg \
        --tables=2,3,4 --output=DIR

prompts every subject of the split, tracks it with the objects that it interacts with,
and computes R@K, SpIR and PLR, and the official PVSG metric. It writes results.json,
results.csv, results.md and plots to DIR, and prints the tables. --tables are those of
the paper: 2 for points by source, 3 for points, boxes and masks, 4 for DIDM and the
heuristic. --config=configs/FILE.py replaces --data_dir and --name. SAM2.1 alone is
scored with the points of the heuristic and of the oracle: its masks count (SpIR, PLR,
subject IoU), it names nothing.

The scores of each video are kept in DIR/scores: after Ctrl-C or a kill, run the same
command to resume. All devices of the host are used (on a CPU, XLA_FLAGS with
--xla_force_host_platform_device_count=2 makes two, for two cores). With --shard=0/2 and
--shard=1/2 two processes, on hosts that share DIR, score half of the videos each; the
one that ends last writes the results.

    python -m c2g_jax.evaluate --predictions=FOLDER --data_dir=data --name=toy_pvsg \
        --output=DIR

scores files FOLDER/VIDEO/SUBJECT/RUN.json, in the format of scene_graph.json, without
a model. The graph of a system without prompts is FOLDER/VIDEO/all/RUN.json. --auto
scores a model without prompts, in the same way.
"""

import dataclasses
import importlib.util
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.cli.launch import (
    AUTO,
    CHECKPOINT,
    DATA_DIR,
    DEFAULT_NAME,
    HEADS,
    IMAGE_SIZE,
    MAX_VIDEOS,
    NAME,
    OUTPUT,
    SEED,
    compute_dtype,
    computing,
)
from c2g_jax.cli.paths import PATH
from c2g_jax.click2graph.settings import NEUTRAL
from c2g_jax.media.outputs import check_output
from c2g_jax.types import AutoRules, InputError

with launch.needing("train"):
    from c2g_jax.data.dataset import Dataset, open_dataset
    from c2g_jax.evaluation import protocol_flags
    from c2g_jax.evaluation.document import make_document, provenance, write_document
    from c2g_jax.evaluation.files import find_files
    from c2g_jax.evaluation.job import (
        Job,
        annotations_sha256,
        files_sha256,
        read_scores,
        score,
    )
    from c2g_jax.evaluation.plan import read_plan, read_shard
    from c2g_jax.evaluation.protocol import Protocol
    from c2g_jax.training.config_files import CONFIG, check_overrides

for _name in ("checkpoint", "data_dir", "output", "image_size", "dtype", "seed"):
    flags.declare_key_flag(_name)
for _name in ("auto", "name", "max_videos", "config", "compilation_cache", "heads"):
    flags.declare_key_flag(_name)
TABLES = flags.DEFINE_list(
    "tables", None, "Tables of the paper to reproduce: 2, 3, 4. Default: 2."
)
SYSTEMS = flags.DEFINE_list(
    "systems", None, "Instead of --tables: didm, heuristic, oracle."
)
PROMPT_KINDS = flags.DEFINE_list(
    "prompt_kinds", None, "Instead of --tables: point, box, mask."
)
RUNS_OF = flags.DEFINE_list(
    "runs_of", [], "SYSTEM/KIND=RUNS,..., in place of --runs: didm/box=5."
)
SHARD = flags.DEFINE_string(
    "shard", "0/1", "I/N: score every N-th video from the I-th on, I from 0."
)
MEMORY = flags.DEFINE_float(
    "memory",
    None,
    "GiB on each device for what is tracked at once; other trials of a video follow in "
    "further passes. Default: half of what is free on an accelerator, a quarter of the "
    "host's memory on CPUs.",
)
PREDICTIONS = flags.DEFINE(
    PATH,
    "predictions",
    None,
    "Folder of VIDEO/SUBJECT/RUN.json to score, without a model.",
)
PLOTS = flags.DEFINE_bool(
    "plots", None, "Plot the results. Default: if matplotlib is installed."
)
flags.adopt_module_key_flags(protocol_flags)


def main(argv: Sequence[str]) -> None:
    del argv
    job = read_job()
    scored = read_scores(job.output, job.fingerprint)
    shard = job.videos[job.shard[0] :: job.shard[1]]
    left = [video for video in shard if video.video_id not in scored]
    if left:
        score(job, left)
        scored = read_scores(job.output, job.fingerprint)
    done = [scored[v.video_id] for v in job.videos if v.video_id in scored]
    if len(done) < len(job.videos):
        print(
            f"{len(done)} of {len(job.videos)} videos are scored; the shard that ends "
            "last writes the results"
        )
        return
    made = provenance(sys.argv[1:], job.origin)
    document = make_document(job.dataset, job.protocol, done, made)
    print(write_document(document, job.output, job.tables, job.plots))
    print(f"written to {job.output}")


def run() -> None:
    """For `python -m`."""
    launch.run(main, check)


def check(argv: Sequence[str]) -> Sequence[str]:
    """Return the arguments; raises InputError for an unknown --config or field."""
    if any(re.match(r"--?(no)?config($|[=.])", word) for word in argv[1:]):
        return check_overrides(argv)
    return argv


def read_job() -> Job:
    """Return the job given by the flags; raises InputError for invalid flags."""
    if not OUTPUT.value:
        raise InputError("--output is missing: name a folder for the results")
    if MEMORY.value is not None and not 0 < MEMORY.value < math.inf:
        raise InputError(f"--memory={MEMORY.value:g}: give GiB above 0, as 0.5")
    output = Path(OUTPUT.value)
    check_output(output)
    has_plots = importlib.util.find_spec("matplotlib") is not None
    if PLOTS.value:
        with launch.needing("plot"):
            importlib.import_module("matplotlib")
    protocol = protocol_flags.protocol_from_flags()
    dataset, protocol = open_data(protocol)
    videos = dataset.videos(protocol.split)
    fingerprint = {
        "protocol": dataclasses.asdict(protocol),
        "data": {"name": dataset.name, "annotations": annotations_sha256(videos)},
    }
    files = PREDICTIONS.value and Path(PREDICTIONS.value)
    if files:
        tables, plan, origin = (), {}, read_predictions(files)
        fingerprint["predictions"] = origin["predictions"]
    else:
        given = (TABLES.value, SYSTEMS.value, PROMPT_KINDS.value, RUNS_OF.value)
        tables, plan = read_plan(*given, protocol.runs, has_heads(), AUTO.value)
        origin = read_checkpoint()
        if AUTO.value:
            fingerprint["auto"] = dataclasses.asdict(AutoRules())
        fingerprint["model"] = origin
        fingerprint["runs"] = {"/".join(part): runs for part, runs in plan.items()}
    return Job(
        dataset=dataset,
        protocol=protocol,
        videos=videos[: MAX_VIDEOS.value],
        shard=read_shard(SHARD.value),
        tables=tables,
        plan=plan,
        predictions=files,
        load_model=load_model,
        output=output,
        fingerprint=fingerprint,
        origin=origin,
        plots=has_plots if PLOTS.value is None else PLOTS.value,
        memory=None if MEMORY.value is None else int(MEMORY.value * 2**30),
    )


def open_data(protocol: Protocol) -> tuple[Dataset, Protocol]:
    """Return the data set of the flags or --config, and the protocol with its split."""
    folder, name = DATA_DIR.value, NAME.value
    if CONFIG.value is not None:
        data = CONFIG.value.data
        folder, name = folder or data.dir, name or data.name
        if not flags.FLAGS["split"].present:
            protocol = dataclasses.replace(protocol, split=data.val)
    if not folder:
        raise InputError("--data_dir is missing: name the folder of prepared data sets")
    return open_dataset(folder, name or DEFAULT_NAME), protocol


def read_predictions(folder: Path) -> dict[str, Any]:
    """Return the provenance of files; raises InputError if there are none."""
    model = CHECKPOINT.value or HEADS.value
    if model or TABLES.value or SYSTEMS.value or PROMPT_KINDS.value or AUTO.value:
        raise InputError(
            "--predictions are scored without a model: leave out --checkpoint, "
            "--heads, --tables, --systems, --prompt_kinds and --auto"
        )
    files = {"files": len(find_files(folder)), "sha256": files_sha256(folder)}
    return {"predictions": files}


def has_heads() -> bool:
    """Return whether there are trained heads; also where no checkpoint is named yet."""
    if not CHECKPOINT.value:
        return True
    from c2g_jax.checkpoints.heads import has_trained_heads
    from c2g_jax.checkpoints.pretrained import find_checkpoint

    return has_trained_heads(find_checkpoint(CHECKPOINT.value), HEADS.value)


def read_checkpoint() -> dict[str, Any]:
    """Return the provenance of the model, which is also its fingerprint."""
    if not CHECKPOINT.value:
        raise InputError("nothing to score: give --checkpoint or --predictions")
    # JAX is not needed for files.
    from c2g_jax.checkpoints.heads import heads_sha256, settings_in_use
    from c2g_jax.checkpoints.pretrained import find_checkpoint
    from c2g_jax.checkpoints.safetensors import read_manifest

    folder = find_checkpoint(CHECKPOINT.value)
    origin = {
        "checkpoint": read_manifest(folder)["sha256"],
        **heads_sha256(HEADS.value),
        "image_size": IMAGE_SIZE.value,
        "dtype": compute_dtype(),
        "seed": SEED.value,
    }
    settings = settings_in_use(folder, HEADS.value)
    if settings is not None and settings.temperature != NEUTRAL:
        origin["temperature"] = list(settings.temperature)
    return origin


def load_model() -> Any:
    """Load the Click2Graph of the flags; prints what it is, and any warning."""
    from c2g_jax.checkpoints.description import describe_weights
    from c2g_jax.checkpoints.heads import load_model as load
    from c2g_jax.checkpoints.pretrained import find_checkpoint

    keep_compiled()
    folder = find_checkpoint(CHECKPOINT.value)
    model, warning = load(
        folder,
        HEADS.value,
        image_size=IMAGE_SIZE.value,
        dtype=compute_dtype(),
        seed=SEED.value,
        named=CHECKPOINT.value,
    )
    weights = describe_weights(folder, HEADS.value, CHECKPOINT.value)
    print(weights + computing(), file=sys.stderr)
    if warning is not None:
        print(warning, file=sys.stderr)
    return model


if __name__ == "__main__":
    run()
