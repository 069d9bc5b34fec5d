"""Convert checkpoints of SAM2, and trained heads, from PyTorch to ours and back.

python -m porting.convert --checkpoint=sam2.1_hiera_large.pt --output=checkpoints/large
python -m porting.convert --checkpoint=sam2.1-hiera-large --output=checkpoints/large
python -m porting.convert --reverse --checkpoint=checkpoints/large --output=large.pt

The first reads an official .pt, or another file or folder with its tensors; the second
a checkpoint of Hugging Face, with the names of `transformers` or the official ones.
SAM 2.0 is read too. --reverse writes a .pt for the `sam2` package.

python -m porting.convert --reverse --heads=heads.safetensors --output=heads.pt
python -m porting.convert --heads=heads.pt --output=heads.safetensors

converts a trained DIDM and SCH for `porting.heads.Heads`, and back. --heads may also be
a folder with a whole Click2Graph.
"""

import sys
from collections.abc import Iterable, Sequence

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.launch import CHECKPOINT, HEADS, OUTPUT
from c2g_jax.cli.paths import PATH
from c2g_jax.types import InputError

flags.declare_key_flag("checkpoint")
flags.declare_key_flag("heads")
flags.declare_key_flag("output")
_FORMAT = flags.DEFINE_enum(
    "format", "safetensors", ["safetensors", "orbax"], "Format of the folder."
)
_COMPLETE_WITH = flags.DEFINE(
    PATH,
    "complete_with",
    None,
    "Second checkpoint of the same size, for tensors that the first one lacks: the "
    "memory modules, where `transformers` saved a Sam2Model.",
)
_REVERSE = flags.DEFINE_boolean(
    "reverse", False, "Convert a folder back to a .pt file."
)


def main(_: Sequence[str]) -> None:
    if CHECKPOINT.value and HEADS.value:
        raise InputError("--checkpoint and --heads exclude each other: give one")
    given = HEADS if HEADS.value else CHECKPOINT
    for flag, verb in ((given, "read"), (OUTPUT, "write")):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing: name what to {verb}")
    one_file = "--reverse writes a .pt" if _REVERSE.value else "--heads is one file"
    if (_REVERSE.value or HEADS.value) and (
        _FORMAT.present or _COMPLETE_WITH.value is not None
    ):
        raise InputError(f"{one_file}: leave out --format and --complete_with")
    if HEADS.value:
        with launch.needing("port"):
            from porting.heads_files import convert_heads, reverse_heads
        move = reverse_heads if _REVERSE.value else convert_heads
        tensors = move(HEADS.value, OUTPUT.value)
        print(f"DIDM and SCH, {tensors} tensors, written to {OUTPUT.value}")
        return
    if _REVERSE.value:
        with launch.needing("port"):
            from porting.reverse import reverse
        what, tensors, notes = reverse(CHECKPOINT.value, OUTPUT.value)
        print(f"{what}, {tensors} tensors, written to {OUTPUT.value}")
        _report(notes)
        return
    from c2g_jax.checkpoints.released.official import RELEASES, convert

    with launch.needing("port"):  # --format=orbax
        manifest = convert(
            CHECKPOINT.value,
            OUTPUT.value,
            _FORMAT.value,
            _COMPLETE_WITH.value,
            how="give",
        )
    source = manifest["source"]
    rest = source.get("completed_with")
    _report(source.get("notes", ()))
    _report((rest or {}).get("notes", ()))
    more = "" if rest is None else f" and {rest['tensors']} of {rest['file']}"
    print(
        f"{source['file']}: {RELEASES[manifest['kind']]} {manifest['size']}, "
        f"{source['tensors']} tensors{more}, "
        f"{manifest['parameters']:,} parameters, written to {OUTPUT.value}"
    )


def _report(notes: Iterable[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)


if __name__ == "__main__":
    launch.run(main)
