"""The session file: a zip of JSON and arrays from which a session continues exactly.

Besides the current state it holds the states of undo and redo, and the logits that
tracking needs to continue: those of prompted frames and around the ends of tracked
ranges. All logits would make it a hundred times larger: where a pass begins or a
correction is made inside a tracked range, those of its frames are made from the masks.
"""

import dataclasses
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax import __version__
from c2g_jax.click2graph.geometry import MOMENTS
from c2g_jax.media.outputs import write_atomic
from c2g_jax.media.video import Video
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.memory import RECENT
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.fingerprint import Fingerprint, differ, from_json, to_json
from c2g_jax.session.history import Step
from c2g_jax.session.session_graph import Source
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import Observation
from c2g_jax.session.state_rows import StateRows, read_states
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.types import InputError

VERSION = 2  # 1: without what a person draws, merges and accepts
_READABLE = (1, VERSION)
_STRIDE = 4  # pixels of the model's image to one of the logits
_DOCUMENT = "session.json"
_ARRAYS = ("features", "pointers", "logits", "logits_of")
_MOMENTS = "moments"  # not in older files, whose masks tell, in finer pixels
_VIDEO = dict(name=str, width=int, height=int, num_frames=int)
_SOURCE = dict.fromkeys(("path", "checkpoint", "sha256"), (str, type(None)))
_HEADS = ("heads", "heads_sha256")  # of the source, from version 0.1.0 on
_NUMBER = (int, float, type(None))
_OPTIONS = {  # of `open_video`
    **dict.fromkeys(("fps", "start", "end", "max_frames", "image_size"), _NUMBER),
    "dtype": str,
    "discover_every": int,
}
_DAMAGED = (  # raised by zipfile, numpy and `read_states` for a damaged file
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ArithmeticError,
    AttributeError,
    LookupError,
    ValueError,
    TypeError,
)


@dataclasses.dataclass(frozen=True)
class SavedSession:
    """The contents of a session file.

    video: name, width, height and num_frames. fingerprint: of the video, empty in files
    of older versions. size: of the model, None in files of older versions. width: of
    features and pointers. side: of logits. now: the state; done and undone: (name of
    an action, state to go back to). logits: of observations that tracking may go on
    from, as far as a file holds them. suggests: what the model finds is suggested.
    """

    path: Path
    video: Mapping[str, Any]
    fingerprint: Fingerprint
    source: Source
    spans: SpanConfig
    adapt: AdaptConfig
    size: str | None
    width: int
    side: int
    now: SessionState
    done: Sequence[Step]
    undone: Sequence[Step]
    logits: Sequence[tuple[Observation, np.ndarray]] = ()
    suggests: bool = False

    def check(
        self,
        video: Video,
        fingerprint: Fingerprint,
        source: Source,
        model: Sam2Config,
    ) -> None:
        """Raise InputError unless it was saved on this video and with this model."""
        saved = self.video
        wanted = (saved["width"], saved["height"], saved["num_frames"])
        if (video.width, video.height, video.num_frames) != wanted:
            raise InputError(
                f"{self.path} is of {saved['name']}, {wanted[0]}x{wanted[1]} with "
                f"{wanted[2]} frames, but {video.name} is {video.width}x{video.height} "
                f"with {video.num_frames}: give the video of the session"
            )
        if differ(self.fingerprint, fingerprint):
            raise InputError(
                f"{self.path} is of {saved['name']}, but the frames of {video.name} "
                "look different: give the video of the session"
            )
        known, sha256 = self.source.sha256, source.sha256
        if None not in (known, sha256) and known != sha256:
            raise InputError(
                f"{self.path} was made with other weights (sha256 {known[:12]}, not "
                f"{sha256[:12]}): give the checkpoint of the session"
            )
        was, now = self.source.heads_sha256, source.heads_sha256
        if sha256 is not None and was != now:
            raise InputError(
                f"{self.path} was made with {_heads(was)}, not {_heads(now)}: give the "
                "heads of the session"
            )
        shapes = (
            ("size", self.size or model.size, model.size),
            ("image_size", _STRIDE * self.side, _STRIDE * model.low_res_size),
            ("d_model", self.width or model.d_model, model.d_model),
        )
        for name, was, now in shapes:
            if was != now:
                raise InputError(
                    f"{self.path} was made by a model of {name} {was}, but this one "
                    f"has {now}: open it with {name} {was}, or open the video again"
                )


