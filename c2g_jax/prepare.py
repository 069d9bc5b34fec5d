"""Prepare OpenPVSG, or the toy data set in its format, for training and evaluation.

    python -m c2g_jax.prepare --manual_dir=DOWNLOAD --data_dir=DATA

DOWNLOAD holds pvsg.json and the released zips, which are read in place, or the
unpacked files. The result is DATA/open_pvsg; DATA/open_pvsg/audit.txt lists the
irregularities of the download and how each was handled. The audit alone:

    python -m c2g_jax.prepare --audit --manual_dir=DOWNLOAD --output=DIR
    python -m c2g_jax.prepare --audit --annotations=pvsg.json --output=DIR

Which relations are likely between two named things, counted in the training split and
scored on the validation split. DATA/open_pvsg/prior.json is that of the prepared set.

    python -m c2g_jax.prepare --prior --annotations=pvsg.json --output=DIR

The toy data set, drawn by a program and prepared as DATA/toy_pvsg, and a preview of it:

    python -m c2g_jax.prepare --toy --data_dir=DATA
    python -m c2g_jax.prepare --toy --preview=DIR

Needs a checkout of the project, and no TensorFlow.
"""

import contextlib
import functools
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags, logging

from c2g_jax.cli import launch
from c2g_jax.cli.launch import DATA_DIR, OUTPUT
from c2g_jax.cli.paths import PATH
from c2g_jax.click2graph.prior import name_indices, write_prior
from c2g_jax.evaluation.prior import fit_prior, write_report
from c2g_jax.export.report import frame_progress
from c2g_jax.media.outputs import check_output, output_folder
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary

flags.declare_key_flag("data_dir")
flags.declare_key_flag("output")
MANUAL_DIR = flags.DEFINE(
    PATH, "manual_dir", None, "Folder of the download: pvsg.json and zips, or unpacked."
)
CONFIG_NAMES = flags.DEFINE_list(
    "config_names",
    None,
    "Configs to prepare, of videos, default, 1024. Default: all; --toy without 1024.",
)
WORKERS = flags.DEFINE_integer(
    "workers", 0, "Processes that decode and encode. 0: one per core.", 0
)
STRICT = flags.DEFINE_bool("strict", False, "Stop at the first fault in the download.")
CHECKSUMS = flags.DEFINE_bool(
    "checksums", False, "Also verify the zips against the checksums of the release."
)
AUDIT = flags.DEFINE_bool(
    "audit", False, "Only report on the download, prepare nothing."
)
ANNOTATIONS = flags.DEFINE(
    PATH,
    "annotations",
    None,
    "With --audit or --prior: a pvsg.json, read without videos and masks.",
)
PRIOR = flags.DEFINE_bool(
    "prior", False, "Only count which relations are likely, prepare nothing."
)
TOY = flags.DEFINE_bool("toy", False, "Draw the toy data set, and prepare it.")
TOY_SIZE = flags.DEFINE_enum(
    "toy_size",
    "full",
    ["tiny", "train", "val", "full", "large"],
    "How many videos to draw.",
)
PREVIEW = flags.DEFINE(
    PATH,
    "preview",
    None,
    "With --toy: folder for a contact sheet and an overlay video.",
)
BEAM_PIPELINE_OPTIONS = flags.DEFINE_list(
    "beam_pipeline_options",
    None,
    "Prepare on Apache Beam with these options, such as runner=DirectRunner.",
)

DATASETS = Path(__file__).resolve().parents[1] / "datasets"
NAME, TOY_NAME = "open_pvsg", "toy_pvsg"
TOY_CONFIGS = ("videos", "default")  # drawn and trained at 256 pixels
SIZE = ".size"  # file of a drawn download that holds its --toy_size
# Flags that need another flag, and flags that exclude others.
GOES_WITH = {
    "annotations": ("audit", "prior"),
    "output": ("audit", "prior"),
    "preview": ("toy",),
    "toy_size": ("toy",),
}
OF_A_SET = ("toy", "data_dir", "config_names", "beam_pipeline_options")
EXCLUDES = {
    "annotations": ("manual_dir", "strict", "checksums"),
    "audit": ("prior", *OF_A_SET),
    "prior": ("manual_dir", "strict", "checksums", "workers", *OF_A_SET),
    "toy": ("checksums",),
}
OF_A_BUILD = ("config_names", "strict", "beam_pipeline_options")


