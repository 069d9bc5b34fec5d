"""The flags of predict: what they are, and which values they accept.

A main that imports this module shows them after `flags.adopt_module_key_flags`.
"""

from pathlib import Path

from absl import flags

from c2g_jax.cli.launch import (
    AUTO,
    DISCOVER_EVERY,
    FPS,
    OUTPUT,
    SEED,
)
from c2g_jax.cli.paths import PATH
from c2g_jax.click2graph.settings import RANKED
from c2g_jax.media.frames import MAX_FPS
from c2g_jax.media.outputs import check_output
from c2g_jax.types import AutoRules, InputError

EXPORTS = ("coco", "open_pvsg")  # of --formats

flags.declare_key_flag("video")
flags.declare_key_flag("output")
FRAME = flags.DEFINE_integer(
    "frame",
    0,
    "Frame of the prompt, counted in SAMPLED frames from 0: at --fps=5 frame 10 is 2 "
    "seconds after --start.",
)
POINT = flags.DEFINE_multi_string("point", [], "x,y in pixels")
LABEL = flags.DEFINE_multi_integer(
    "label", [], "1 (on the subject) or 0 (off it), one for each --point in order"
)
BOX = flags.DEFINE_string("box", None, "x1,y1,x2,y2 in pixels around the subject.")
MASK = flags.DEFINE(
    PATH,
    "mask",
    None,
    "Image of the frame's size with the subject on transparency, or white on black, or "
    "as the ids of a palette.",
)
MASK_ID = flags.DEFINE_integer(
    "mask_id", None, "Id of the subject in --mask, if that is a map of several ids.", 0
)
PROMPTS = flags.DEFINE(
    PATH,
    "prompts",
    None,
    "JSON file with several prompts, instead of --point, --box and --mask; it may name "
    "and relate their objects.",
)
flags.declare_key_flag("auto")
MAX_SUBJECTS = flags.DEFINE_integer(
    "max_subjects", AutoRules.max_subjects, "With --auto: at most N subjects."
)
LASTING = flags.DEFINE_integer(
    "lasting",
    AutoRules.min_frames,
    "With --auto: frames on which an object must be in view to be a subject.",
)
VIDEOS = flags.DEFINE(
    PATH,
    "videos",
    None,
    "Folder of films, instead of --video: each gets a folder of its own name in "
    "--output. Films that are done are left as they are, so that the same command goes "
    "on after a stop. --prompts is then a folder with a FILM.json for each.",
)
FORMATS = flags.DEFINE_list(
    "formats",
    [],
    "Written beside scene_graph.json: coco (coco.json), open_pvsg (a folder with masks "
    "and pvsg.json, in which objects without a name are 'others').",
)
flags.declare_key_flag("checkpoint")
flags.declare_key_flag("heads")
SIZE = flags.DEFINE_string(
    "size",
    None,
    "toy, mini, tiny, small, base_plus or large. Default: the checkpoint's. Without "
    "--checkpoint: a randomly initialised model of this size.",
)
flags.declare_key_flag("image_size")
flags.declare_key_flag("dtype")
flags.declare_key_flag("fps")
START = flags.DEFINE_float("start", None, "Start of the sampled part, in seconds.")
END = flags.DEFINE_float("end", None, "End of the sampled part, in seconds.")
flags.declare_key_flag("max_frames")
flags.declare_key_flag("discover_every")
# How relations are made of the predictions on frames. Without them as the checkpoint's
# settings have it; without settings the best guesses are shown.
MIN_FRAMES = flags.DEFINE_integer(
    "min_frames",
    None,
    f"Shortest span of a relation, in frames. Default: the checkpoint's, or "
    f"{RANKED.min_length} if it was not tuned.",
)
MAX_GAP = flags.DEFINE_integer(
    "max_gap",
    None,
    "Longest gap that is bridged within a span, in frames. Default: the checkpoint's, "
    f"or {RANKED.max_gap} if it was not tuned.",
)
MIN_CONFIDENCE = flags.DEFINE_float(
    "min_confidence",
    None,
    "Ignore predictions with less confidence. Default: the checkpoint's, or "
    f"{RANKED.min_confidence:g} if it was not tuned.",
)
START_CONFIDENCE = flags.DEFINE_float(
    "start_confidence",
    None,
    "Confidence that at least one prediction of a span must reach. Default: the "
    f"checkpoint's, or {RANKED.start_confidence:g} if it was not tuned.",
)
TOP = flags.DEFINE_integer(
    "top",
    None,
    "Show the best N relations of each subject alone; 0: all. Default: the "
    f"checkpoint's, or {RANKED.top} if it was not tuned.",
)
SPANS = {  # the field of SpanConfig that each sets
    "max_gap": MAX_GAP,
    "min_length": MIN_FRAMES,
    "min_confidence": MIN_CONFIDENCE,
    "start_confidence": START_CONFIDENCE,
    "top": TOP,
}
flags.declare_key_flag("seed")


def check_flags() -> AutoRules | None:
    """Check the flags that need no file; return the rules of --auto."""
    if not OUTPUT.value:
        raise InputError("--output is missing: name a folder for the results")
    if not 0 <= FPS.value <= MAX_FPS:
        raise InputError(
            f"--fps is {FPS.value:g}: give 0 (every frame), or up to {MAX_FPS}"
        )
    for flag in (MIN_CONFIDENCE, START_CONFIDENCE):
        if flag.value is not None and not 0 <= flag.value <= 1:
            raise InputError(
                f"--{flag.name} is {flag.value:g}: give a number from 0 to 1"
            )
    at_least = [(DISCOVER_EVERY, 1), (MIN_FRAMES, 1), (MAX_GAP, 0), (TOP, 0), (SEED, 0)]
    at_least += [(MAX_SUBJECTS, 1), (LASTING, 1)]
    for flag, least in at_least:
        if flag.value is not None and not least <= flag.value < 1 << 31:
            raise InputError(
                f"--{flag.name} is {flag.value}: give {least} or more, below 2^31"
            )
    for word in FORMATS.value:
        if word not in EXPORTS:
            raise InputError(f"--formats={word}: use some of {', '.join(EXPORTS)}")
    check_output(Path(OUTPUT.value))
    if not AUTO.value:
        for flag in (MAX_SUBJECTS, LASTING):
            if flag.present:
                raise InputError(f"--{flag.name} is given without --auto: add --auto")
        return None
    for flag in (POINT, LABEL, BOX, MASK, MASK_ID, PROMPTS, FRAME):
        if flag.present:
            raise InputError(
                f"--auto and --{flag.name} exclude each other: --auto takes no prompt"
            )
    return AutoRules(max_subjects=MAX_SUBJECTS.value, min_frames=LASTING.value)
