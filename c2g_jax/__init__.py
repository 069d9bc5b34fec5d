"""Click2Graph in JAX: a click on a video becomes a scene graph.

    session = c2g_jax.open("clip.mp4")
    session.click(frame=0, x=310, y=220)
    for update in session.track():
        print(update.frame, update.view.relations)
    session.save_graph("scene_graph.json")

The functions import their modules when called, so that this package alone does not
start JAX.
"""

import sys
from pathlib import Path
from typing import Any

from c2g_jax.cli import interrupts

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:  # `python -m` is still resolving the module to run
    interrupts.exit_on_interrupt()


def open(video: Any, checkpoint: str | Path | None = None, **options: Any) -> Any:
    """Open an interactive `Session` on a video file, folder of frames, image or arrays.

    Options: those of `c2g_jax.session.open_video`.
    """
    from c2g_jax.session import open_video

    return open_video(video, checkpoint, **options)


def export_sessions(sessions: Any, folder: str | Path, **options: Any) -> None:
    """Write sessions as one folder in OpenPVSG's layout, for `c2g_jax.prepare`.

    Options: those of `c2g_jax.session.export_sessions`.
    """
    from c2g_jax.session import export_sessions

    export_sessions(sessions, folder, **options)


def open_session(path: str | Path, video: Any = None, **options: Any) -> Any:
    """Open a `Session` from a file that `Session.save` wrote."""
    from c2g_jax.session import open_session

    return open_session(path, video, **options)
