"""A prepared video as a stream of frames, for what follows videos."""

from collections.abc import Iterator

from c2g_jax.data.dataset import CHUNK, Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.media.frames import Video
from c2g_jax.types import Frame


def open_prepared(dataset: Dataset, video: VideoRecord) -> Video:
    """The frames of a video at its own size, a chunk of them decoded at a time."""
    fps, count = video.fps, video.num_frames

    def frames(first: int) -> Iterator[Frame]:
        for start in range(first - first % CHUNK, count, CHUNK):
            rgb, _ = dataset.read(video, start, min(start + CHUNK, count))
            for t in range(max(first, start), start + len(rgb)):
                yield Frame(t, t / fps, rgb[t - start])

    times = [t / fps for t in range(count)]
    size = video.width, video.height
    return Video(f"{video.video_id}.mp4", size, fps, count, frames, times)
