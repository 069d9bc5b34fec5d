"""Drawn videos to compare both implementations on."""

import numpy as np
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def draw_video(
    num_frames: int,
    height: int,
    width: int,
    seed: int = 0,
    hidden: range = range(4, 7),
) -> np.ndarray:
    """Draw a striped disc on a smooth background, uint8 [t, height, width, 3].

    The disc moves from left to right. It is missing on frames in `hidden`, which also
    have a different background.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    ground = np.zeros((height, width, 3), np.float32)
    for _ in range(6):
        u, v, phase = *rng.uniform(0, 4, 2), rng.uniform(0, 2 * np.pi)
        wave = np.sin(2 * np.pi * (u * x + v * y) + phase)
        ground += wave[..., None] * rng.normal(size=3).astype(np.float32)
    frames = []
    for t in range(num_frames):
        frame = 0.7 * ground + 0.15 * rng.normal(size=ground.shape)
        if t in hidden:
            frame = 0.5 * frame + 0.5 * (y > 0.5)[..., None]
        else:
            centre_x, centre_y = disc_centre(t)
            disc = (x - centre_x) ** 2 + (y - centre_y) ** 2 < 0.15**2
            stripes = 2 * np.sign(np.sin(40 * x + t))[..., None] * [1, -0.5, 0.3]
            frame = np.where(disc[..., None], stripes, frame)
        frames.append(np.clip((frame * STD + MEAN) * 255, 0, 255))
    return np.round(np.stack(frames)).astype(np.uint8)


def disc_centre(frame: int) -> tuple[float, float]:
    """Return the centre of the disc on a frame: (x, y) in [0, 1]."""
    return 0.3 + 0.04 * frame, 0.5


def model_images(frames: np.ndarray, side: int) -> np.ndarray:
    """Resize uint8 [t, H, W, 3] to [t, S, S, 3], by PIL's bicubic as the reference."""
    resized = [Image.fromarray(frame).resize((side, side)) for frame in frames]
    return np.stack([np.asarray(image) for image in resized])


def normalise(frames: np.ndarray) -> np.ndarray:
    """Normalise uint8 [t, S, S, 3] for the image encoders: float32."""
    return (frames.astype(np.float32) / np.float32(255) - MEAN) / STD
