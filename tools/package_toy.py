"""Put a trained toy checkpoint and example clips with ground truth into the package.

    python tools/package_toy.py --checkpoint=runs/toy/weights --data_dir=data/large

Writes c2g_jax/toy_checkpoint (float16) and c2g_jax/example; either flag may be omitted.
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
from c2g_jax.media.video import open_video, write_mp4
from c2g_jax.types import InputError

with launch.needing("train"):
    from c2g_jax.data.dataset import open_dataset
    from c2g_jax.data.graph import true_graph

flags.declare_key_flag("checkpoint")
flags.declare_key_flag("data_dir")
# Videos of toy_pvsg/val, by what they are called in the package. Chosen for their
# variety, before any model was run on them.
CLIPS = {
    "example": "toy_pvsg_val_0010",
    "bike": "toy_pvsg_val_0071",
    "pets": "toy_pvsg_val_0028",
}
PACKAGE = Path(__file__).resolve().parent.parent / "c2g_jax"
MOST_BYTES = {WEIGHTS: 25e6}


def main(argv) -> None:
    del argv
    if CHECKPOINT.value is None and DATA_DIR.value is None:
        raise InputError("nothing to package: give --checkpoint, --data_dir or both")
    if CHECKPOINT.value is not None:
        package_checkpoint(Path(CHECKPOINT.value), PACKAGE / "toy_checkpoint")
    if DATA_DIR.value is not None:
        package_examples(Path(DATA_DIR.value), PACKAGE / "example")


def package_checkpoint(source: Path, folder: Path) -> None:
    """Write the weights in float16, with the configuration of their training."""
    model, trained = load_click2graph(source)
    if not trained:
        raise InputError(f"{source} holds SAM2.1 alone: train Click2Graph around it")
    manifest = {k: v for k, v in read_manifest(source).items() if k != "sha256"}
    if "training" not in manifest:
        raise InputError(f"{source} has no training configuration: give a run's")
    config = manifest["training"]["config"]
    # Paths of this machine.
    del config["data"]["dir"], config["sam2"]["checkpoint"]
    for name in ("heads", "prior"):
        config.pop(name, None)
    with tempfile.TemporaryDirectory() as aside:
        made = Path(aside)
        save_click2graph(model, made, {**manifest, "dtype": "float16"})
        copy_small(made, folder)


def package_examples(data_dir: Path, folder: Path) -> None:
    """Write the drawn clips, and the ground truth of each as a scene graph."""
    dataset = open_dataset(data_dir, "toy_pvsg")
    videos = {video.video_id: video for video in dataset.videos("val")}
    downloads = data_dir / "downloads" / "toy_pvsg"
    with tempfile.TemporaryDirectory() as aside:
        for name, video_id in CLIPS.items():
            drawn = next(downloads.glob(f"*/videos/{video_id}.mp4"), None)
            if drawn is None or video_id not in videos:
                raise InputError(
                    f"{data_dir}: no {video_id}, or no mp4 of it: prepare with --toy "
                    "again"
                )
            video = open_video(drawn, fps=videos[video_id].fps)
            write_mp4(Path(aside) / f"{name}.mp4", video, videos[video_id].fps)
            graph = true_graph(dataset, videos[video_id])
            write_scene_graph(Path(aside) / f"{name}.json", graph)
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
