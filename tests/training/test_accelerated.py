"""Click2Graph's own training as on several accelerators, on virtual devices.

Where tokamax is installed also with fused attention, by its portable implementation.
"""

import json

import pytest

from tests.commands import python

TRAINING = """
import dataclasses, importlib.util, json, pathlib, sys
import jax
import numpy as np
from c2g_jax.checkpoints.pretrained import seeded_click2graph
from c2g_jax.click2graph import clip
from c2g_jax.click2graph.loss import RelationLoss
from c2g_jax.click2graph.model import click2graph_config
from c2g_jax.click2graph.task import Click2GraphTask
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.loader import clip_loader
from c2g_jax.sam2 import fused_attention
from c2g_jax.training import sharding, state
from c2g_jax.training.loop import LoopConfig, Run
from c2g_jax.training.optim import Group, OptimConfig
from tests.data.fake import fake_dataset
from tests.small_sam2 import embolden, one_block_config

jax.config.update("jax_disable_most_optimizations", True)
sam2 = one_block_config(
    64, embed_dim=8, d_model=32, mem_dim=16, memory_mlp_dim=32, decoder_mlp_dim=32,
    iou_head_dim=16, dtype="bfloat16",
)
fused_attention._IMPLEMENTATION = "xla"
attention = "fused" if importlib.util.find_spec("tokamax") else "plain"
config = click2graph_config(dataclasses.replace(sam2, attention=attention))
didm = dataclasses.replace(config.didm, num_layers=1, ffn=32, dropout=0.0)
sch = dataclasses.replace(config.sch, hidden=32, dropout=0.0)
model = seeded_click2graph(dataclasses.replace(config, didm=didm, sch=sch), seed=0)
embolden(model.sam2)
clips = ClipConfig("relations", num_frames=2, image_size=64, max_subjects=1,
                   max_objects=2)
groups = {"all": Group(".*", 1e-3)}
loaders = [clip_loader(fake_dataset()[0], "train", clips, 2, seed) for seed in (3, 4)]

def train(workdir, devices, slow):
    clip._loops_are_slow = lambda model: slow
    jax.clear_caches()
    pathlib.Path(workdir).mkdir()
    run = Run(
        Click2GraphTask(model, RelationLoss(soft_predicates=True)),
        OptimConfig(2, groups, weight_decay=0.0, clip_norm=1.0),
        LoopConfig(2, log_every=1, save_every=2, eval_every=2, eval_batches=1),
        *loaders,
        lambda model, folder, manifest: folder.mkdir(),
        {},
        pathlib.Path(workdir),
        sharding.data_mesh(devices),
    )
    assert run.train()
    lines = (run.workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]

took, put = set(), sharding.put_batch
def put_batch(mesh, batch):
    found = put(mesh, batch)
    took.add(tuple(len(s.data) for s in found["frames"].addressable_shards))
    return found
sharding.put_batch = put_batch
many = train(sys.argv[1] + "/many", jax.devices(), slow=False)
assert took == {(1, 1)}, took  # a clip on each device
one = train(sys.argv[1] + "/one", jax.devices()[:1], slow=True)
assert jax.tree.leaves(model.sam2.encode_image(np.zeros((1, 64, 64, 3), "float32")))[
    0
].dtype == "bfloat16"
print(json.dumps([many, one]))
"""


@pytest.mark.large
def test_several_devices_in_bfloat16_without_unrolled_loops(tmp_path):
    """They have the losses of one device with the loops as on a CPU."""
    flags = "--xla_force_host_platform_device_count=2"
    done = python("-c", TRAINING, tmp_path, XLA_FLAGS=flags)
    assert done.returncode == 0, done.stderr
    many, one = json.loads(done.stdout.splitlines()[-1])
    assert [row["step"] for row in many] == [row["step"] for row in one] == [1, 2, 2]
    compared = 0
    for ours, theirs in zip(many, one, strict=True):
        for name in ours.keys() & theirs.keys() - {"time", "steps_per_second"}:
            if name != "data_wait":
                # Both round to 8 bits, in another order.
                assert ours[name] == pytest.approx(theirs[name], rel=0.05, abs=0.02)
                compared += name.endswith("loss")
    assert compared == 3
    # It learned: the second step's parameters are not the first's.
    assert many[0]["loss"] != many[1]["loss"]
