"""Start and end of every command: errors as one line with an exit code.

Also the flags that several commands share.
"""

import contextlib
import errno
import io
import logging
import os
import re
import select
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TextIO

from absl import app, flags

from c2g_jax.cli.interrupts import INTERRUPTED, STOPPED, raise_on_interrupt
from c2g_jax.cli.paths import PATH
from c2g_jax.media.outputs import disk_is_full
from c2g_jax.types import InputError

BAD_INPUT = 2
# 128 + SIGPIPE, as shells report it when the reader of a pipe has exited (`| head`).
# The signal itself stays ignored: it would kill the page's server when a browser
# disconnects, and any command before it could clean up.
NO_READER = 141

# Flags shared by commands, which may all be imported in one process. A command that
# uses one declares it with `flags.declare_key_flag`, so that its --help shows it.
OUTPUT = flags.DEFINE(PATH, "output", None, "Folder for the results, made if missing.")
VIDEO = flags.DEFINE(
    PATH,
    "video",
    None,
    "Video file, folder of frames in natural order, or a single image.",
)
CHECKPOINT = flags.DEFINE(
    PATH,
    "checkpoint",
    None,
    "Folder of a checkpoint; or SAM2.1 as released: a .pt, a .safetensors, a folder of "
    "Hugging Face.",
)
HEADS = flags.DEFINE(
    PATH,
    "heads",
    None,
    "File heads.safetensors of a training, or folder of a whole checkpoint: its DIDM "
    "and SCH are used with the SAM2.1 of --checkpoint.",
)
FPS = flags.DEFINE_float(
    "fps",
    5.0,  # as `media.frames.DEFAULT_FPS`
    "Frames sampled per second, by time stamp; 0: every frame. All frames of a folder "
    "are used, with this as their rate.",
)
PRIOR = flags.DEFINE(
    PATH,
    "prior_file",
    None,
    "A prior.json, as prepare writes it beside the set: names are offered likeliest "
    "first. correct measures where what the user chooses stands in the lists, with it "
    "and without.",
)
DATA_DIR = flags.DEFINE(
    PATH, "data_dir", None, "Folder of prepared data sets: DATA_DIR/NAME."
)
DEFAULT_NAME = "open_pvsg"  # of the data set, without --name
NAME = flags.DEFINE_string(
    "name",
    None,
    "Data set in DATA_DIR. Default: the one of --config, else open_pvsg.",
)
MAX_VIDEOS = flags.DEFINE_integer(
    "max_videos", None, "Use only the first videos of the split, at most this many.", 1
)
MAX_FRAMES = flags.DEFINE_integer("max_frames", None, "Use at most this many frames.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of weights that no checkpoint provides.")
IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Side of the square model input in pixels. Default: the checkpoint's.",
)
DTYPE = flags.DEFINE_string(
    "dtype",
    None,
    "Computation type: float32 or bfloat16. Default: bfloat16 on an NVIDIA GPU from "
    "Ampere on, else float32.",
)
AUTO = flags.DEFINE_bool(
    "auto",
    False,
    "Without any prompt: every object that stays in view is cut out and followed, and "
    "is a subject. SAM2.1 alone gives them no names. evaluate scores all subjects of a "
    "video together, by default beside one click a subject.",
)
DISCOVER_EVERY = flags.DEFINE_integer(
    "discover_every", 1, "Discover new objects on every k-th frame."
)


def compute_dtype() -> str:
    """Return --dtype, by default that of the device."""
    from c2g_jax.sam2.config import default_dtype  # --help does not need JAX

    return DTYPE.value or default_dtype()


def computing() -> str:
    """Return what to add to the line about the weights: the type and the device."""
    from jax.extend import backend

    device = backend.get_default_device().device_kind
    return f"; computes in {compute_dtype()} on {device} (--dtype)"


# How to install the extras for which plain pip does not suffice.
_INSTALL = {
    "port": "run `make setup-test` and use the Python in .venv",
    "tfds-cli": "pip install 'click2graph-jax[tfds-cli]', in an environment of its own",
}
_OURS = ("c2g_jax", "porting", "open_pvsg", "toy_pvsg")
_HELP = ("--help", "-help", "--helpshort", "--helpfull", "-h")
_NUMBERS = {
    r"invalid literal for int\(\)": "a whole number",
    "could not convert string to float": "a number",
}
_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Guard imports of packages that only an extra installs.

    If one is missing, the program ends with one line and exit code 2.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        mend = _INSTALL.get(extra, f"pip install 'click2graph-jax[{extra}]'")
        _stop(f"{error}: it comes with the extra {extra!r}: {mend}", BAD_INPUT)


