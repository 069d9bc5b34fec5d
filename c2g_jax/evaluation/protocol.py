"""The evaluation protocol: every choice that the paper leaves open, with a default.

The paper (arXiv 2511.15948, section 5) defines R@K, SpIR and PLR in a sentence each.
`protocol_flags` turns every field into a flag, with the field's comment as its help.
"""

from dataclasses import dataclass

from c2g_jax.types import InputError, TrackRules

FIRST_INTERACTION, FIRST_VISIBLE, RANDOM = (
    "first_interaction",
    "first_visible",
    "random",
)
ANYWHERE, INTERIOR = "anywhere", "interior"
FORWARD, BOTH = "forward", "both"
TRACKS, NONE = "tracks", "none"
MAX_K = 1_000_000  # beyond the predictions of any frame
PRODUCT, TIMES_OBJECT, TIMES_IOU = "product", "times_object", "times_iou"
PER_FRAME, TUBE_VOTE = "frame", "tube_vote"

CHOICES = {
    "prompt_frame": (FIRST_INTERACTION, FIRST_VISIBLE, RANDOM),
    "click": (ANYWHERE, INTERIOR),
    "directions": (FORWARD, BOTH),
    "link": (TRACKS, NONE),
    "confidence": (PRODUCT, TIMES_OBJECT, TIMES_IOU),
    "subject_label": (PER_FRAME, TUBE_VOTE),
}


@dataclass(frozen=True)
class Protocol:
    """How to score; each field is a flag of `c2g_jax.evaluate` of the same name."""

    split: str = "val"  # split of the data set: train, val or another
    runs: int = 25  # runs for each subject; mask prompts are deterministic: 1 run
    # Prompt only subjects that are things; by default every subject of a unit.
    things_only: bool = False
    # Prompted frame: the subject's first frame with a unit, its first visible frame, or
    # a random frame with a unit.
    prompt_frame: str = FIRST_INTERACTION
    # Where point prompts lie: on any pixel of the subject, a different one in each run;
    # or drawn with more weight inside the mask, as in training.
    click: str = ANYWHERE
    # "forward" leaves out the frames before the prompt, and counts them; "both" tracks
    # backward from the prompt, too.
    directions: str = FORWARD
    # DIDM runs on every k-th frame from the prompt on; 0: only on the prompted frame.
    discover_every: int = 1
    # "tracks": objects are tracked with memory, as in prediction, and the tracked mask
    # is scored. "none": the mask segmented at each point is scored, frame by frame.
    link: str = TRACKS
    # Largest number of objects tracked for one subject; each costs time on every frame.
    max_tracks: int = TrackRules.max_tracks
    # Drop an object whose mask has at least this IoU with its subject's, as prediction
    # does at 0.7; 0: drop none.
    subject_iou: float = 0.0
    # Confidence that ranks predictions: the product p_s * p_o * p_r; that times the
    # probability that the object is visible; or times SAM2's estimate of the mask IoU.
    confidence: str = PRODUCT
    queries: int = 3  # objects counted on each frame: the paper's N_q
    # The K of R@K of one subject; one beyond its predictions takes all of them. Of all
    # subjects of a video together they are 20, 50 and 100.
    ks: tuple[int, ...] = (3,)
    # Each object gives one prediction for every predicate, all ranked together.
    multi_predicate: bool = False
    # A prediction hits at most one unit of its frame.
    one_to_one: bool = True
    # Drop a mask whose IoU with a more confident one is at least this; 0: drop none.
    mask_nms: float = 0.0
    # Subject label: predicted on each frame, or the vote of all frames.
    subject_label: str = PER_FRAME
    box_noise: float = 0.1  # noise of box prompts, as a share of the box's side
    box_bound: float = 20.0  # largest noise of a box prompt, in model image pixels
    tau: float = 0.5  # least IoU of a hit, inclusive
    tube_share: float = 0.5  # share of its frames on which a tube is hit, inclusive
    heat_cells: int = 64  # side of the heuristic's heat map, in cells

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(
                    f"--{name}={getattr(self, name)}: use one of {', '.join(choices)}"
                )
        least = dict(runs=1, queries=1, heat_cells=1, max_tracks=1, discover_every=0)
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"--{name}={getattr(self, name)}: give {low} or more")
        if not self.ks or not 1 <= min(self.ks) <= max(self.ks) <= MAX_K:
            given = ",".join(map(str, self.ks))
            raise InputError(f"--ks={given}: give numbers from 1 to {MAX_K:,}")
        for name in ("tau", "tube_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"--{name}={getattr(self, name)}: give 0 < x <= 1")
        for name in ("mask_nms", "box_noise", "subject_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--{name}={getattr(self, name)}: give 0 <= x <= 1")
        if self.box_bound < 0:
            raise InputError(f"--box_bound={self.box_bound}: give 0 or more")
