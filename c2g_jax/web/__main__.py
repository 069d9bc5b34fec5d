"""Serve the page: click on a video in the browser, export its scene graph.

    python -m c2g_jax.web --video=clip.mp4

serves it at http://127.0.0.1:8321/, to this machine only. Without --video the page
opens the example video of the package; videos can also be dropped on the page. Sessions
are saved after every action, and restored when the server starts again.
"""

import contextlib
import fcntl
import importlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.compiled import processor
from c2g_jax.cli.interrupts import interruptible_imports
from c2g_jax.cli.launch import CHECKPOINT, HEADS, VIDEO
from c2g_jax.cli.paths import PATH, user_cache
from c2g_jax.types import InputError

EXAMPLE = Path(__file__).resolve().parent.parent / "example" / "example.mp4"
ADDRESS = "127.0.0.1"

flags.declare_key_flag("video")
flags.declare_key_flag("checkpoint")
flags.declare_key_flag("heads")
flags.declare_key_flag("compilation_cache")
PORT = flags.DEFINE_integer("port", 8321, "Port of 127.0.0.1; 0: any free port.")
STATE = flags.DEFINE(
    PATH,
    "state",
    None,
    "Folder for sessions and uploads. Default: in the user's cache folder.",
)
MAX_SESSIONS = flags.DEFINE_integer("max_sessions", 32, "Largest number of sessions.")
SESSION_HOURS = flags.DEFINE_float(
    "session_hours", 24.0, "Delete a session this many hours after its last use."
)
MAX_UPLOAD_MB = flags.DEFINE_integer("max_upload_mb", 512, "Largest upload, in MiB.")
MAX_UPLOAD_FRAMES = flags.DEFINE_integer(
    "max_upload_frames", 1500, "Longest upload, in frames at 5 per second."
)


def main(argv: Sequence[str]) -> None:
    del argv
    with launch.needing("web"):
        for name in ("fastapi", "uvicorn"):
            importlib.import_module(name)
    settings, checkpoint = read_flags()
    with listen(PORT.value) as listener, locked_folder(settings.state):
        serve(settings, checkpoint, listener)


def run() -> None:
    """The console script."""
    launch.run(main)


def read_flags():
    """Return (settings, checkpoint or None); InputError if a flag is not valid."""
    from c2g_jax.web.service import Settings
    from c2g_jax.web.uploads import Limits

    for flag in (MAX_SESSIONS, SESSION_HOURS, MAX_UPLOAD_MB, MAX_UPLOAD_FRAMES):
        if not flag.value > 0:
            raise InputError(f"--{flag.name} is {flag.value}: give more than 0")
    if not 0 <= PORT.value < 1 << 16:
        raise InputError(f"--port is {PORT.value}: give a number from 0 to 65535")
    video = EXAMPLE if EXAMPLE.is_file() else None
    if VIDEO.value is not None:
        video = Path(VIDEO.value).resolve()
        if not video.exists():
            raise InputError(f"--video={VIDEO.value}: no such file: check the path")
    checkpoint = None
    if CHECKPOINT.value is not None:
        checkpoint = Path(CHECKPOINT.value).absolute()
        if not checkpoint.exists():
            raise InputError(
                f"--checkpoint={CHECKPOINT.value}: no such folder, or file: "
                "name a folder with weights, or SAM2.1 as released"
            )
    if HEADS.value is not None and not Path(HEADS.value).exists():
        raise InputError(
            f"--heads={HEADS.value}: no such file: name a heads.safetensors"
        )
    settings = Settings(
        state=Path(STATE.value or user_cache()).resolve(),
        video=video,
        max_sessions=MAX_SESSIONS.value,
        hours=SESSION_HOURS.value,
        limits=Limits(bytes=MAX_UPLOAD_MB.value << 20, frames=MAX_UPLOAD_FRAMES.value),
    )
    return settings, checkpoint


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make the folder if needed, and lock it for this server.

    InputError if it cannot be made, or another server uses it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(
            f"--state={folder} cannot be made: {error.strerror}: name another folder"
        ) from None
    with open(folder / "lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another server uses {folder}: use that server, or name another "
                "folder with --state"
            ) from None
        yield


def listen(port: int) -> socket.socket:
    """Return a socket on the loopback address; InputError if the port is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)  # connections wait until the server has started
    except OSError as error:
        listener.close()
        raise InputError(
            f"--port={port}: {error.strerror}: name another port, or 0 for a free one"
        ) from None
    return listener


def serve(settings, checkpoint: Path | None, listener: socket.socket) -> None:
    """Print the address and serve until Ctrl-C."""
    with interruptible_imports():
        from c2g_jax.web.app import create_app, make_server
        from c2g_jax.web.model_host import ModelHost

        model_host = ModelHost(
            checkpoint,
            cache=settings.state / "compiled" / processor(),
            heads=None if HEADS.value is None else Path(HEADS.value).resolve(),
        )
        server = make_server(create_app(model_host, settings))
    port = listener.getsockname()[1]
    with contextlib.suppress(KeyboardInterrupt):  # the normal end
        print(f"http://{ADDRESS}:{port}/ (Ctrl-C stops it)", flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    run()
