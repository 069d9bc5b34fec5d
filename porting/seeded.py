"""Seeded random checkpoints in the official layout, for parity tests.

torch's own initial weights would hide faults: LayerScale of 1e-6 silences whole
branches, and zero biases and equal embeddings cannot be told apart. Here every tensor
is drawn such that activations keep near unit scale and all tensors matter.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from sam2.sam2_video_predictor import SAM2VideoPredictor

from porting.reference import build_reference, open_frames, to_torch
from porting.scenes import disc_centre, draw_video, model_images, normalise

Draw = Callable[[torch.Tensor], torch.Tensor]

_IN_VIEW = 0.5  # least object score of `keep_in_view`
_PROBE_SIZE = 256  # side of the images used to balance the heads


def _around(mean: float, spread: float) -> Draw:
    return lambda noise: mean + spread * noise


def _matrix(gain: float = 1.0) -> Draw:
    """Outputs have the variance of the inputs times the squared gain."""
    return lambda noise: gain * noise / math.sqrt(noise[0].numel())


def _transposed(noise: torch.Tensor) -> torch.Tensor:
    # [inputs, outputs, 2, 2] with stride 2: each output sums over the inputs only.
    return noise / math.sqrt(noise.shape[0])


# The first match applies. Gains other than 1: below 1 for residual branches, as there
# are many blocks; above 1 in attention, because flat attention gives the mean whatever
# the positions and prompts; above 1 in the decoder's heads, so that both sides of each
# of their branches occur.
_DRAWS: tuple[tuple[str, Draw], ...] = (
    (r"positional_encoding_gaussian_matrix$", _around(0, 1)),
    (r"\bgamma$", _around(1, 0.1)),
    (r"output_upscaling\.[03]\.weight$", _transposed),
    (r"trunk\.blocks\.\d+\.(attn\.proj|mlp\.layers\.1)\.weight$", _matrix(0.4)),
    (r"trunk\.blocks\.\d+\.attn\.qkv\.weight$", _matrix(1.4)),
    (r"(q_proj|k_proj)\.weight$", _matrix(1.6)),
    (r"output_hypernetworks_mlps\.\d+\.layers\.\d\.weight$", _matrix(1.4)),
    (r"iou_prediction_head\.layers\.2\.weight$", _matrix(2)),
    (r"pred_obj_score_head\.layers\.2\.weight$", _matrix(8)),
    (r"(embed|embeddings\.\d|token|tokens)\.weight$", _around(0, 1)),
    (r"(pos_embed|pos_embed_window|tpos_enc|_embed|_pos_enc|no_obj_ptr|_spatial)$",
     _around(0, 0.5)),
    (r"\.bias$", _around(0, 0.1)),
    (r"(norm\w*|mask_downscaling\.[14]|output_upscaling\.1|encoder\.(1|4|7|10))\.weight$",
     _around(1, 0.1)),
    (r"\.weight$", _matrix()),
)  # fmt: skip


def seeded_state(size: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return the state of a checkpoint of a size, drawn from a seed."""
    reference = build_reference(size, _PROBE_SIZE)
    source = torch.Generator().manual_seed(seed)
    for name, tensor in reference.state_dict().items():
        tensor.copy_(_draw_of(name)(torch.randn(tensor.shape, generator=source)))
    with torch.inference_mode():
        _balance(reference)
    return reference.state_dict()


def _draw_of(name: str) -> Draw:
    for pattern, draw in _DRAWS:
        if re.search(pattern, name):
            return draw
    raise KeyError(f"no rule draws {name}")


