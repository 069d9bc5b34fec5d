"""How the official checkpoint's names and layouts become those of the Flax modules.

A Flax path is the torch name but for what `PREFIXES` says; its last part and the layout
of the array are what `LEAVES` says. In both tables the first match wins.
"""

import re
from collections.abc import Callable, Iterable

import numpy as np

Transform = Callable[[np.ndarray], np.ndarray]


def same(x: np.ndarray) -> np.ndarray:
    return x


def linear(x: np.ndarray) -> np.ndarray:
    """[outputs, inputs] to [inputs, outputs]."""
    return x.T


def conv(x: np.ndarray) -> np.ndarray:
    """[outputs, inputs, h, w] to [h, w, inputs, outputs], depthwise ones too."""
    return x.transpose(2, 3, 1, 0)


def transposed_conv(x: np.ndarray) -> np.ndarray:
    """[inputs, outputs, h, w] to [h, w, inputs, outputs], not flipped."""
    return x.transpose(2, 3, 0, 1)


def grid(x: np.ndarray) -> np.ndarray:
    """[1, channels, h, w] to [h, w, channels]; of another shape it fits nothing."""
    return x[0].transpose(1, 2, 0) if len(x) == 1 else x


def squeeze(x: np.ndarray) -> np.ndarray:
    """Drop the axes that torch keeps only to broadcast."""
    return x.squeeze()


# Modules that have a name of their own instead of a number in a torch Sequential: how
# the torch name starts, and how the Flax path does; "#" is any number.
_MASKS, _DECODER = "sam_prompt_encoder.mask_downscaling", "sam_mask_decoder"
_DOWN = "memory_encoder.mask_downsampler"
PREFIXES: tuple[tuple[str, str], ...] = (
    ("image_encoder.neck.convs.#.conv.", "image_encoder.neck.convs.#."),
    (f"{_MASKS}.0.", f"{_MASKS}.conv1."),
    (f"{_MASKS}.1.", f"{_MASKS}.norm1."),
    (f"{_MASKS}.3.", f"{_MASKS}.conv2."),
    (f"{_MASKS}.4.", f"{_MASKS}.norm2."),
    (f"{_MASKS}.6.", f"{_MASKS}.conv3."),
    (f"{_DECODER}.output_upscaling.0.", f"{_DECODER}.upscale1."),
    (f"{_DECODER}.output_upscaling.1.", f"{_DECODER}.upscale_norm."),
    (f"{_DECODER}.output_upscaling.3.", f"{_DECODER}.upscale2."),
    *((f"{_DOWN}.encoder.{3 * i}.", f"{_DOWN}.convs.{i}.") for i in range(5)),
    *((f"{_DOWN}.encoder.{3 * i + 1}.", f"{_DOWN}.norms.{i}.") for i in range(4)),
)

# Pattern of the torch name, number of axes (None: any), the last part of the Flax path
# (None: it stays), and the layout.
LEAVES: tuple[tuple[str, int | None, str | None, Transform], ...] = (
    (r"output_upscaling\.[03]\.weight$", 4, "kernel", transposed_conv),
    (r"(embed|embeddings\.\d|token|tokens)\.weight$", 2, "embedding", same),
    (r"\.weight$", 4, "kernel", conv),
    (r"\.weight$", 2, "kernel", linear),
    (r"\.weight$", 1, "scale", same),
    (r"\.(bias|gamma|positional_encoding_gaussian_matrix)$", None, None, same),
    (r"trunk\.pos_embed(_window)?$", 4, None, grid),
    (r"^maskmem_tpos_enc$", 4, None, squeeze),
    (r"^no_(mem_embed|mem_pos_enc)$", 3, None, squeeze),
    (r"^no_obj_(ptr|embed_spatial)$", 2, None, squeeze),
)


def leaf_rule(name: str, num_axes: int) -> int | None:
    """The row of `LEAVES` for a torch tensor, None where there is none."""
    for row, (pattern, axes, _, _) in enumerate(LEAVES):
        if re.search(pattern, name) and axes in (None, num_axes):
            return row
    return None


def flax_path(name: str, row: int) -> str:
    """The Flax path of a torch tensor that this row of `LEAVES` is for."""
    path, leaf = rename(name), LEAVES[row][2]
    return path if leaf is None else f"{path.rpartition('.')[0]}.{leaf}"


def rename(name: str, back: bool = False) -> str:
    """The name by the first row of `PREFIXES` that fits; `back` reads them reversed."""
    for row in PREFIXES:
        start, new = reversed(row) if back else row
        match = re.match(re.escape(start).replace(r"\#", r"(\d+)"), name)
        if match:
            number = match[1] if "#" in start else ""
            return new.replace("#", number) + name[match.end() :]
    return name


def to_flax(
    tensors: Iterable[tuple[str, np.ndarray]],
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Flax arrays by path, and the torch names that no rule knows.

    Two tensors that fall on one path are a fault of the rules: ValueError.
    """
    arrays: dict[str, np.ndarray] = {}
    unknown = []
    for name, tensor in tensors:
        row = leaf_rule(name, tensor.ndim)
        if row is None:
            unknown.append(name)
            continue
        path, transform = flax_path(name, row), LEAVES[row][3]
        if path in arrays:
            raise ValueError(f"{name} is the second tensor to become {path}")
        arrays[path] = np.ascontiguousarray(transform(tensor))
    return arrays, unknown
