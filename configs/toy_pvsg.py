"""Click2Graph on the drawn world, around the toy SAM2.1 of configs/sam2_toy.py.

    python -m c2g_jax.train --config=configs/toy_pvsg.py --workdir=runs/toy \
        --config.sam2.checkpoint=runs/toy/clicks/weights --config.data.dir=data

Losses, matching and freezing are the paper's, as in configs/open_pvsg.py. What differs
is said beside it: the model is small, starts from nothing and has little time.
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """The run; variant "tiny" is the least there is, to see that everything works."""
    config = ConfigDict()
    config.task = "click2graph"
    config.seed = 0

    # A step is a batch.
    config.steps = 3000
    config.batch_size = 12
    config.accumulate = 1
    config.log_every = 20
    config.save_every = 200
    config.keep = 2
    config.eval_every = 500
    config.eval_batches = 8
    config.export_every = 0

    config.trainable = ()  # the task's own: DIDM and SCH, SAM2.1 is frozen
    config.groups = ConfigDict(dict(didm=r"didm\..*", sch=r"sch\..*"))
    # Ten times the paper's for DIDM: it has 135,000 steps for a decoder that DETR's
    # users know to be slow, here are a few thousand.
    config.lr = ConfigDict(dict(didm=5e-4, sch=5e-4))
    config.lr_end = ConfigDict(dict(didm=1e-5, sch=1e-5))
    config.schedule = ConfigDict(dict(didm="cosine", sch="cosine"))
    config.warmup = 200
    config.b1, config.b2 = 0.9, 0.999
    config.weight_decay = 0.01
    config.no_decay = r".*\b(bias|scale)"
    config.clip_norm = 1.0  # the paper's losses are large at first; 0.1 would crawl
    config.ema = 0.998
    # The paper has AdamW alone, and 45 times as many steps.
    config.muon, config.muon_rate = r".*kernel", 10.0

    config.data = ConfigDict(
        dict(
            dir="data", name="toy_pvsg", config="default", train="train", val="val",
            workers=1,
        )
    )  # fmt: skip
    config.clip = ConfigDict(
        dict(
            # The paper has clips of 8. DIDM and SCH look at each frame by itself, and
            # as many frames of as many videos show more.
            num_frames=1,
            stride=1,
            # Two of a frame's subjects have a relation at most, nearly always.
            max_subjects=2,
            max_objects=3,
            prompt_mix=(0.49, 0.49, 0.02),
            flip=0.5,
            brightness=0.1,
            contrast=0.03,
            saturation=0.03,
            hue=0.0,
        )
    )
    config.sam2 = ConfigDict(
        dict(size="toy", image_size=256, dtype="float32", checkpoint="")
    )
    config.didm = ConfigDict(
        dict(
            num_layers=3,
            num_heads=8,
            ffn=512,
            num_queries=3,
            dropout=0.1,
            positions="everywhere",  # by keys alone, points learn nothing for long
            # The encoder is taught to point: of three points, queries that know of no
            # image hit 0.46 of the objects after 2,400 steps, these 0.73 before any.
            queries="pointed",
        )
    )
    # Names of 600 videos are learned by heart before those of others are known. A
    # predicate told from pointers alone was true for 0.60 of validation pairs, one told
    # from features too for 0.68.
    config.sch = ConfigDict(dict(hidden=256, dropout=0.3, predicate="features"))
    config.loss = ConfigDict(
        dict(
            bce=10.0, dice=1.0, iou=1.0, point=20.0, point_cap=0.006, pointing=5.0,
            subject=10.0, object=10.0, predicate=20.0,
            none_weight=0.1,
            match_point=20.0, match_object=0.0, match_mask=0.0, match_per="frame",
            layer_points=True, soft_predicates=False,
            # Masks that are wrong pull points astray while there is much to learn.
            detach_points=True,
            # Names are learned from true points too: points that miss teach none, and
            # here is no time to wait for them.
            true_points=1.0,
            logit_adjustment=0.0, effective_beta=0.0,
        )
    )  # fmt: skip
    if variant == "tiny":
        config.steps, config.batch_size = 4, 1
        config.sam2.image_size, config.clip.num_frames = 64, 2
        config.log_every, config.save_every, config.eval_every = 1, 2, 2
        config.eval_batches, config.data.workers, config.warmup = 1, 0, 1
    elif variant:
        raise ValueError(f"variant {variant!r}: there is tiny")
    return config
