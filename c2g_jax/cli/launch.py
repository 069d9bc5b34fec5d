"""How every main starts and ends: one line and an exit code, never a traceback."""

import contextlib
import errno
import io
import logging
import os
import re
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TextIO

from absl import app, flags

from c2g_jax.cli.interrupts import INTERRUPTED, STOPPED, raise_again
from c2g_jax.media.outputs import disk_is_full
from c2g_jax.types import InputError

BAD_INPUT = 2
# 128 + SIGPIPE, as shells have it of any program whose reader has gone, `head` say. The
# signal itself stays ignored: it would end the page when a browser leaves, and anything
# without a chance to tidy up.
NO_READER = 141

# Flags of several mains, which may all be imported in one process; each that uses one
# declares it as its own with `flags.declare_key_flag`, so that its --help shows it.
OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for what is written, made if it is missing."
)
VIDEO = flags.DEFINE_string(
    "video", None, "Video file, folder of frames in natural order, or a single image."
)
CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "Folder with weights; to porting, a released .pt or .safetensors file as well.",
)
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data sets, where DATA_DIR/NAME is one."
)
DEFAULT_NAME = "open_pvsg"  # of a data set, where no --name is given
NAME = flags.DEFINE_string(
    "name",
    None,
    "Data set in DATA_DIR. Default: open_pvsg, where no --config names another.",
)
MAX_VIDEOS = flags.DEFINE_integer(
    "max_videos", None, "Only so many videos, the first of the split.", 1
)
MAX_FRAMES = flags.DEFINE_integer("max_frames", None, "Stop after so many frames.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of weights that no checkpoint gives.")
IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", None, "Side of the square model image. Default: the checkpoint's own."
)
DTYPE = flags.DEFINE_string("dtype", "float32", "Of the computation, or bfloat16.")
DISCOVER_EVERY = flags.DEFINE_integer(
    "discover_every", 1, "Look for new objects on every k-th frame."
)

# How to install an extra, where pip alone is not the way.
_INSTALLED = {
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
    """For imports of what only this extra installs, at the top of a main or within it.

    Where a package is missing, the program ends with one line and exit code 2.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        mend = _INSTALLED.get(extra, f"pip install 'click2graph-jax[{extra}]'")
        _stop(f"{error}: it comes with the extra {extra!r}: {mend}", BAD_INPUT)


def run(
    main: Callable[[Sequence[str]], int | None],
    check: Callable[[Sequence[str]], Sequence[str]] | None = None,
    lower: str = "the size of the model or of its image",
) -> None:
    """Run an absl main; does not return.

    `check` sees the words before the flags do, and returns them as they are to be read.

    InputError and wrong flags end with their line on stderr and exit code 2, and so do
    a full disk, a place that may not be used, and memory that does not suffice, where
    `lower` says what to take less of; Ctrl-C with one line and 130; output that nobody
    reads any more, without a word and 141; any other error is ours and keeps its
    traceback.
    """
    # A name of a file may hold what no terminal can show.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        raise_again()
        try:
            app.run(
                lambda argv: _quietly(main, argv),
                flags_parser=lambda argv: _parse(main, argv, check),
            )
        except SystemExit as stop:
            # This is how rich ends a program that prints a table to nobody.
            if isinstance(stop.__context__, BrokenPipeError):
                _leave(NO_READER)
            sys.stdout.flush()  # at the end of Python it is too late for an exit code
            raise
    except InputError as error:
        _stop(error, BAD_INPUT)
    except (OSError, MemoryError, RuntimeError) as error:
        # Another pipe may break as well, to a process of ours.
        printed = isinstance(error, BrokenPipeError)
        if printed and (_unread(sys.stdout) or _unread(sys.stderr)):
            _leave(NO_READER)
        mend = _mend(error, lower)
        if mend is None:
            raise
        _stop(mend, BAD_INPUT)
    except KeyboardInterrupt:
        _stop(STOPPED, INTERRUPTED)


def _quietly(main: Callable, argv: Sequence[str]) -> int | None:
    """The main, told of no more than warnings by others' code; ours may say more."""
    # absl shows INFO, from when it has read the flags on. TFDS, Orbax and grain tell by
    # its logger what they read and write, JAX which backends it tried in vain.
    for name in ("absl", "jax"):
        logging.getLogger(name).setLevel(logging.WARNING)
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
    """Stop at a flag of ours that this main does not read: it would change nothing."""
    own = {flag.name for flag in flags.FLAGS.get_key_flags_for_module(module)}
    for name in flags.FLAGS:
        if not flags.FLAGS[name].present or name in own or "." in name:
            continue
        if flags.FLAGS.find_module_defining_flag(name).startswith("c2g_jax."):
            _stop(f"--{name} means nothing here: --help lists what does", BAD_INPUT)


def _plainly(line: str) -> str:
    """What absl says of a flag, in words of this program rather than of Python."""
    for words, mend in _NUMBERS.items():
        line = re.sub(rf"{words}.*", f"give {mend}", line)
    return line


def _mend(error: Exception, lower: str) -> str | None:
    """What to do about an error of the machine; None where it is not one."""
    if isinstance(error, OSError):
        place = error.filename or "the place to write to"
        if disk_is_full(error):
            return f"{place}: {error.strerror}: make room there, or write elsewhere"
        if error.errno in _NO_ACCESS:
            return f"{place}: {error.strerror}: change its rights, or name another"
        return None
    return f"out of memory: lower {lower}" if out_of_memory(error) else None


def out_of_memory(error: Exception) -> bool:
    """Whether memory did not suffice: the host's, or that of a device."""
    # JAX gives a RuntimeError with the name of a status.
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _unread(stream: TextIO) -> bool:
    """Whether whoever read what is printed there has gone."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # closed, or in the hands of a test
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _stop(reason: object, code: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # then the exit code alone tells
        print(" ".join(str(reason).split()), file=sys.stderr)
    _leave(code)


def _leave(code: int) -> None:
    """End; what can be printed no more goes nowhere: Python tries again as it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    raise SystemExit(code)
