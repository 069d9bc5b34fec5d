"""The promptable video segmenter alone: SAM2.1 of size `mini`, from scratch.

    python -m c2g_jax.train --config=configs/sam2_toy.py:encoder \
        --workdir=runs/toy/encoder
    python -m c2g_jax.train --config=configs/sam2_toy.py:crops \
        --workdir=runs/toy/crops \
        --config.sam2.checkpoint=runs/toy/encoder/weights
    python -m c2g_jax.train --config=configs/sam2_toy.py:images \
        --workdir=runs/toy/images \
        --config.sam2.checkpoint=runs/toy/crops/weights
    python -m c2g_jax.train --config=configs/sam2_toy.py:memory \
        --workdir=runs/toy/memory \
        --config.sam2.checkpoint=runs/toy/images/weights
    python -m c2g_jax.train --config=configs/sam2_toy.py:videos \
        --workdir=runs/toy/videos \
        --config.sam2.checkpoint=runs/toy/memory/weights

Stages: first the encoder alone, which learns what each cell of an image shows, and
which cells are of one body, without any prompt; on crops, at the scale of whole images
but with a quarter of the pixels. Then prompts, on crops and on whole images; crops of
clips, to train memory; last whole clips. An encoder that learns from prompts alone
learns the same far more slowly (see docs/results.md). SAM2's recipe
(sam2/configs/sam2.1_training): simulated points and boxes, correction clicks, masks;
the best of three masks, the IoU of all, the object score. Comments mark the
differences.

To fine-tune a ported checkpoint instead, with upstream's values:

    python -m c2g_jax.train --config=configs/sam2_toy.py:finetune --workdir=… \
        --config.data.dir=… --config.data.name=open_pvsg \
        --config.sam2.checkpoint=weights/base_plus --config.sam2.size=base_plus
"""

from ml_collections import ConfigDict

# Upstream's learning rates differ between encoder, decoder and memory.
GROUPS = dict(
    encoder=r"image_encoder\..*",
    decoder=r"sam_(mask_decoder|prompt_encoder)\..*",
    memory=r"(memory_|obj_ptr_|maskmem_|mask_downsample|no_).*",
)

_ENCODER_AIDS = "classes", "bodies", "links"  # they train nothing but the encoder


