"""How to score: every choice that the paper leaves open, with its default.

The paper (arXiv 2511.15948, section 5) names R@K, SpIR and PLR in a sentence each.
`protocol_flags` makes a flag of every choice.
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

    split: str = "val"  # of the data set, as train or val, or one that is stored
    runs: int = 25  # prompts a subject; a mask prompt has no chance in it: 1
    # Who is prompted: every subject of a unit; or things alone.
    things_only: bool = False
    # When: a subject's first frame with a unit; its first in view; any with a unit.
    prompt_frame: str = FIRST_INTERACTION
    # Where a point is: on any pixel of the subject, none twice over the runs; or
    # likelier the deeper inside, as in training.
    click: str = ANYWHERE
    # Frames before the prompt are left out, and counted; "both" tracks back to them.
    directions: str = FORWARD
    # DIDM looks on every k-th frame from the prompt on; 0: on the prompt's alone.
    discover_every: int = 1
    # "tracks": objects are followed with memory, as in the product, and the mask of the
    # track is scored. "none": the mask under the point is scored, frame by frame.
    link: str = TRACKS
    # Objects that are followed for one subject at most; each is work on each frame.
    max_tracks: int = TrackRules.max_tracks
    # What ranks: the product p_s * p_o * p_r; times the probability that the object is
    # in view; or times SAM's own estimate of the mask's IoU.
    confidence: str = PRODUCT
    queries: int = 3  # masks a frame that count: the paper's N_q
    ks: tuple[int, ...] = (3,)  # the K of R@K
    # Every query speaks all predicates, and they compete for the K places.
    multi_predicate: bool = False
    # A unit is hit once, and a prediction hits one unit at most.
    one_to_one: bool = True
    # A mask that overlaps a surer one so far is left out; 0: never.
    mask_nms: float = 0.0
    # Whose name the subject goes by: each frame's, or the vote of all frames.
    subject_label: str = PER_FRAME
    box_noise: float = 0.1  # share of its side that a prompt's box may be off by
    box_bound: float = 20.0  # pixels of the model image that it may be off by, at most
    tau: float = 0.5  # least IoU of a hit, inclusive
    tube_share: float = 0.5  # share of its frames on which a tube is hit, inclusive
    heat_cells: int = 64  # side of the grid of the heuristic

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
        if not self.ks or min(self.ks) < 1:
            raise InputError(f"--ks={','.join(map(str, self.ks))}: give numbers from 1")
        for name in ("tau", "tube_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"--{name}={getattr(self, name)}: give 0 < x <= 1")
        for name in ("mask_nms", "box_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--{name}={getattr(self, name)}: give 0 <= x <= 1")
        if self.box_bound < 0:
            raise InputError(f"--box_bound={self.box_bound}: give 0 or more")
