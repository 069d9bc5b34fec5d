"""Names and layouts of official checkpoints, mapped to those of the Flax modules.

The Flax path is the torch name with its prefix replaced by `PREFIXES`, and its last
part by `LEAVES`, which also gives the layout of the array. In both tables the first
match applies.
"""

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

Transform = Callable[[np.ndarray], np.ndarray]


def same(x: np.ndarray) -> np.ndarray:
    return x


def linear(x: np.ndarray) -> np.ndarray:
    """Map [outputs, inputs] to [inputs, outputs]."""
    return x.T


def conv(x: np.ndarray) -> np.ndarray:
    """Map [outputs, inputs, h, w] to [h, w, inputs, outputs]; depthwise too."""
    return x.transpose(2, 3, 1, 0)


def transposed_conv(x: np.ndarray) -> np.ndarray:
    """Map [inputs, outputs, h, w] to [h, w, inputs, outputs], not flipped."""
    return x.transpose(2, 3, 0, 1)


def grid(x: np.ndarray) -> np.ndarray:
    """Map [1, channels, h, w] to [h, w, channels]; others are misshapen anyway."""
    return x[0].transpose(1, 2, 0) if len(x) == 1 else x


def squeeze(x: np.ndarray) -> np.ndarray:
    """Drop axes of size 1, which torch has for broadcasting."""
    return x.squeeze()


# Prefix of the torch name, prefix of the Flax path; "#" is any number. Modules with a
# name in Flax, and a number in a torch Sequential.
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

# Pattern of the torch name, number of axes (None: any), last part of the Flax path
# (None: unchanged), layout.
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
    """Return the row of `LEAVES` for a torch tensor, None if there is none."""
    for row, (pattern, axes, _, _) in enumerate(LEAVES):
        if re.search(pattern, name) and axes in (None, num_axes):
            return row
    return None


def flax_path(name: str, row: int) -> str:
    """Return the Flax path of a torch tensor, given its row of `LEAVES`."""
    path, leaf = rename(name), LEAVES[row][2]
    return path if leaf is None else f"{path.rpartition('.')[0]}.{leaf}"


def rename(name: str, back: bool = False) -> str:
    """Replace the prefix of a name by `PREFIXES`; with `back` from Flax to torch."""
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
    """Return Flax arrays by path, and the torch names without a rule.

    ValueError where two tensors get the same path: a fault of the rules.
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


# Inverse layouts of `LEAVES`; the second argument is the number of axes in torch.
_BACK: Mapping[Transform, Callable[[np.ndarray, int | None], np.ndarray]] = {
    same: lambda x, _: x,
    linear: lambda x, _: x.T,
    conv: lambda x, _: x.transpose(3, 2, 0, 1),
    transposed_conv: lambda x, _: x.transpose(2, 3, 0, 1),
    grid: lambda x, _: x.transpose(2, 0, 1)[None],
    # The axes of size 1 precede the last axis.
    squeeze: lambda x, axes: x.reshape(
        *x.shape[:-1], *(1,) * (axes - x.ndim), x.shape[-1]
    ),
}


def to_torch(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Invert `to_flax`; KeyError for arrays without a rule."""
    return dict(_tensor(path, array) for path, array in arrays.items())


def _tensor(path: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    stem, _, last = path.rpartition(".")
    for row, (pattern, axes, leaf, layout) in enumerate(LEAVES):
        if leaf not in (None, last):
            continue
        name = rename(path if leaf is None else f"{stem}.weight", back=True)
        if not re.search(pattern, name):
            continue
        if leaf is not None and array.ndim != axes:
            continue
        tensor = np.ascontiguousarray(_BACK[layout](array, axes))
        if leaf_rule(name, tensor.ndim) == row:
            return name, tensor
    raise KeyError(f"no rule makes {path}")