def get_config(variant: str = "videos") -> ConfigDict:
    """Return the configuration of a stage, of "finetune", or of "tiny", a test run."""
    config = ConfigDict()
    config.task = "segmenter"
    config.seed = 0
    config.train = "all"  # or "encoder", "decoder", "memory", "tracking"

    config.steps = 3000
    config.batch_size = 2
    config.accumulate = 1
    config.log_every = 20
    config.save_every = 200
    config.keep = 2
    config.eval_every = 500
    config.eval_batches = 8
    config.export_every = 500

    config.trainable = ()  # as `train` selects
    config.groups = ConfigDict(GROUPS)
    config.lr = ConfigDict(dict.fromkeys(GROUPS, 4e-4))
    config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 1e-5))
    config.schedule = ConfigDict(dict.fromkeys(GROUPS, "cosine"))
    config.warmup = 200
    config.b1, config.b2 = 0.9, 0.999
    config.weight_decay = 0.05
    # No decay of norms and biases, nor of parameters that images give no gradient.
    config.no_decay = r".*(bias|scale|gamma|embed\w*|enc|ptr|spatial)"
    config.clip_norm = 1.0
    config.ema = 0.998
    # Upstream uses AdamW alone, and a pretrained encoder.
    config.muon, config.muon_rate = r".*kernel", 10.0

    config.data = ConfigDict(
        dict(
            dir="data/large", name="toy_pvsg", config="default",
            train="train", val="val",
            workers=1,
        )
    )  # fmt: skip
    config.clip = ConfigDict(
        dict(
            num_frames=4,
            stride=1,
            max_objects=3,
            thing_weight=2.0,
            crop=1.0,
            crop_to=0.0,
            pasted=0,
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
    config.loss = ConfigDict(
        # Upstream has focal 20. From scratch that is too much: empty masks minimise
        # it, as most objects here are small.
        dict(
            focal=4.0,
            dice=1.0,
            iou=4.0,
            # A click is unambiguous in the toy data: the mask of the highest predicted
            # IoU, which a user sees, learns as much as the best of three.
            shown=0.5,
            score=1.0,
            features=0.03,
            classes=0.3,
            bodies=0.3,
            links=0.3,
            places=0.3,
            relations=0.5,
            mask_size=176,
        )
    )
    config.recipe = ConfigDict(
        dict(
            mask_prompts=0.2,
            boxes=0.5,
            # Upstream has 7 clicks. Each is a pass of the decoder, and here most
            # objects are prompted once.
            corrections=1,
            corrected_frames=2,
            corrected=0.5,
            reverse=0.5,
            true_presence=True,  # from scratch, predicted presence would empty memory
            remat=False,
        )
    )
    if variant in ("encoder", "crops", "images"):
        # Encoding the image is most of the cost: prompt nearly all of its objects.
        config.clip.num_frames, config.clip.max_objects = 1, 6
    if variant == "encoder":
        config.train, config.steps, config.batch_size = "encoder", 6000, 8
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 1e-3))
        config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 2e-5))
        config.loss.features, config.loss.links = 0.02, 0.0
        config.loss.classes, config.loss.bodies = 1.0, 0.5
    elif variant == "crops":
        config.steps, config.batch_size = 6000, 8
        # Muon's rate is ten times this. At 5e-4 the first 500 steps undid what the
        # encoder had learned: the loss of classes went from 0.65 to 1.05.
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 2e-4))
        config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 2e-5))
        config.loss.classes, config.loss.bodies = 0.5, 0.5
    elif variant == "images":
        config.steps, config.batch_size = 3000, 4
        config.clip.pasted = 3  # crowds are rare, and where masks fail
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 1.5e-4))
        config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 1e-5))
    elif variant == "memory":
        config.train, config.steps = "memory", 1500
        # A clip of 8 frames fills the memory bank.
        config.clip.num_frames = 8
        config.recipe.mask_prompts = 0.5
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 5e-4))
        config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 1e-4))
    elif variant == "videos":
        # Six frames apart, a clip shows what memory is for: occlusions, and masks of 30
        # frames before (docs/results.md).
        config.clip.num_frames, config.clip.stride = 6, 6
        config.clip.pasted = 2
        config.recipe.mask_prompts = 0.3
        # The encoder stays as images have made it: a higher rate for it cost 0.05 of
        # the IoU on images, and most of a step is its backward pass.
        config.train = "tracking"
        config.lr.decoder, config.lr.memory = 6e-5, 4e-4
        config.lr_end.decoder, config.lr_end.memory = 6e-6, 4e-5
    elif variant == "finetune":
        config.batch_size, config.ema, config.clip_norm = 1, 0.0, 0.1
        config.muon = ""
        config.lr = ConfigDict(dict(encoder=3e-6, decoder=5e-6, memory=5e-6))
        config.lr_end = ConfigDict(dict(encoder=3e-7, decoder=5e-7, memory=5e-7))
        config.weight_decay = 0.1
        config.sam2.image_size, config.loss.mask_size = 1024, 1024
        config.sam2.dtype = "bfloat16"
        config.loss.focal, config.loss.iou, config.loss.shown = 20.0, 1.0, 0.0
        aids = "features", "classes", "bodies", "links", "places", "relations"
        for aid in aids:
            config.loss[aid] = 0.0
        config.clip.num_frames = 8
        config.recipe.mask_prompts, config.recipe.corrections = 0.5, 7
        config.recipe.corrected, config.recipe.true_presence = 1.0, False
        config.recipe.remat = True
    elif variant == "tiny":
        config.steps, config.batch_size, config.warmup = 4, 1, 1
        config.sam2.size = "toy"
        config.sam2.image_size, config.loss.mask_size = 64, 32
        config.clip.num_frames = 2
        config.log_every, config.save_every, config.eval_every = 1, 2, 2
        config.eval_batches, config.export_every, config.data.workers = 1, 0, 0
    else:
        names = "encoder, crops, images, memory, videos, finetune, tiny"
        raise ValueError(f"variant {variant!r}: use one of {names}")
    if variant in ("memory", "videos"):
        for aid in _ENCODER_AIDS:
            config.loss[aid] = 0.0
    if variant in ("encoder", "crops", "memory"):
        # Half a frame on average: objects have about their final size.
        config.clip.crop, config.clip.crop_to = 0.4, 0.6
        config.sam2.image_size, config.loss.mask_size = 192, 96
        config.recipe.corrections = 0
    return config
