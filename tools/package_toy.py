"""Put a trained toy checkpoint and an example clip with ground truth into the package.

    python tools/package_toy.py --checkpoint=runs/toy/weights \
        --data_dir=data --clip=toy_pvsg_val_0010

Writes c2g_jax/toy_checkpoint (float16) and c2g_jax/example; either may be omitted.
"""

import shutil
import tempfile
from pathlib import Path

from absl import flags

from c2g_jax.checkpoints.pretrained import load_click2graph, save_click2graph
from c2g_jax.checkpoints.safetensors import WEIGHTS, read_manifest
from c2g_jax.cli import launch
from c2g_jax.cli.launch import CHECKPOINT, DATA_DIR
from c2g_jax.export.scene_graph_json import write_scene_graph
from c2g_jax.types import InputError

with launch.needing("train"):
    from c2g_jax.data.dataset import open_dataset
    from c2g_jax.data.graph import true_graph

flags.declare_key_flag("checkpoint")
flags.declare_key_flag("data_dir")
CLIP = flags.DEFINE_string("clip", None, "Video of toy_pvsg/val for the example.")
PACKAGE = Path(__file__).resolve().parent.parent / "c2g_jax"
MOST_BYTES = {WEIGHTS: 15e6, "example.mp4": 1e6}


def main(argv) -> None:
    del argv
    if CHECKPOINT.value is None and CLIP.value is None:
        raise InputError("nothing to package: give --checkpoint, --clip or both")
    if CHECKPOINT.value is not None:
        package_checkpoint(Path(CHECKPOINT.value), PACKAGE / "toy_checkpoint")
    if CLIP.value is not None:
        package_example(Path(DATA_DIR.value or "data"), PACKAGE / "example")


def package_checkpoint(source: Path, folder: Path) -> None:
    """Write the weights in float16, with the configuration of their training."""
    model, trained = load_click2graph(source)
    if not trained:
        raise InputError(f"{source} holds SAM2.1 alone: train Click2Graph around it")
    manifest = {k: v for k, v in read_manifest(source).items() if k != "sha256"}
    if "training" not in manifest:
        raise InputError(f"{source} has no training configuration: give a run's")
    config = manifest["training"]["config"]
    del (
        config["data"]["dir"],
        config["sam2"]["checkpoint"],
    )  # local paths
    with tempfile.TemporaryDirectory() as aside:
        made = Path(aside)
        save_click2graph(model, made, {**manifest, "dtype": "float16"})
        copy_small(made, folder)


def package_example(data_dir: Path, folder: Path) -> None:
    """Copy the generated clip and write its ground truth as a scene graph."""
    dataset = open_dataset(data_dir, "toy_pvsg")
    found = [v for v in dataset.videos("val") if v.video_id == CLIP.value]
    if not found:
        raise InputError(f"--clip={CLIP.value}: no video of toy_pvsg/val has this name")
    downloads = data_dir / "downloads" / "toy_pvsg"
    drawn = next(downloads.glob(f"*/videos/{CLIP.value}.mp4"), None)
    if drawn is None:
        raise InputError(
            f"{downloads}: no mp4 of {CLIP.value}: prepare with --toy again"
        )
    with tempfile.TemporaryDirectory() as aside:
        shutil.copyfile(drawn, Path(aside) / "example.mp4")
        graph = true_graph(dataset, found[0])
        write_scene_graph(Path(aside) / "truth.json", graph)
        copy_small(Path(aside), folder)


def copy_small(source: Path, folder: Path) -> None:
    """Copy the files. Raises InputError, before copying, if one is too large."""
    files = sorted(source.iterdir())
    for file in files:
        size = file.stat().st_size
        if size > MOST_BYTES.get(file.name, 1e6):
            raise InputError(f"{file.name} has {size:,} bytes, too many for a package")
    folder.mkdir(exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)
        print(f"{folder / file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    launch.run(main)