def write_session(
    session: SavedSession, logits_of: Callable[[Observation], np.ndarray | None]
) -> None:
    """Write a session file beside `session.path`, then rename it.

    logits_of: returns the logits of an observation, None if they are not held.
    """
    tables = StateRows()
    history = {
        "now": tables.state(session.now),
        "done": [[what, tables.state(state)] for what, state in session.done],
        "undone": [[what, tables.state(state)] for what, state in session.undone],
    }
    document = {
        "version": VERSION,
        "program": f"click2graph-jax {__version__}",
        "source": dataclasses.asdict(session.source),
        "video": {**session.video, "likeness": to_json(session.fingerprint)},
        "model": {"size": session.size},
        "spans": dataclasses.asdict(session.spans),
        "adapt": dataclasses.asdict(session.adapt),
        "suggests": session.suggests,
        "history": history,
        "rows": tables.rows,
    }
    found = tables.observations
    wanted = _resumable(session.now, found)
    held = [(k, logits_of(o)) for k, o in enumerate(found) if o in wanted]
    held = [(k, logits) for k, logits in held if logits is not None]
    arrays = {
        "features": _stack([o.feature for o in found], (session.width,)),
        "pointers": _stack([o.pointer for o in found], (session.width,)),
        _MOMENTS: _stack([o.moments for o in found], (MOMENTS,)),
        "logits": _stack([x for _, x in held], (session.side, session.side)),
        "logits_of": np.array([k for k, _ in held], np.int64),
    }
    write_atomic(session.path, lambda aside: _write_archive(aside, document, arrays))


def _write_archive(
    path: Path, document: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        text = json.dumps(document, allow_nan=False, separators=(",", ":"))
        archive.writestr(_DOCUMENT, text, zipfile.ZIP_DEFLATED, 1)
        for name, array in arrays.items():
            data = io.BytesIO()
            np.save(data, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", data.getvalue())


def read_session(path: Path) -> SavedSession:
    """Read a session file; InputError if it is missing, damaged or no session file."""
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read(_DOCUMENT))
            version = document["version"]
            if version in _READABLE:
                there = f"{_MOMENTS}.npy" in archive.namelist()
                arrays = {
                    name: np.load(
                        io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False
                    )
                    for name in (*_ARRAYS, *([_MOMENTS] if there else []))
                }
                return _parsed(path, document, arrays)
    except FileNotFoundError:
        raise InputError(f"{path}: no such session: check the path") from None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}): name a session's file"
        ) from None
    except _DAMAGED as error:
        raise InputError(
            f"{path}: not a whole session file ({type(error).__name__}): open the "
            "video anew"
        ) from None
    raise InputError(
        f"{path}: a session of version {version}, but this reads up to {VERSION}: open "
        "it with the program that wrote it"
    )


def _heads(sha256: str | None) -> str:
    if sha256 is None:
        return "the heads of its checkpoint"
    return f"heads of sha256 {sha256[:12]}"


def _parsed(path: Path, document: dict, arrays: dict[str, np.ndarray]) -> SavedSession:
    """Parse a session; raise one of `_DAMAGED` for missing or wrong values."""
    video, source, history = (document[k] for k in ("video", "source", "history"))
    for values, kinds in ((video, _VIDEO), (source, _SOURCE)):
        if not all(isinstance(values[name], kind) for name, kind in kinds.items()):
            raise TypeError
    heads = [source.get(name) for name in _HEADS]
    if not all(isinstance(value, (str, type(None))) for value in heads):
        raise TypeError
    options = source["options"]
    if not all(isinstance(options[name], _OPTIONS[name]) for name in options):
        raise TypeError
    features, size = arrays["features"], (video["height"], video["width"])
    moments = arrays.get(_MOMENTS)
    if moments is not None:
        shape = len(features), MOMENTS
        if moments.shape != shape or not np.isfinite(moments).all():
            raise ValueError
    states, observations = read_states(
        document["rows"], features, arrays["pointers"], moments, size
    )
    pairs = zip(arrays["logits_of"], arrays["logits"], strict=True)
    size = document.get("model", {}).get("size")
    if not isinstance(size, (str, type(None))):
        raise TypeError
    return SavedSession(
        path,
        video,
        from_json(video.get("likeness", [])),
        Source(source["path"], options, source["checkpoint"], source["sha256"], *heads),
        SpanConfig(**document["spans"]),  # without `top` in older files: all
        AdaptConfig(**document["adapt"]),
        size,
        features.shape[1],
        arrays["logits"].shape[1],
        states[history["now"]],
        [(str(what), states[i]) for what, i in history["done"]],
        [(str(what), states[i]) for what, i in history["undone"]],
        [(observations[number], logits) for number, logits in pairs],
        bool(document.get("suggests", False)),
    )


def _resumable(now: SessionState, found: Sequence[Observation]) -> set[Observation]:
    """Return the observations whose logits tracking needs to continue."""
    wanted = {o for o in found if o.direction == 0}
    near = range(1, RECENT + 1)
    for obj in now.objects.values():
        wanted |= {p.base for p in obj.prompts.values() if p.base is not None}
        frames = obj.observations.keys()
        for t in frames:
            # Near an end of the tracked frames, where tracking may continue.
            if any(t + k not in frames or t - k not in frames for k in near):
                wanted.add(obj.observations[t])
    return wanted


def _stack(arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    if not arrays:
        return np.zeros((0, *shape), np.float32)
    return np.stack(arrays).astype(np.float32)
