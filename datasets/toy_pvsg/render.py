"""Render frames and masks of a film from the same outlines."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .film import SUPERSAMPLING, Film


class Renderer:
    """Renders the frames of one film."""

    def __init__(self, film: Film):
        self.film = film
        self.fine = SUPERSAMPLING * film.scale  # supersampled pixels per world unit
        self.first = len(film.stuff) + 1  # object_id of the first thing
        self._noise = None
        self._shade = None

    def frame(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Return picture uint8 [H, W, 3] and object_ids uint8 [H, W] of frame t."""
        shapes = self._shapes(t)
        return self._picture(t, shapes), self._segments(t, shapes)

    def segments(self, t: int) -> np.ndarray:
        """Return the object_ids of frame t only, uint8 [H, W]."""
        return self._segments(t, self._shapes(t))

    def _shapes(self, t: int) -> list:
        """Return (index of thing, paint, corners [n, 2]), back to front.

        Corners are in supersampled pixels.
        """
        matrix = self.film.camera.matrix(t) * self.fine
        parts = self.film.frames[t]
        sizes = [len(part.points) for _, part in parts]
        points = np.concatenate([part.points for _, part in parts])
        placed = np.rint(points @ matrix[:, :2].T + matrix[:, 2]).astype(int)
        corners = np.split(placed, np.cumsum(sizes)[:-1])
        return [(i, p.paint, c) for (i, p), c in zip(parts, corners, strict=True)]

    def _warp(self, t: int, source: Image.Image, resampling) -> Image.Image:
        """Return a background image in the camera's view, at supersampled size."""
        film = self.film
        back = film.background
        matrix = np.vstack([film.camera.matrix(t), (0, 0, 1)])
        view = np.diag([1 / film.scale, 1 / film.scale, 1.0])  # pixels to view units
        to_source = np.array(
            [
                [back.scale, 0, -back.origin[0] * back.scale],
                [0, back.scale, -back.origin[1] * back.scale],
                [0, 0, 1],
            ]
        )
        inverse = np.round(to_source @ np.linalg.inv(matrix) @ view, 7)
        data = tuple(inverse[:2].ravel().tolist())
        warped = source.transform(
            (film.width, film.height), Image.Transform.AFFINE, data, resampling
        )
        size = (SUPERSAMPLING * film.width, SUPERSAMPLING * film.height)
        return warped.resize(size, Image.Resampling.NEAREST)

    def _segments(self, t: int, shapes: list) -> np.ndarray:
        film = self.film
        nearest = Image.Resampling.NEAREST
        ids = self._warp(t, film.background.regions, nearest)
        draw = ImageDraw.Draw(ids)
        for i, _, corners in shapes:
            draw.polygon(corners.ravel().tolist(), fill=self.first + i)
        return np.asarray(ids)[::SUPERSAMPLING, ::SUPERSAMPLING].copy()

    def _picture(self, t: int, shapes: list) -> np.ndarray:
        film = self.film
        resampling = Image.Resampling.BILINEAR
        canvas = self._warp(t, film.background.picture, resampling)
        self._shadows(t, canvas)
        draw = ImageDraw.Draw(canvas)
        edge = max(1, round(self.fine * 0.55))
        for i, paint, corners in shapes:
            low, high = corners.min(0), corners.max(0) + 1
            if (high <= 0).any() or low[0] >= canvas.width or low[1] >= canvas.height:
                continue
            mask = Image.new("L", tuple((high - low).tolist()), 0)
            local = (corners - low).ravel().tolist()
            ImageDraw.Draw(mask).polygon(local, fill=255)
            surface, outline = self._surface(i, paint, mask.size)
            canvas.paste(surface, tuple(low.tolist()), mask)
            around = corners.ravel().tolist() + corners[0].tolist()
            draw.line(around, fill=outline, width=edge)
        picture = canvas.reduce(SUPERSAMPLING)
        if film.light.blur:
            blur = ImageFilter.GaussianBlur(film.light.blur * film.scale)
            picture = picture.filter(blur)
        return self._add_light_and_noise(t, picture)

    def _surface(self, i: int, paint: str, size: tuple[int, int]):
        """Return the tile of a paint, repeated to `size`, and its edge colour."""
        tiles = self.film.paints[i]
        tile = tiles[paint]
        while tile.width < size[0] or tile.height < size[1]:
            wide = Image.new("RGB", (2 * tile.width, 2 * tile.height))
            for x in (0, tile.width):
                for y in (0, tile.height):
                    wide.paste(tile, (x, y))
            tile = tiles[paint] = wide
        if ("edge", paint) not in tiles:
            mean = np.asarray(tile).mean((0, 1))
            tiles["edge", paint] = tuple(int(0.55 * v) for v in mean)
        return tile.crop((0, 0, *size)), tiles["edge", paint]

    def _shadows(self, t: int, canvas: Image.Image) -> None:
        matrix = self.film.camera.matrix(t) * self.fine
        for x, y, half in self.film.shadows[t]:
            cx, cy = matrix[:, :2] @ (x, y) + matrix[:, 2]
            w, h = (
                round(1.15 * half * self.fine),
                round(0.2 * half * self.fine + self.fine),
            )
            mask = Image.new("L", (2 * w, 2 * h), 0)
            ImageDraw.Draw(mask).ellipse((0, 0, 2 * w - 1, 2 * h - 1), fill=80)
            canvas.paste((20, 20, 24), (round(cx) - w, round(cy) - h), mask)

    def _add_light_and_noise(self, t: int, picture: Image.Image) -> np.ndarray:
        """Apply brightness and noise; return uint8 [H, W, 3]."""
        light = self.film.light
        h, w = self.film.height, self.film.width
        if self._noise is None:
            rng = np.random.default_rng([light.seed, 1])
            grain = rng.standard_normal((h + 64, w + 64, 3), dtype=np.float32)
            self._noise = grain * np.float32(light.grain)
            x = np.linspace(-1, 1, w)[None, :, None] * light.slope[0]
            y = np.linspace(-1, 1, h)[:, None, None] * light.slope[1]
            self._shade = ((1 + x + y) * light.tint).astype(np.float32)
        dx, dy = np.random.default_rng([light.seed, 2, t]).integers(64, size=2)
        values = np.asarray(picture) * (self._shade * np.float32(light.gain[t]))
        values += self._noise[dy : dy + h, dx : dx + w]
        return np.clip(values, 0, 255).astype(np.uint8)
