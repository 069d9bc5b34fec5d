"""Implementations of SAM2.1 to compare: each encodes a frame and tracks n objects.

A clip (porting.pair.Clip) repeats one frame, and each implementation encodes it once,
so that tracking is timed without the image encoder. PyTorch computes where JAX does, on
a GPU under autocast to the given type, as its users do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import jax
import numpy as np

from c2g_jax.media.images import resize_frame
from c2g_jax.sam2.model import Sam2, for_inference
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from c2g_jax.sam2.track import encode_frame
from c2g_jax.types import InputError

PEERS = ("sam2", "sam2-compiled", "transformers")


@dataclass(frozen=True)
class Implementation:
    """`encode()` encodes a frame; `track(n)` yields n masks per frame."""

    encode: Callable[[], object]
    track: Callable[[int], Iterator]


def clicks(objects: int, size: tuple[int, int]) -> list[list[float]]:
    """Return a click (x, y) per object on the horizontal midline; size is (h, w)."""
    height, width = size
    return [[width * (i + 1) / (objects + 1), height / 2] for i in range(objects)]


def ours(model: Sam2, frames: np.ndarray) -> Implementation:
    """Return our implementation. frames: uint8 [t, h, w, 3], all equal."""
    square = resize_frame(frames[0], model.config.image_size)
    if model.config.fused:
        model = for_inference(model)

    def track(objects: int) -> Iterator:
        predictor = Sam2VideoPredictor(model, fill_hole_area=0)
        features = encode_frame(model, square)
        predictor.tracker.features = lambda *_: features
        state = predictor.init_state(frames)
        _click(predictor, state, objects, frames.shape[1:3])
        for result in predictor.propagate_in_video(state):
            yield jax.block_until_ready(result.masks)

    return Implementation(lambda: encode_frame(model, square), track)


def peer(name: str, clip, dtype: str = "float32") -> Implementation:
    """Return one of PEERS with the weights of the clip's pair.

    `dtype` is that of autocast on a GPU; on a CPU PyTorch computes in float32.
    Raises InputError for a GPU that PyTorch cannot use.
    """
    if name == "transformers":
        return _transformers(clip)
    return _sam2(clip, name == "sam2-compiled", dtype)


def torch_device() -> str:
    """Return "cuda" if JAX computes on a GPU, else "cpu".

    Raises InputError if PyTorch cannot use that GPU.
    """
    import torch

    if jax.default_backend() == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise InputError("PyTorch finds no GPU: install its build for CUDA")
    return "cuda"


def _click(predictor, state, objects: int, size: tuple[int, int]) -> None:
    for obj_id, point in enumerate(clicks(objects, size)):
        predictor.add_new_points_or_box(
            state, 0, obj_id, points=np.float32([point]), labels=np.int32([1])
        )


def _sam2(clip, compiled: bool, dtype: str) -> Implementation:
    import torch

    from porting.reference import to_torch

    if compiled:
        clip = _compiled(clip)
    device = torch_device()
    half = device == "cuda" and dtype == "bfloat16"
    reference = clip.pair.reference.to(device)
    image = to_torch(clip.images[:1]).to(device)

    def autocast():
        return torch.autocast(device, torch.bfloat16, enabled=half)

    def finish():
        if device == "cuda":
            torch.cuda.synchronize()

    @torch.inference_mode()
    def encode():
        with autocast():
            reference.forward_image(image)
        finish()

    def track(objects: int) -> Iterator:
        with autocast():
            clip.reference_levels(0)
        known = clip.reference_features
        known.update(dict.fromkeys(range(len(clip.frames)), known[0]))
        state = clip.open_reference()
        with autocast():
            _click(reference, state, objects, clip.size)
        frames = reference.propagate_in_video(state)
        while True:
            # Not around the yield: autocast would stay on between frames.
            with autocast():
                result = next(frames, None)
            if result is None:
                return
            finish()
            yield result[2]

    return Implementation(encode, track)


def _compiled(clip):
    """Return the clip with a compiled copy of the reference.

    The compiled parts are those of the package's own option (SAM2VideoPredictorVOS in
    sam2_video_predictor.py), but in torch's default mode: the kernel search of its
    max-autotune mode takes hours.
    """
    import torch

    from porting.pair import Clip
    from porting.reference import build_reference

    config = clip.pair.config
    reference = build_reference(config.size, config.image_size)
    reference.load_state_dict(clip.pair.reference.state_dict())
    for name, dynamic in (
        ("image_encoder", False),
        ("memory_attention", True),
        ("memory_encoder", False),
        ("sam_mask_decoder", False),
    ):
        part = getattr(reference, name)
        part.forward = torch.compile(part.forward, dynamic=dynamic)
    return Clip(replace(clip.pair, reference=reference), clip.frames)


def _transformers(clip) -> Implementation:
    import torch

    from porting.reference import to_torch
    from porting.transformers_reference import build_transformers, open_session

    if torch_device() != "cpu":
        raise InputError("transformers is compared on a CPU only: leave it out")
    config, state = clip.pair.config, clip.pair.reference.state_dict()
    model = build_transformers(config.size, state, config.image_size)
    image = to_torch(clip.images[:1])

    @torch.inference_mode()
    def encode():
        return model.get_image_features(image, return_dict=True)

    @torch.inference_mode()
    def track(objects: int) -> Iterator:
        count = len(clip.frames)
        points = clicks(objects, (config.image_size, config.image_size))
        prompts = {obj_id: ([point], [1]) for obj_id, point in enumerate(points)}
        session = open_session(
            model, image.expand(count, -1, -1, -1), clip.size, prompts
        )
        seen = encode()
        features = {
            "vision_feats": seen.fpn_hidden_states,
            "vision_pos_embeds": seen.fpn_position_encoding,
        }
        session.cache.get_vision_features = lambda _: features
        for frame in range(count):
            yield model(session, frame_idx=frame).pred_masks

    return Implementation(encode, track)
