r"""Choose the settings of a trained checkpoint, and write them to its manifest.

    python -m c2g_jax.tune --checkpoint=runs/open_pvsg/weights --data_dir=data \
        --output=runs/open_pvsg/tuning

How confident a model must be for a relation to hold differs from model to model. This
reads the videos that the training kept apart for it (`config.data.held_out`), and no
others, and chooses: temperatures of the class logits, how the predictions on frames
become spans, and how far a correction reaches. `predict`, the page, sessions and
`correct` then use them. A checkpoint that was not tuned shows its best guesses instead.
The heads.safetensors beside the checkpoint's folder gets the same settings.

DIR/tuning.json has what was chosen, on which videos. Graphs are kept in DIR/graphs: the
same command resumes.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.cli.launch import CHECKPOINT, DATA_DIR, NAME, OUTPUT
from c2g_jax.media.outputs import check_output, write_text
from c2g_jax.types import InputError

with launch.needing("train"):
    from c2g_jax.data.dataset import open_dataset

for _name in ("checkpoint", "data_dir", "name", "output", "dtype", "compilation_cache"):
    flags.declare_key_flag(_name)


def main(argv: Sequence[str]) -> None:
    del argv
    for flag in (OUTPUT, DATA_DIR, CHECKPOINT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing: name a folder")
    output, folder = Path(OUTPUT.value), Path(CHECKPOINT.value)
    check_output(output)
    # JAX is not needed before.
    from c2g_jax.checkpoints.heads import HEADS, write_heads_settings
    from c2g_jax.checkpoints.pretrained import load_click2graph, write_settings
    from c2g_jax.checkpoints.safetensors import read_manifest
    from c2g_jax.correction.tuning import held_out_videos, tune

    manifest = read_manifest(folder)
    config = manifest.get("training", {}).get("config", {})
    name = NAME.value or config.get("data", {}).get("name") or launch.DEFAULT_NAME
    dataset = open_dataset(DATA_DIR.value, name)
    videos = held_out_videos(config, dataset, folder)
    keep_compiled()
    model, trained = load_click2graph(folder, dtype=launch.compute_dtype())
    if not trained:
        raise InputError(f"{folder} holds SAM2.1 alone: train Click2Graph around it")
    print(f"{folder}{launch.computing()}", file=sys.stderr)
    frames = config["clip"]["num_frames"]
    graphs, made_by = output / "graphs", manifest["sha256"]
    settings = tune(model, dataset, videos, frames, graphs, made_by)
    write_settings(folder, settings)
    write_heads_settings(folder.with_name(HEADS), model, settings)
    document = {
        "checkpoint": manifest["sha256"],
        "data": f"{dataset.name}/{config['data']['train']}",
        "videos": [video.video_id for video in videos],
        "settings": settings.to_json(),
    }
    write_text(output / "tuning.json", json.dumps(document, indent=2) + "\n")
    print(json.dumps(settings.to_json()))
    print(f"written to {folder / 'manifest.json'} and {output / 'tuning.json'}")


def run() -> None:
    """For `python -m`."""
    launch.run(main)


if __name__ == "__main__":
    run()
