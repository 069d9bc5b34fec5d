"""The small models of the files in this folder, and what is done with them."""

import dataclasses

import numpy as np

from c2g_jax.checkpoints.pretrained import abstract_click2graph
from c2g_jax.checkpoints.safetensors import fill_parameters, initialise, parameters
from c2g_jax.click2graph.model import Click2Graph, click2graph_config
from c2g_jax.from_scratch.didm import didm_config
from c2g_jax.from_scratch.sch import sch_config
from c2g_jax.session import Session
from c2g_jax.vocabulary import Vocabulary
from tests.small_sam2 import embolden, one_block_config

# Fixed: the sizes of the saved files, whatever models other tests use.
SAM2 = one_block_config(
    64,
    embed_dim=8,
    d_model=32,
    mem_dim=16,
    memory_mlp_dim=32,
    decoder_mlp_dim=32,
    iou_head_dim=16,
)
VOCABULARY = Vocabulary(("cat", "ball", "hat"), ("sky",), ("on", "holding"))
# The two forms of the heads: the paper's, and the one for models trained from nothing.
FORMS = {
    "learned": ({}, {}),
    "pointed": (
        {"queries": "pointed", "positions": "everywhere"},
        {"predicate": "features"},
    ),
}
COUNT = 6


def small_model(form: str) -> Click2Graph:
    """A seeded model that sees objects everywhere, with heads of one of the FORMS."""
    config, (didm, sch) = click2graph_config(SAM2, VOCABULARY), FORMS[form]
    didm = dataclasses.asdict(config.didm) | dict(num_layers=1, ffn=16) | didm
    sch = dataclasses.asdict(config.sch) | dict(hidden=8) | sch
    config = dataclasses.replace(
        config, didm=didm_config(**didm), sch=sch_config(**sch)
    )
    model = initialise(abstract_click2graph(config), 0)
    embolden(model.sam2)
    # In half precision, as a file keeps them.
    halves = {k: np.float32(np.float16(v)) for k, v in parameters(model).items()}
    return fill_parameters(model, halves, "the seed")


def frames() -> list[np.ndarray]:
    """A bright square that moves over noise: uint8 [48, 80, 3] each."""
    rng = np.random.default_rng(0)
    video = rng.integers(0, 80, (COUNT, 48, 80, 3), np.uint8)
    for t, frame in enumerate(video):
        frame[10:26, 4 + 3 * t : 20 + 3 * t] = (220, 200, 40)
    return list(video)


def shown(session: Session) -> dict:
    """What a session shows on each frame and as a whole, as JSON."""
    return session.as_json(
        {
            "views": [session.view(t) for t in range(COUNT)],
            "objects": session.objects(),
            "relations": session.relations(),
            "stale": session.stale_frames(),
            "tracked": session.tracked_frames(),
        }
    )