def main(argv: Sequence[str]) -> None:
    del argv
    check_flags()
    logging.set_verbosity(logging.WARNING)  # TFDS logs every folder it reads
    with frame_progress() as begin, refused():
        if AUDIT.value:
            audit(begin)
            return
        if PRIOR.value:
            count_prior(Path(ANNOTATIONS.value), Path(OUTPUT.value))
            return
        # Checked before hours of work, not after.
        options = build_options() if DATA_DIR.value else {}
        if TOY.value:
            prepare_toy(begin, options)
        else:
            prepare(Path(MANUAL_DIR.value), NAME, begin, options)


def check_flags() -> None:
    """Raise InputError for missing or conflicting flags."""
    for name, others in GOES_WITH.items():
        if is_given(name) and not any(map(is_given, others)):
            needed = " or --".join(others)
            raise InputError(f"--{name} needs --{needed}: add it")
    for name, others in EXCLUDES.items():
        for other in others:
            if is_given(name) and is_given(other):
                raise InputError(f"--{name} and --{other} together: leave one out")
    for name in ("manual_dir", "data_dir", "output", "preview", "annotations"):
        if flags.FLAGS[name].value == "":
            raise InputError(f"--{name} is empty: name a path, or leave it out")
    if AUDIT.value and not (ANNOTATIONS.value or MANUAL_DIR.value):
        raise InputError("nothing to audit: give --manual_dir or --annotations")
    for flag in (ANNOTATIONS, OUTPUT) if PRIOR.value else ():
        if not flag.value:
            raise InputError(f"--prior needs --{flag.name}: add it")
    reported = AUDIT.value or PRIOR.value
    if not (reported or TOY.value) and not MANUAL_DIR.value:
        raise InputError("no download: give --manual_dir, or --toy to draw one")
    if not (reported or PREVIEW.value) and not DATA_DIR.value:
        raise InputError("no place for the prepared set: give --data_dir")
    for name in OF_A_BUILD if TOY.value and not DATA_DIR.value else ():
        if is_given(name):
            raise InputError(f"--{name} needs --data_dir: add it")
    written = {"output": OUTPUT.value, "preview": PREVIEW.value}
    if TOY.value and MANUAL_DIR.value and not Path(MANUAL_DIR.value, SIZE).is_file():
        written["manual_dir"] = MANUAL_DIR.value  # it will be drawn there
    if DATA_DIR.value:
        written["data_dir"] = Path(DATA_DIR.value, TOY_NAME if TOY.value else NAME)
    for flag, folder in written.items():
        if folder:
            check_output(folder, flag)
    pictures = written.pop("preview")
    for flag, folder in written.items():
        if pictures and folder and Path(pictures).resolve() == Path(folder).resolve():
            raise InputError(
                f"--preview={pictures} is where --{flag} writes: name another folder"
            )


def is_given(name: str) -> bool:
    """Whether a flag is on the command line, and not as --noNAME."""
    flag = flags.FLAGS[name]
    return flag.present > 0 and flag.value is not False


def load(module: str) -> ModuleType:
    """Import a module of datasets/, which lies beside the library in a checkout."""
    if not (DATASETS / NAME).is_dir():
        raise InputError(
            f"there is no {DATASETS / NAME}: prepare runs in a checkout of the "
            "project, not from an installed package: clone it and run this there"
        )
    if str(DATASETS) not in sys.path:
        sys.path.append(str(DATASETS))
    with launch.needing("train"):
        return importlib.import_module(module)


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Turn the builder's DownloadError into InputError."""
    try:
        yield
    except load("open_pvsg.quirks").DownloadError as error:
        raise InputError(error) from error


