"""A video as the page keeps it: a folder of JPEG frames that we wrote ourselves.

The server reads nothing but these, whatever the file looked like that they come from.
"""

import dataclasses
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from c2g_jax.media.outputs import write_aside

FILE = "clip.json"
DISK_FULL = "no space is left on the server's disk: make room there, and try again"


@dataclass(frozen=True)
class Clip:
    """folder holds 000000.jpg and on; times are seconds, fps None for one image."""

    folder: Path
    name: str
    width: int
    height: int
    fps: float | None
    times: tuple[float, ...]

    @property
    def num_frames(self) -> int:
        return len(self.times)

    def frame_file(self, frame: int) -> Path:
        """Where the picture of a frame lies."""
        return self.folder / frame_name(frame)

    def to_json(self) -> dict:
        """What a page may know of the clip: all but where it lies."""
        values = dataclasses.asdict(self)
        del values["folder"]
        return values | {"num_frames": self.num_frames}

    def write(self) -> None:
        """Write what is not in the frames, last of all: with it the clip is whole."""
        text = json.dumps(self.to_json())
        write_aside(
            self.folder / FILE, lambda aside: aside.write_text(text, encoding="utf-8")
        )

    def link_to(self, folder: Path) -> "Clip":
        """The same clip in another folder, without a copy where the disk allows."""

        folder.mkdir(mode=0o700)
        # What makes the clip whole comes last.
        for name in [*map(frame_name, range(self.num_frames)), FILE]:
            try:
                os.link(self.folder / name, folder / name)
            except OSError:
                shutil.copyfile(self.folder / name, folder / name)
        return dataclasses.replace(self, folder=folder)


def frame_name(frame: int) -> str:
    """The name of a frame's picture within a clip."""
    return f"{frame:06d}.jpg"


def read_clip(folder: Path) -> Clip | None:
    """The clip in a folder, None where it was never finished."""
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Clip(
            folder,
            values["name"],
            values["width"],
            values["height"],
            values["fps"],
            tuple(values["times"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
