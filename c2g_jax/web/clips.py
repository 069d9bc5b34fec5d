"""A video stored as a folder of JPEG frames, all written by the server itself.

Whatever the format of the original file, the server reads only these frames.
"""

import dataclasses
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from c2g_jax.media.outputs import write_text
from c2g_jax.types import VideoInfo

FILE = "clip.json"
DISK_FULL = "no space is left on the server's disk: make room there, and try again"


@dataclass(frozen=True)
class Clip(VideoInfo):
    """A video whose frames are FOLDER/000000.jpg and so on."""

    folder: Path

    def frame_file(self, frame: int) -> Path:
        """Return the path of a frame's image."""
        return self.folder / frame_name(frame)

    def to_json(self) -> dict:
        """Return all fields but the folder, which clients must not see."""
        values = dataclasses.asdict(self)
        del values["folder"]
        return values | {"num_frames": self.num_frames}

    def write(self) -> None:
        """Write FILE, after all frames: a folder that has it is complete."""
        write_text(self.folder / FILE, json.dumps(self.to_json()))

    def link_to(self, folder: Path) -> "Clip":
        """Make the same clip in a new folder, by hard links where possible."""
        folder.mkdir(mode=0o700)
        # FILE comes last: it marks the clip as complete.
        for name in [*map(frame_name, range(self.num_frames)), FILE]:
            try:
                os.link(self.folder / name, folder / name)
            except OSError:
                shutil.copyfile(self.folder / name, folder / name)
        return dataclasses.replace(self, folder=folder)


def frame_name(frame: int) -> str:
    """Return the file name of a frame's image within a clip."""
    return f"{frame:06d}.jpg"


def read_clip(folder: Path) -> Clip | None:
    """Read the clip of a folder; None if it is not complete."""
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Clip(
            values["name"],
            values["width"],
            values["height"],
            values["fps"],
            tuple(values["times"]),
            folder,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