def _balance(reference: SAM2VideoPredictor) -> None:
    """Rescale the decoder's heads such that both sides of their branches are frequent.

    On a drawn video and random prompts: half of the single masks are stable, and an
    object is present for two in three of the prompts and tracked frames.
    """
    images = normalise(draw_video(8, _PROBE_SIZE, _PROBE_SIZE))
    features: dict = {}
    head = reference.sam_mask_decoder.pred_obj_score_head.layers[-1]
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    _balance_stability(reference, _single_masks(reference, images[:1]))
    prompted = torch.cat(seen)
    for _ in range(3):  # memories depend on which objects are present
        seen.clear()
        _track(reference, images, features, disc_centre(0))
        tracked = torch.cat(seen[1:])
        # Remove the direction between prompted and tracked frames from the score.
        axis = prompted.mean(0) - tracked.mean(0)
        head.weight.sub_((head.weight @ axis) / (axis @ axis) * axis)
        scores = torch.cat([prompted, tracked]) @ head.weight[0]
        gain = 2 / scores.std()
        head.weight.mul_(gain)
        head.bias.copy_(-gain * scores.quantile(0.3))
    hook.remove()


def _single_masks(reference: SAM2VideoPredictor, images: np.ndarray) -> torch.Tensor:
    """Return the single mask for random prompts on one image: logits [n, h, w]."""
    fine, middle, coarse = reference.forward_image(to_torch(images))["backbone_fpn"]
    image = coarse + reference.no_mem_embed.reshape(1, -1, 1, 1)
    decoder, encoder = reference.sam_mask_decoder, reference.sam_prompt_encoder
    source = torch.Generator().manual_seed(0)
    masks = []
    for index in range(20):
        shape = (1, 1 + index % 3, 2)
        points = _PROBE_SIZE * torch.rand(shape, generator=source)
        labels = torch.randint(0, 2, shape[:2], generator=source, dtype=torch.int32)
        sparse, dense = encoder(points=(points, labels), boxes=None, masks=None)
        position = encoder.get_dense_pe()
        logits, *_ = decoder.predict_masks(
            image, position, sparse, dense, False, [fine, middle]
        )
        masks.append(logits[0, 0])
    return torch.stack(masks)


def _balance_stability(reference: SAM2VideoPredictor, masks: torch.Tensor) -> None:
    """Scale the single mask until half of `masks` [n, h, w] are stable."""
    decoder = reference.sam_mask_decoder
    threshold = decoder.dynamic_multimask_stability_thresh
    gains = [2 ** (power / 8) for power in range(-16, 33)]
    medians = [decoder._get_stability_scores(masks * g).median() for g in gains]
    enough = [g for g, m in zip(gains, medians, strict=True) if m >= threshold]
    head = decoder.output_hypernetworks_mlps[0].layers[-1]
    head.weight.mul_(enough[0])
    head.bias.mul_(enough[0])


def _track(
    reference: SAM2VideoPredictor,
    images: np.ndarray,
    features: dict,
    point: tuple[float, float],
) -> None:
    """Click at `point`, in [0, 1], on the first image; track through all images."""
    side = images.shape[1]
    state = open_frames(reference, images, (side, side), features)
    click = [[share * side for share in point]]
    reference.add_new_points_or_box(state, 0, 1, click, [1])
    for _ in reference.propagate_in_video(state):
        pass


def keep_in_view(
    state: Mapping[str, torch.Tensor],
    size: str,
    frames: np.ndarray,
    point: tuple[float, float],
    image_size: int | None = None,
) -> dict[str, torch.Tensor]:
    """Return the state with the object score raised until an object is tracked.

    Otherwise chance decides whether a video compares any mask. The object is clicked at
    `point`, (x, y) in [0, 1], on the first of `frames`, uint8 [t, H, W, 3].
    """
    reference = build_reference(size, image_size)
    reference.load_state_dict(dict(state))
    head = reference.sam_mask_decoder.pred_obj_score_head.layers[-1]
    scores: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda _, __, output: scores.append(output))
    images, features = normalise(model_images(frames, reference.image_size)), {}
    while True:  # memories depend on where the object is in view
        scores.clear()
        with torch.inference_mode():
            _track(reference, images, features, point)
        lacking = _IN_VIEW - float(torch.cat(scores).min())
        if lacking <= 0:
            break
        head.bias.add_(lacking)
    hook.remove()
    return reference.state_dict()


def save_checkpoint(state: dict[str, torch.Tensor], path: str | Path) -> None:
    """Write a state in the format of the official checkpoints."""
    torch.save({"model": state}, path)
