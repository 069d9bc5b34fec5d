"""Click2Graph on OpenPVSG as its paper has it (arXiv 2511.15948).

    python -m c2g_jax.train --config=configs/open_pvsg.py --workdir=runs/open_pvsg \
        --config.sam2.checkpoint=weights/large --config.data.dir=data

`python -m c2g_jax.prepare` makes the data, `python -m porting.convert` the checkpoint
of SAM2.1-Large. One batch is one clip for each of the devices: with 8 GPUs say
`--config=configs/open_pvsg.py:8`. Where the paper is silent the reason stands beside.
"""

from ml_collections import ConfigDict

_VIDEOS = 338  # in the training split
_EPOCHS = 400  # the paper's


def get_config(devices: str = "1") -> ConfigDict:
    """The run on so many devices."""
    config = ConfigDict()
    config.task = "click2graph"
    config.seed = 0

    # A step is a batch: one clip a device, as SAM2 is fine-tuned, with 8 frames each.
    # An epoch takes one clip of every video, or 400 of them would be years.
    config.batch_size = int(devices)
    config.steps = _EPOCHS * _VIDEOS // config.batch_size
    config.accumulate = 1
    config.log_every = 50
    config.save_every = 500
    config.keep = 2
    config.eval_every = 5000
    config.eval_batches = 62  # as many as there are validation videos, for one device
    config.export_every = 0

    config.trainable = ()  # the task's own: DIDM and SCH; SAM2.1 is frozen (the paper)
    config.groups = ConfigDict(dict(didm=r"didm\..*", sch=r"sch\..*"))
    # The paper: SCH at 5e-4, DIDM from 5e-5 to 1e-5 by a cosine. Of SCH it names no
    # schedule, so there is none; nor of a warmup.
    config.lr = ConfigDict(dict(didm=5e-5, sch=5e-4))
    config.lr_end = ConfigDict(dict(didm=1e-5, sch=5e-4))
    config.schedule = ConfigDict(dict(didm="cosine", sch="constant"))
    config.warmup = 0
    # AdamW is the paper's; its moments are the usual ones, for none are named.
    config.b1, config.b2 = 0.9, 0.999
    # Not named either: optax's and torch's own. Biases and norms stay out, as in SAM2.
    config.weight_decay = 0.01
    config.no_decay = r".*\b(bias|scale)"
    config.clip_norm = 0.1  # silent; SAM2's and DETR's
    config.ema = 0.0  # the paper has none
    config.muon, config.muon_rate = "", 10.0  # none: AdamW, as the paper has it

    config.data = ConfigDict(
        dict(
            dir="data",
            name="open_pvsg",
            # Frames at their own size; "1024" holds them resized, for slow CPUs.
            config="default",
            train="train",
            val="val",
            workers=8,
        )
    )
    config.clip = ConfigDict(
        dict(
            num_frames=8,  # the paper
            stride=1,  # silent; consecutive frames, as SAM2 is fine-tuned
            max_subjects=3,  # silent; SAM2's max_num_objects
            max_objects=8,  # of a subject; more are left out, and counted as overflow
            prompt_mix=(0.49, 0.49, 0.02),  # point, box, mask: the paper
            # Silent; SAM2's recipe, lightly. No predicate knows left from right.
            flip=0.5,
            brightness=0.1,
            contrast=0.03,
            saturation=0.03,
            hue=0.0,
        )
    )
    config.sam2 = ConfigDict(
        dict(
            size="large",  # the paper, and 1024 pixels too
            image_size=1024,
            dtype="bfloat16",  # silent; of the frozen model, DIDM and SCH are float32
            checkpoint="weights/large",
        )
    )
    # Silent but for "lightweight" and about 5 M in all: DETR's widths, three layers.
    config.didm = ConfigDict(
        dict(
            num_layers=3,
            num_heads=8,
            ffn=1024,
            num_queries=3,
            dropout=0.1,
            positions="keys",  # as in DETR
            queries="learned",  # the paper; no published encoder was taught to point
        )
    )  # three queries: the paper
    config.sch = ConfigDict(dict(hidden=512, dropout=0.1, predicate="pointers"))
    config.loss = ConfigDict(
        dict(
            # The paper: 10 BCE + 1 Dice + 1 IoU + 20 L2 + 10, 10 and 20 for names.
            bce=10.0,
            dice=1.0,
            iou=1.0,
            point=20.0,
            point_cap=0.0,  # not in the paper: all points are pulled, however far
            pointing=0.0,  # not in the paper: for queries that are not learned
            subject=10.0,
            object=10.0,
            predicate=20.0,
            none_weight=0.1,  # of queries without an object; DETR's eos_coef
            # Silent on the cost: distance of the points, known before any mask is
            # decoded. On each frame by itself; "clip" keeps a query on one object.
            match_point=20.0,
            match_object=0.0,
            match_mask=0.0,
            match_per="frame",
            layer_points=True,  # silent; the L2 of each layer, as DETR has it
            detach_points=False,  # the masks of objects move the points
            # A pair with several predicates (3 in 100) draws one of them a step.
            soft_predicates=False,
            true_points=0.0,  # not in the paper: names at true points as well
            # Long tails: silent, so plain cross entropy; "on" is a third of all.
            logit_adjustment=0.0,
            effective_beta=0.0,
        )
    )
    return config
