"""Convert a checkpoint of SAM2 to a folder that `c2g_jax` reads, and back.

python -m porting.convert --checkpoint=sam2.1_hiera_large.pt --output=checkpoints/large
python -m porting.convert --checkpoint=sam2.1-hiera-large --output=checkpoints/large
python -m porting.convert --reverse --checkpoint=checkpoints/large --output=large.pt

The first reads an official .pt, or another file or folder with its tensors; the second
a checkpoint of Hugging Face, with the names of `transformers` or the official ones.
SAM 2.0 is read too. --reverse writes a .pt for the `sam2` package.
"""

from collections.abc import Sequence

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.launch import CHECKPOINT, OUTPUT
from c2g_jax.cli.paths import PATH
from c2g_jax.types import InputError

flags.declare_key_flag("checkpoint")
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
_RELEASES = {"sam2.1": "SAM2.1", "sam2.0": "SAM 2.0"}


def main(_: Sequence[str]) -> None:
    for flag, verb in ((CHECKPOINT, "read"), (OUTPUT, "write")):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing: name what to {verb}")
    with launch.needing("port"):
        from porting.official import convert
        from porting.reverse import reverse
    if _REVERSE.value:
        if _FORMAT.present or _COMPLETE_WITH.value is not None:
            raise InputError(
                "--reverse writes a .pt: leave out --format and --complete_with"
            )
        what, tensors = reverse(CHECKPOINT.value, OUTPUT.value)
        print(f"{what}, {tensors} tensors, written to {OUTPUT.value}")
        return
    manifest = convert(
        CHECKPOINT.value, OUTPUT.value, _FORMAT.value, _COMPLETE_WITH.value
    )
    source = manifest["source"]
    rest = source.get("completed_with")
    more = "" if rest is None else f" and {rest['tensors']} of {rest['file']}"
    print(
        f"{source['file']}: {_RELEASES[manifest['kind']]} {manifest['size']}, "
        f"{source['tensors']} tensors{more}, "
        f"{manifest['parameters']:,} parameters, written to {OUTPUT.value}"
    )


if __name__ == "__main__":
    launch.run(main)
