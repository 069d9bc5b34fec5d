"""Serve the page: click on a video in the browser, take its scene graph away.

    python -m c2g_jax.web --video=clip.mp4

opens it at http://127.0.0.1:8321/, to this machine alone. Without --video the page
shows the example that ships, and takes videos that are dropped on it. Sessions are
saved after every action, and are there again when the server is.
"""

import contextlib
import fcntl
import importlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.compiled import processor, user_cache
from c2g_jax.cli.interrupts import loading
from c2g_jax.cli.launch import CHECKPOINT, VIDEO
from c2g_jax.types import InputError

# One small clip ships with the package, so that the page is never empty.
EXAMPLE = Path(__file__).resolve().parent.parent / "example" / "example.mp4"
ADDRESS = "127.0.0.1"

flags.declare_key_flag("video")
flags.declare_key_flag("checkpoint")
flags.declare_key_flag("compilation_cache")
PORT = flags.DEFINE_integer("port", 8321, "Port of 127.0.0.1; 0 takes a free one.")
STATE = flags.DEFINE_string(
    "state", None, "Folder for sessions and uploads. Default: in the user's cache."
)
MAX_SESSIONS = flags.DEFINE_integer("max_sessions", 32, "Sessions kept at once.")
SESSION_HOURS = flags.DEFINE_float(
    "session_hours", 24.0, "Hours after its last use that a session is deleted."
)
MAX_UPLOAD_MB = flags.DEFINE_integer("max_upload_mb", 512, "Largest upload, in MiB.")
MAX_UPLOAD_FRAMES = flags.DEFINE_integer(
    "max_upload_frames", 1500, "Longest upload, in frames of which 5 make a second."
)


def main(argv: Sequence[str]) -> None:
    del argv
    with launch.needing("web"):
        for name in ("fastapi", "uvicorn"):
            importlib.import_module(name)
    settings, checkpoint = read_flags()
    with listen(PORT.value) as listener, held_alone(settings.state):
        serve(settings, checkpoint, listener)


def run() -> None:
    """The console script."""
    launch.run(main)


def read_flags():
    """(settings, checkpoint or None); InputError for what cannot be served."""
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
        checkpoint = Path(CHECKPOINT.value).resolve()
        if not checkpoint.is_dir():
            raise InputError(
                f"--checkpoint={CHECKPOINT.value}: no such folder: name a folder of "
                "weights"
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
def held_alone(folder: Path) -> Iterator[None]:
    """Keep a folder for this server's sessions, and make it where it is not there.

    InputError where that cannot be, or another server has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(
            f"--state={folder} cannot be made: {error.strerror}: name another"
        ) from None
    with open(folder / "lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another server keeps its sessions in {folder}: use that one, or name "
                "another folder by --state"
            ) from None
        yield


def listen(port: int) -> socket.socket:
    """A socket of this machine alone; InputError where the port is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)  # who comes before all is loaded waits a moment
    except OSError as error:
        listener.close()
        raise InputError(
            f"--port={port}: {error.strerror}: name another, or 0 for a free one"
        ) from None
    return listener


def serve(settings, checkpoint: Path | None, listener: socket.socket) -> None:
    """Say where, and answer until Ctrl-C."""
    with loading():
        port = listener.getsockname()[1]
        print(f"http://{ADDRESS}:{port}/ (Ctrl-C stops it)", flush=True)
        from c2g_jax.web.app import create_app, make_server
        from c2g_jax.web.model_host import ModelHost

        model_host = ModelHost(
            checkpoint, cache=settings.state / "compiled" / processor()
        )
        server = make_server(create_app(model_host, settings))
    with contextlib.suppress(KeyboardInterrupt):  # the way it ends
        server.run(sockets=[listener])


if __name__ == "__main__":
    run()
