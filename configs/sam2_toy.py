"""The promptable video segmenter itself, SAM2.1 at the size `toy`, from nothing.

    python -m c2g_jax.train --config=configs/sam2_toy.py:start \
        --workdir=runs/toy/start --config.data.dir=data
    python -m c2g_jax.train --config=configs/sam2_toy.py:images \
        --workdir=runs/toy/images --config.data.dir=data \
        --config.sam2.checkpoint=runs/toy/start/weights
    python -m c2g_jax.train --config=configs/sam2_toy.py:memory \
        --workdir=runs/toy/memory --config.data.dir=data \
        --config.sam2.checkpoint=runs/toy/images/weights
    python -m c2g_jax.train --config=configs/sam2_toy.py:videos \
        --workdir=runs/toy/videos --config.data.dir=data \
        --config.sam2.checkpoint=runs/toy/memory/weights
    python -m c2g_jax.train --config=configs/sam2_toy.py:clicks \
        --workdir=runs/toy/clicks --config.data.dir=data \
        --config.sam2.checkpoint=runs/toy/videos/weights

Windows of images first, at the frame's own scale but a quarter of its pixels, which
teach prompts four times faster; then whole images, which teach to tell many objects
apart; then windows of clips, which teach memory; then whole ones; last the decoder
alone, for the mask that a click shows. SAM2's recipe (sam2/configs/sam2.1_training):
simulated points and boxes, clicks on what is wrong, masks; best of three masks, IoU of
all, presence. What differs is said beside it.

To fine-tune a ported checkpoint instead, with upstream's own figures:

    python -m c2g_jax.train --config=configs/sam2_toy.py:finetune --workdir=… \
        --config.data.dir=… --config.data.name=open_pvsg \
        --config.sam2.checkpoint=weights/base_plus --config.sam2.size=base_plus
"""

from ml_collections import ConfigDict

# Encoder, what sits on it, and memory: upstream's learning rates differ by part.
GROUPS = dict(
    encoder=r"image_encoder\..*",
    decoder=r"sam_(mask_decoder|prompt_encoder)\..*",
    memory=r"(memory_|obj_ptr_|maskmem_|mask_downsample|no_).*",
)


def get_config(variant: str = "videos") -> ConfigDict:
    """Variants: start, images, memory, videos, clicks; finetune; tiny, the least."""
    config = ConfigDict()
    config.task = "segmenter"
    config.seed = 0
    config.train = "all"  # or "decoder", or "memory"

    config.steps = 3000
    config.batch_size = 2
    config.accumulate = 1
    config.log_every = 20
    config.save_every = 200
    config.keep = 2
    config.eval_every = 500
    config.eval_batches = 8
    config.export_every = 500

    config.trainable = ()  # what `train` names
    config.groups = ConfigDict(GROUPS)
    config.lr = ConfigDict(dict.fromkeys(GROUPS, 4e-4))
    config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 1e-5))
    config.schedule = ConfigDict(dict.fromkeys(GROUPS, "cosine"))
    config.warmup = 200
    config.b1, config.b2 = 0.9, 0.999
    config.weight_decay = 0.05
    # Neither norms and biases, nor what images leave without any gradient.
    config.no_decay = r".*(bias|scale|gamma|embed\w*|enc|ptr|spatial)"
    config.clip_norm = 1.0
    config.ema = 0.998
    # Upstream has AdamW alone, and a pretrained encoder.
    config.muon, config.muon_rate = r".*kernel", 10.0

    config.data = ConfigDict(
        dict(
            dir="data", name="toy_pvsg", config="default", train="train", val="val",
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
    config.loss = ConfigDict(
        # Upstream has focal 20. From nothing that is too much: it is least where
        # nothing is seen, and most objects here are small.
        dict(
            focal=4.0,
            dice=1.0,
            iou=4.0,
            shown=0.0,
            score=1.0,
            features=0.01,
            classes=0.3,
            bodies=0.3,
            links=0.3,
            places=0.3,
            relations=0.5,
            mask_size=128,
        )
    )
    config.recipe = ConfigDict(
        dict(
            mask_prompts=0.2,
            boxes=0.5,
            # Upstream has 7 clicks; each is a pass of the decoder, and here most of
            # what is prompted is prompted once.
            corrections=1,
            corrected_frames=2,
            corrected=0.5,
            reverse=0.5,
            true_presence=True,  # from nothing, a guess would empty the memory
            remat=False,
        )
    )
    if variant in ("start", "images", "clicks"):
        # The image is most of the work: ask for nearly all that is on it.
        config.clip.num_frames, config.clip.max_objects = 1, 6
    if variant == "start":
        config.steps, config.batch_size = 10000, 8
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 1e-3))
        config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 5e-5))
    elif variant == "images":
        config.steps, config.batch_size = 4000, 4
        # By Muon ten times as much; three times that would undo what is learned.
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 3e-4))
        config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 2e-5))
    elif variant == "clicks":
        config.train, config.steps, config.batch_size = "decoder", 1000, 4
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 3e-4))
        # A click means one thing in the drawn world: let the surest mask be right,
        # not one of three.
        config.loss.shown = 0.7
        for aid in ("classes", "bodies", "links"):  # of what is frozen here
            config.loss[aid] = 0.0
    elif variant == "memory":
        config.train, config.steps = "memory", 1500
        # All places in memory need a clip of 8.
        config.clip.num_frames = 8
        config.recipe.mask_prompts = 0.5
        config.lr = ConfigDict(dict.fromkeys(GROUPS, 5e-4))
        config.lr_end = ConfigDict(dict.fromkeys(GROUPS, 1e-4))
    elif variant == "videos":
        config.clip.num_frames = 6
        config.recipe.mask_prompts = 0.3
        # Seven times as much for the encoder cost images 0.05 of IoU.
        config.lr = ConfigDict(dict(encoder=3e-5, decoder=6e-5, memory=4e-4))
        config.lr_end = ConfigDict(dict(encoder=3e-6, decoder=6e-6, memory=4e-5))
    elif variant == "finetune":
        config.batch_size, config.ema, config.clip_norm = 1, 0.0, 0.1
        config.muon = ""
        config.lr = ConfigDict(dict(encoder=3e-6, decoder=5e-6, memory=5e-6))
        config.lr_end = ConfigDict(dict(encoder=3e-7, decoder=5e-7, memory=5e-7))
        config.weight_decay = 0.1
        config.sam2.image_size, config.loss.mask_size = 1024, 1024
        config.loss.focal, config.loss.iou = 20.0, 1.0
        aids = "features", "classes", "bodies", "links", "places", "relations"
        for aid in aids:
            config.loss[aid] = 0.0
        config.clip.num_frames = 8
        config.recipe.mask_prompts, config.recipe.corrections = 0.5, 7
        config.recipe.corrected, config.recipe.true_presence = 1.0, False
        config.recipe.remat = True
    elif variant == "tiny":
        config.steps, config.batch_size, config.warmup = 4, 1, 1
        config.sam2.image_size, config.loss.mask_size = 64, 32
        config.clip.num_frames = 2
        config.log_every, config.save_every, config.eval_every = 1, 2, 2
        config.eval_batches, config.export_every, config.data.workers = 1, 0, 0
    else:
        names = "start, images, memory, videos, clicks, finetune, tiny"
        raise ValueError(f"variant {variant!r}: {names}")
    if variant in ("start", "memory"):
        config.clip.crop = 0.5
        config.sam2.image_size, config.loss.mask_size = 128, 64
        config.recipe.corrections = 0
    return config
