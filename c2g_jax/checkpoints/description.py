"""What the weights in use are, in one line for the user."""

from pathlib import Path

from c2g_jax.checkpoints.heads import has_trained_heads
from c2g_jax.checkpoints.released.official import RELEASES
from c2g_jax.checkpoints.safetensors import read_manifest
from c2g_jax.sam2.config import RELEASED_SIZES

TOY = "which knows the drawn world alone and means nothing on films"


def describe_weights(
    folder: str | Path,
    heads: str | Path | None = None,
    named: str | Path | None = None,
    give: str = "--checkpoint=sam2.1_hiera_large.pt",
) -> str:
    """Return the line for the checkpoint in a folder of ours, with heads if given.

    `named` is the checkpoint as the user named it. `give` is how another is named.
    """
    manifest = read_manifest(folder)
    size, name = manifest["size"], Path(named or folder).name
    trained = has_trained_heads(folder, heads)
    if size not in RELEASED_SIZES:
        heads_too = "" if trained else "'s SAM2.1 alone"
        return f"weights: the toy{heads_too} ({name}), {TOY}: give {give}"
    release = f"{RELEASES.get(manifest.get('kind'), 'SAM2.1')} {size}"
    if not trained:
        return f"weights: {release} alone ({name}), nothing is guessed"
    beside = "" if heads is None else f" of {Path(heads).name}"
    return f"weights: {release} ({name}) with trained heads{beside}"