def audit(begin: Callable) -> None:
    """Print the audit of --annotations or --manual_dir, and write it to --output."""
    reports = load("open_pvsg.audit")
    if ANNOTATIONS.value:
        read = load("open_pvsg.pvsg_json").read_annotations
        report = reports.audit_report(read(Path(ANNOTATIONS.value)))
    else:
        scan = load("open_pvsg.preparation").scan_download
        root = Path(MANUAL_DIR.value)
        scanned = scan(root, workers(), STRICT.value, begin, CHECKSUMS.value)
        report = reports.audit_report(scanned.annotations, scanned)
    print(reports.report_text(report), end="")
    if OUTPUT.value:
        paths = reports.write_report(report, Path(OUTPUT.value))
        print("written to", " and ".join(map(str, paths)))


def count_prior(path: Path, folder: Path) -> None:
    """Count the prior of an annotation file, score it, and write both to folder."""
    annotations = load("open_pvsg.pvsg_json").read_annotations(path)
    names = annotations.things, annotations.stuff, annotations.predicates
    vocabulary, videos = Vocabulary(*names), {"train": [], "val": []}
    for video in annotations.videos:
        kinds = {o.object_id: o.category for o in video.objects}
        # A relation counts once, however many spans it has.
        relations = {(s.subject_id, s.object_id, s.predicate) for s in video.spans}
        named = [(kinds[s], kinds[o], predicate) for s, o, predicate in relations]
        videos.setdefault(video.split, []).append(name_indices(named, vocabulary))
    if not any(map(len, videos["train"])):
        given = sum(v.num_relations for v in annotations.videos if v.split == "train")
        if given:
            raise InputError(
                f"{path}: none of the {given:,} relations of its split train can be "
                "used, as their names are not in its vocabulary, or for what --audit "
                "tells: mend them"
            )
        raise InputError(
            f"{path}: no relation in the videos of its split train, from which a prior "
            "is counted: give a pvsg.json with a split train and relations"
        )
    origin = {"sha256": annotations.sha256, "split": "train"}
    fitted = fit_prior(videos["train"], vocabulary, origin)
    print(write_report(folder, fitted, videos["val"]), end="")
    annotated = sum(v.num_relations for v in annotations.videos)
    used = sum(len(relations) for group in videos.values() for relations in group)
    print(
        f"\n{used:,} of {annotated:,} annotated relations are used: the same command "
        "with --audit in place of --prior tells why"
    )
    print(f"written to {folder}")


def write_prior_beside(folder: Path, name: str) -> None:
    """Write prior.json to the folder of a prepared set, unless it is there."""
    path = folder / "prior.json"
    if path.exists() or not (folder / "videos").is_dir():
        return
    dataset = importlib.import_module("c2g_jax.data.dataset")
    vocabulary, videos = dataset.open_annotations(folder.parent, name)
    train = [v.triplets for v in videos if v.split.endswith("_train")]
    if not any(map(len, train)):
        return
    annotations = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
    origin = {"sha256": annotations["pvsg.json"], "split": "train"}
    write_prior(path, fit_prior(train, vocabulary, origin))


def build_options() -> dict[str, Any]:
    """Return the arguments of `build` from the flags. Raises InputError."""
    known = load("open_pvsg.build").CONFIGS
    configs = CONFIG_NAMES.value or (TOY_CONFIGS if TOY.value else known)
    for config in configs:
        if config not in known:
            raise InputError(f"--config_names={config}: use {', '.join(known)}")
    return {
        "configs": configs,
        "workers": workers(),
        "strict": STRICT.value,
        "beam_options": beam_options(),
        "checksums": CHECKSUMS.value,
    }


