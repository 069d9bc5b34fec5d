"""Click2Graph on the synthetic toy data, around the SAM2.1 of configs/sam2_toy.py.

    python -m c2g_jax.train --config=configs/toy_pvsg.py --workdir=runs/toy \
        --config.sam2.checkpoint=runs/toy/videos/weights

Losses, matching and freezing follow the paper, as in configs/open_pvsg.py. Comments
mark the differences: the model is small, and trains briefly and from scratch.
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Return the configuration; variant "tiny" is a minimal run, to test everything.

    "prior" adds what the annotations say of named pairs to SCH (`sch.prior`).
    """
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
    # Ten times the paper's for DIDM: a decoder as slow to train as DETR's has 135,000
    # steps there, and a few thousand here.
    config.lr = ConfigDict(dict(didm=5e-4, sch=5e-4))
    config.lr_end = ConfigDict(dict(didm=1e-5, sch=1e-5))
    config.schedule = ConfigDict(dict(didm="cosine", sch="cosine"))
    config.warmup = 200
    config.b1, config.b2 = 0.9, 0.999
    config.weight_decay = 0.01
    config.no_decay = r".*\b(bias|scale)"
    config.clip_norm = 1.0  # initial losses are large: 0.1 would train very slowly
    config.ema = 0.998
    # The paper uses AdamW alone, for 45 times as many steps.
    config.muon, config.muon_rate = r".*kernel", 10.0

    config.data = ConfigDict(
        dict(
            dir="data/large", name="toy_pvsg", config="default",
            train="train", val="val",
            workers=1, held_out=24,
        )
    )  # fmt: skip
    config.clip = ConfigDict(
        dict(
            # The paper has 8. DIDM and SCH process each frame independently, and the
            # same number of frames from more videos is more diverse.
            num_frames=1,
            stride=1,
            # Frames rarely have more than two subjects with relations.
            max_subjects=2,
            max_objects=3,
            # Who holds the cup, and who stands by: of the untrue relations shown, half
            # were of another's object.
            bystanders=2,
            prompt_mix=(0.49, 0.49, 0.02),
            flip=0.5,
            brightness=0.1,
            contrast=0.03,
            saturation=0.03,
            hue=0.0,
        )
    )
    config.sam2 = ConfigDict(
        dict(size="mini", image_size=352, dtype="float32", checkpoint="")
    )
    config.heads = ""  # of trained DIDM and SCH to begin with; "": random values
    config.didm = ConfigDict(
        dict(
            num_layers=3,
            num_heads=8,
            ffn=512,
            num_queries=3,
            dropout=0.1,
            positions="everywhere",  # with keys alone, points do not train for long
            # The encoder is trained to point. With 3 points, learned queries hit 0.46
            # of the objects after 2,400 steps, pointed ones 0.73 before any step.
            queries="pointed",
        )
    )
    # SCH overfits to 600 videos, hence the dropout. Predicates from pointers alone have
    # an average precision of 0.59, from features too 0.66, from geometry too 0.75
    # (docs/results.md).
    config.sch = ConfigDict(dict(hidden=256, dropout=0.3, predicate="geometry"))
    config.loss = ConfigDict(
        dict(
            bce=10.0, dice=1.0, iou=1.0, point=20.0, point_cap=0.006, pointing=5.0,
            subject=10.0, object=10.0, predicate=20.0,
            none_weight=0.1,
            match_point=20.0, match_object=0.0, match_mask=0.0, match_per="frame",
            layer_points=True, mean_layers=False, soft_predicates=False,
            # Early in training, wrong masks give points misleading gradients.
            detach_points=True, detach_pointers=False,
            # Classes are trained at ground-truth points too: points that miss teach
            # "none", and the run is short.
            true_points=1.0, hit_iou=0.1,
            unrelated=1.0,
            logit_adjustment=0.0, effective_beta=0.0,
        )
    )  # fmt: skip
    if variant == "tiny":
        config.steps, config.batch_size = 4, 1
        config.sam2.size = "toy"
        config.sam2.image_size, config.clip.num_frames = 64, 2
        config.log_every, config.save_every, config.eval_every = 1, 2, 2
        config.eval_batches, config.data.workers, config.warmup = 1, 0, 1
        config.data.held_out = 2
    elif variant == "prior":
        config.sch.prior = 1.0  # the weight to begin with; it is learned
        config.prior = ""  # a prior.json; by default that of the prepared set
    elif variant:
        raise ValueError(f"variant {variant!r}: the variants are tiny and prior")
    return config