def run(
    main: Callable[[Sequence[str]], int | None],
    check: Callable[[Sequence[str]], Sequence[str]] | None = None,
    lower: str = "the size of the model or of its image",
) -> None:
    """Run an absl main; does not return.

    check: called with the arguments before the flags are parsed; returns the arguments
    to parse. lower: what the message of an out-of-memory error advises to reduce.

    Exit codes: 2 with one line on stderr for InputError, wrong flags, a full disk, a
    path without access, and out of memory; 130 with one line for Ctrl-C; 141 without a
    line if the reader of the output has exited. Any other exception is a bug and keeps
    its traceback.
    """
    # A file name may contain bytes that are not valid in the terminal's encoding.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        raise_on_interrupt()
        try:
            app.run(
                lambda argv: _quietly(main, argv),
                flags_parser=lambda argv: _parse(main, argv, check),
            )
        except SystemExit as stop:
            # rich exits like this if the reader of its output has exited.
            if isinstance(stop.__context__, BrokenPipeError):
                _exit(NO_READER)
            # Here, since an error in Python's own flush at exit changes no exit code.
            sys.stdout.flush()
            raise
    except InputError as error:
        _stop(error, BAD_INPUT)
    except (OSError, MemoryError, RuntimeError) as error:
        # The broken pipe may also be one to a child process.
        broken = isinstance(error, BrokenPipeError)
        if broken and (_unread(sys.stdout) or _unread(sys.stderr)):
            _exit(NO_READER)
        line = _system_error_line(error, lower)
        if line is None:
            raise
        _stop(line, BAD_INPUT)
    except KeyboardInterrupt:
        _stop(STOPPED, INTERRUPTED)


def _quietly(main: Callable, argv: Sequence[str]) -> int | None:
    """Run the main with other libraries' loggers at WARNING."""
    # absl shows INFO once flags are parsed: TFDS, Orbax and grain log their reads and
    # writes to its logger, and JAX the backends that it could not start.
    for name in ("absl", "jax"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Without the line of source that Python adds.
    warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
    return main(argv)


def _parse(main: Callable, argv: Sequence[str], check: Callable | None) -> list[str]:
    # absl looks for flags in __main__, which a console script leaves empty, and
    # answers --help with exit code 1.
    if any(word in _HELP for word in argv[1:]):
        module = sys.modules[main.__module__]
        print((module.__doc__ or "").strip(), end="\n\n")
        print(flags.FLAGS.module_help(module).strip().partition("\n")[2])
        raise SystemExit(0)
    if check is not None:
        argv = check(argv)
        sys.argv[:] = argv  # there config_flags looks for the fields that are given
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        _stop(_plainly(str(error)), BAD_INPUT)
    _refuse_others(sys.modules[main.__module__])
    if len(rest) > 1:
        _stop(
            f"unexpected argument {rest[1]!r}: write flags as --name=value", BAD_INPUT
        )
    return rest


def _refuse_others(module: ModuleType) -> None:
    """Stop at a flag of this project that the command does not read."""
    own = {flag.name for flag in flags.FLAGS.get_key_flags_for_module(module)}
    for name in flags.FLAGS:
        if not flags.FLAGS[name].present or name in own or "." in name:
            continue
        if flags.FLAGS.find_module_defining_flag(name).startswith("c2g_jax."):
            _stop(
                f"--{name} has no effect in this command: --help lists its flags",
                BAD_INPUT,
            )


def _plainly(line: str) -> str:
    """Replace Python's wording of number errors in a message of absl."""
    for words, mend in _NUMBERS.items():
        line = re.sub(rf"{words}.*", f"give {mend}", line)
    return line


def _system_error_line(error: Exception, lower: str) -> str | None:
    """Return the line for a system error (disk, access, memory); None for others."""
    if isinstance(error, OSError):
        place = error.filename or "the output"
        if disk_is_full(error):
            return f"{place}: {error.strerror}: make room there, or write elsewhere"
        if error.errno in _NO_ACCESS:
            return f"{place}: {error.strerror}: change its permissions, or name another"
        return None
    return f"out of memory: lower {lower}" if out_of_memory(error) else None


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means out of memory, of the host or a device."""
    # JAX raises a RuntimeError that names a status.
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _unread(stream: TextIO) -> bool:
    """Return whether the reader of a stream has exited."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # closed, or replaced by a test
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _stop(reason: object, code: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the exit code is all that is left
        print(" ".join(str(reason).split()), file=sys.stderr)
    _exit(code)


def _exit(code: int) -> None:
    """Exit. Output that cannot be written is discarded, as Python flushes at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, stream.fileno())
            os.close(devnull)
    raise SystemExit(code)