def prepare(root: Path, name: str, begin: Callable, options: Mapping[str, Any]) -> None:
    """Prepare the download below root as DATA_DIR/name."""
    data_dir, before = Path(DATA_DIR.value), time.monotonic()
    folder = data_dir / name
    build = load("open_pvsg.build").build
    report = build(root, data_dir, name, begin=begin, **options)
    write_prior_beside(folder, name)
    if report is None:
        print(f"{folder} is prepared already")
        return
    total, took = report["total"], time.monotonic() - before
    print(
        f"{folder}: {total['usable_videos']} of {total['videos']} videos, "
        f"{total['usable_frames']:,} of {total['frames']:,} frames, {took:.0f} s"
    )
    faults = {n: q["count"] for n, q in report["quirks"].items() if q["fault"]}
    faults = ", ".join(f"{name} {count}" for name, count in faults.items() if count)
    print(f"faults in the download: {faults or 'none'}; see {folder / 'audit.txt'}")


def prepare_toy(begin: Callable, options: Mapping[str, Any]) -> None:
    """Draw the toy data set unless it is there; then preview and prepare it."""
    with contextlib.ExitStack() as stack:
        if MANUAL_DIR.value:
            root = Path(MANUAL_DIR.value)
        elif DATA_DIR.value:
            root = Path(DATA_DIR.value) / "downloads" / TOY_NAME
        else:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory()), TOY_NAME)
        if not is_drawn(root):
            lock = root.with_name(f".{root.name}.lock")
            with load("open_pvsg.lock").only_one(root, lock):
                draw_toy(root, begin)
        if PREVIEW.value:
            with output_folder(Path(PREVIEW.value)) as aside:
                load("toy_pvsg.preview").preview(root, aside)
            print(f"preview written to {PREVIEW.value}")
        if DATA_DIR.value:
            prepare(root, TOY_NAME, begin, options)


def is_drawn(root: Path) -> bool:
    """Whether root holds the toy data set; InputError if it holds anything else."""
    size_file = root / SIZE
    if size_file.is_file():
        size = size_file.read_text(encoding="utf-8").strip()
        if size != TOY_SIZE.value:
            raise InputError(
                f"{root} holds a toy data set of size {size}: use --toy_size={size} "
                "or another folder"
            )
        return True
    if root.exists() and any(root.iterdir()):
        raise InputError(f"{root} is not empty and holds no toy data set: name another")
    return False


def draw_toy(root: Path, begin: Callable) -> None:
    """Draw the toy download at root, atomically; the caller holds its lock."""
    if is_drawn(root):  # by the process that had the lock before
        return
    if root.exists():
        root.rmdir()  # empty; the new folder is renamed to it
    world = load("toy_pvsg.generate")
    run = functools.partial(load("open_pvsg.workers").run_tasks, workers=workers())
    size = world.SIZES[TOY_SIZE.value]
    frames = (size.train + size.val) * size.frames
    advance, before = None, 0

    def drawn(done: int, videos: int) -> None:  # called after each video
        nonlocal advance, before
        advance = advance or begin("drawn", frames)
        now = frames * done // videos
        advance(now - before)
        before = now

    with output_folder(root) as aside:
        report = world.generate(aside, TOY_SIZE.value, run=run, progress=drawn)
        (aside / SIZE).write_text(TOY_SIZE.value, encoding="utf-8")
    rate = report.frames / max(report.seconds, 1e-9)
    print(f"{root}: {report.frames:,} frames drawn, {rate:.0f} per second")


def workers() -> int:
    return WORKERS.value or os.cpu_count() or 1


def beam_options():
    """Return the options for Apache Beam, as `tfds build` takes them, or None."""
    if not BEAM_PIPELINE_OPTIONS.value:
        return None
    with launch.needing("tfds-cli"):
        options = importlib.import_module("apache_beam.options.pipeline_options")
    paths = (str(DATASETS), os.environ.get("PYTHONPATH"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # for its workers
    return options.PipelineOptions([f"--{o}" for o in BEAM_PIPELINE_OPTIONS.value])


if __name__ == "__main__":
    launch.run(main)
