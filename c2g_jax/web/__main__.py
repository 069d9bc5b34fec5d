"""Serve the page: click on a video in the browser, export its scene graph.

    python -m c2g_jax.web --video=clip.mp4

serves it at http://127.0.0.1:8321/, to this machine only. Another --host prints a link
with a token, and answers only who has it. Without --video the page opens the example
video of the package; videos can also be dropped on the page. Sessions are saved after
every action, and restored when the server starts again.
"""

import contextlib
import errno
import fcntl
import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.compiled import processor
from c2g_jax.cli.interrupts import interruptible_imports
from c2g_jax.cli.launch import CHECKPOINT, FPS, HEADS, PRIOR, VIDEO
from c2g_jax.cli.paths import PATH, user_cache
from c2g_jax.media.frames import MAX_FPS
from c2g_jax.media.outputs import check_output
from c2g_jax.types import InputError

EXAMPLE = Path(__file__).resolve().parent.parent / "example" / "example.mp4"

flags.declare_key_flag("video")
flags.declare_key_flag("checkpoint")
flags.declare_key_flag("fps")
flags.declare_key_flag("heads")
flags.declare_key_flag("prior_file")
flags.declare_key_flag("dtype")
flags.declare_key_flag("compilation_cache")
HOST = flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "Address to serve at; 0.0.0.0: all of this machine. Other than a loopback address "
    "it asks for the token of the link that is printed.",
)
PORT = flags.DEFINE_integer("port", 8321, "Port of --host; 0: any free port.")
STATE = flags.DEFINE(
    PATH,
    "state",
    None,
    "Folder for files that can be made again. Default: the user's cache folder; with "
    "--projects, .state in it.",
)
PROJECTS = flags.DEFINE(
    PATH,
    "projects",
    os.path.join("~", "Click2Graph"),
    "Folder of what you work on; nothing in it is deleted by age.",
)
MAX_SESSIONS = flags.DEFINE_integer(
    "max_sessions", 32, "Largest number of sessions that nobody worked on."
)
SESSION_HOURS = flags.DEFINE_float(
    "session_hours",
    1.0,
    "Delete a session that nobody worked on this many hours after its last use.",
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
    prior = None if PRIOR.value is None else prior_for(checkpoint)
    check_output(settings.projects, "projects")  # before another folder is made
    locks = [
        locked_folder(settings.state, "state"),
        locked_folder(settings.projects, "projects", ".lock"),
    ]
    if settings.projects in settings.state.parents:
        locks.reverse()  # the outer one says what to name
    with listen(HOST.value, PORT.value) as listener, locks[0], locks[1]:
        serve(settings, checkpoint, listener, prior)


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
    if not 0 < FPS.value <= MAX_FPS:
        raise InputError(
            f"--fps is {FPS.value:g}: give a number above 0, up to {MAX_FPS}"
        )
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
    projects = Path(os.path.expanduser(PROJECTS.value)).resolve()
    # Two servers with projects of their own need not be told of --state as well.
    own = PROJECTS.value != PROJECTS.default
    state = STATE.value or (projects / ".state" if own else user_cache())
    settings = Settings(
        state=Path(state).resolve(),
        video=video,
        fps=FPS.value if FPS.present else None,
        projects=projects,
        max_sessions=MAX_SESSIONS.value,
        hours=SESSION_HOURS.value,
        limits=Limits(bytes=MAX_UPLOAD_MB.value << 20, frames=MAX_UPLOAD_FRAMES.value),
    )
    return settings, checkpoint


def prior_for(checkpoint: Path | None):
    """Return the prior of --prior_file; InputError if it knows no name of the model.

    Of a prior of another vocabulary only the names that both have are ranked, and the
    user is told.
    """
    from c2g_jax.checkpoints.heads import vocabulary_in_use
    from c2g_jax.checkpoints.released.cache import report_on_stderr
    from c2g_jax.click2graph.prior import difference, read_prior
    from c2g_jax.session.ranking import check_prior

    prior = read_prior(PRIOR.value)
    vocabulary = vocabulary_in_use(checkpoint, HEADS.value)
    try:
        check_prior(prior, vocabulary)
    except InputError as error:
        raise InputError(f"--prior_file={PRIOR.value}: {error}") from None
    if prior.vocabulary != vocabulary:
        first = difference(prior.vocabulary, vocabulary)
        report_on_stderr(
            f"{PRIOR.value} has another vocabulary than the model ({first}): only "
            "names that both have are ranked"
        )
    return prior


@contextlib.contextmanager
def locked_folder(folder: Path, flag: str, name: str = "lock") -> Iterator[None]:
    """Make the folder if needed, and lock it for this server.

    InputError if it cannot be made, or another server uses it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(
            f"--{flag}={folder} cannot be made: {error.strerror}: name another folder"
        ) from None
    with open(folder / name, "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another server uses {folder}: use that server, or name another "
                f"folder with --{flag}"
            ) from None
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a socket on an address of this machine; InputError if it cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, *_, address = found[0]
    except (OSError, UnicodeError):
        raise InputError(
            f"--host={host}: no such address: give 127.0.0.1, 0.0.0.0 or a name of "
            "this machine"
        ) from None
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)  # connections wait until the server has started
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(
                f"--host={host}: not an address of this machine: give 127.0.0.1, "
                "0.0.0.0 or a name of this machine"
            ) from None
        raise InputError(
            f"--port={port}: {error.strerror}: name another port, or 0 for a free one"
        ) from None
    return listener


def serve(
    settings, checkpoint: Path | None, listener: socket.socket, prior=None
) -> None:
    """Print the address and serve until Ctrl-C."""
    with interruptible_imports():
        from c2g_jax.sam2.config import sam2_config
        from c2g_jax.web.access import access_for, link
        from c2g_jax.web.app import create_app, make_server
        from c2g_jax.web.model_host import ModelHost

        sam2_config("toy", dtype=launch.DTYPE.value or "float32")  # refuses others
        model_host = ModelHost(
            checkpoint,
            # Also shared by servers with projects of their own: compiling takes long.
            cache=Path(STATE.value or user_cache()).resolve()
            / "compiled"
            / processor(),
            heads=None if HEADS.value is None else Path(HEADS.value).resolve(),
            prior=prior,
            dtype=launch.DTYPE.value,
        )
        address, port = listener.getsockname()[:2]
        access = access_for(HOST.value, address)
        app = create_app(model_host, settings, access)
        server = make_server(app)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    with contextlib.suppress(KeyboardInterrupt):  # the normal end
        page = link(access, HOST.value, address, port)
        print(f"{page} (Ctrl-C stops it)", flush=True)
        server.run(sockets=[listener])
    end(app)


def end(app) -> None:
    """Exit at once, but for what a person would lose: that is finished and saved.

    A step of the model, or a compilation, cannot be stopped, and may take minutes. At
    Python's own end XLA would abort the process for a thread that still compiles.
    """
    service = getattr(app.state, "service", None)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C again: do not wait
        if service is not None and service.worker.posted:
            print("saving what was tracked; Ctrl-C stops at once", file=sys.stderr)
            service.worker.finish_posted()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(0)


if __name__ == "__main__":
    run()
