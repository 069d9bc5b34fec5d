import dataclasses

import numpy as np
import pytest
from PIL import Image

import c2g_jax
from c2g_jax.checkpoints import pretrained
from c2g_jax.checkpoints.pretrained import save_click2graph, save_sam2
from c2g_jax.session.file import read_session
from c2g_jax.types import InputError
from tests.clips import number_of, numbered, write_clip
from tests.commands import python
from tests.session import scripted
from tests.session.bold import random_model
from tests.session.conftest import everything, run

KINDS = ("a.mp4", "a.mov", "a.webm", "folder", "a.png")


def source(folder, kind):
    """A video of twelve frames (an image of one) that tell their own number."""
    pictures = [numbered(t, 64, 64) for t in range(12)]
    path = folder / kind
    if kind == "folder":
        path.mkdir()
        for t, rgb in enumerate(pictures):
            Image.fromarray(rgb).save(path / f"{t}.png")
    elif kind == "a.png":
        Image.fromarray(pictures[0]).save(path)
    else:
        write_clip(path, pictures, codec="libvpx" if "webm" in kind else "libx264")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_video(make_session, kind, tmp_path):
    session = make_session(source(tmp_path, kind), fps=None)
    count = 1 if kind == "a.png" else 12
    assert (session.video.num_frames, session.video.width) == (count, 64)
    assert len(session.video.times) == count
    for frame in (count - 1, 0, count // 2):
        assert number_of(session.image(frame)) == frame
    session.click(0, 12, 12)
    assert run(session.track()) == list(range(count))
    assert session.graph().video.times == session.video.times
    session.export("overlay", tmp_path / "overlay.mp4")


def test_frames_are_sampled_as_asked(make_session, tmp_path):
    path = source(tmp_path, "a.mp4")  # thirty frames a second
    session = make_session(path, fps=10, start=0.1, max_frames=2)
    assert [number_of(session.image(t)) for t in (0, 1)] == [3, 6]
    assert session.video.times == pytest.approx((0.1, 0.2))


def test_a_file_knows_its_video_and_how_it_was_sampled(make_session, tmp_path):
    path = source(tmp_path, "a.mp4")
    session = make_session(path, fps=10)
    session.click(0, 12, 12)
    session.save(tmp_path / "a.c2g")
    again = c2g_jax.open_session(tmp_path / "a.c2g", model=scripted.model())
    assert everything(again) == everything(session)
    assert again.video.fps == session.video.fps
    path.rename(tmp_path / "b.mp4")
    with pytest.raises(InputError, match=r"a\.mp4"):
        c2g_jax.open_session(tmp_path / "a.c2g", model=scripted.model())
    moved = c2g_jax.open_session(
        tmp_path / "a.c2g", tmp_path / "b.mp4", model=scripted.model()
    )
    assert everything(moved) == everything(session)


def test_the_checkpoint_that_ships_is_taken_and_known_by_its_hash(
    world, tmp_path, monkeypatch
):
    monkeypatch.setattr(pretrained, "TOY_CHECKPOINT", tmp_path / "toy")
    frames = scripted.video(3)
    with pytest.raises(InputError, match="no checkpoint is given and none ships"):
        c2g_jax.open(frames)
    save_click2graph(random_model(), tmp_path / "toy")
    session = c2g_jax.open(frames)
    assert session.model.config.sam2.image_size == 64
    session.click(0, 12, 12)
    checkpoint = session.graph().provenance["checkpoint"]
    assert (checkpoint["name"], len(checkpoint["sha256"])) == ("toy", 64)
    session.save(tmp_path / "a.c2g")
    again = c2g_jax.open_session(tmp_path / "a.c2g", frames)
    assert everything(again) == everything(session)
    session.source = dataclasses.replace(session.source, sha256="0" * 64)
    session.save(tmp_path / "b.c2g")
    saved = read_session(tmp_path / "b.c2g")
    with pytest.raises(InputError, match="other weights"):
        again.restore(saved)


def test_a_checkpoint_of_sam2_alone_is_warned_of(world, tmp_path, recwarn):
    save_sam2(random_model().sam2, tmp_path / "alone")
    save_click2graph(random_model(), tmp_path / "whole")
    c2g_jax.open(scripted.video(3), tmp_path / "whole").close()
    assert not [w for w in recwarn if "SAM2.1 alone" in str(w.message)]
    with pytest.warns(UserWarning, match="alone holds SAM2.1 alone") as told:
        c2g_jax.open(scripted.video(3), tmp_path / "alone").close()
    assert told[0].filename == __file__


def test_what_is_recorded_is_what_the_model_has(make_session, tmp_path):
    session = make_session(model=scripted.model(discover_every=3), fps=10)
    session.click(0, 12, 12)
    wanted = dict(
        fps=10, start=None, end=None, max_frames=None, image_size=64, dtype="float32"
    )
    assert session.graph().provenance["options"] == wanted | {"discover_every": 3}
    session.save(tmp_path / "a.c2g")
    assert read_session(tmp_path / "a.c2g").source.options["discover_every"] == 3


def test_what_cannot_be_opened_is_named(tmp_path):
    model = scripted.model()
    with pytest.raises(InputError, match="no such video"):
        c2g_jax.open(tmp_path / "missing.mp4", model=model)
    with pytest.raises(InputError, match="cannot be read again"):
        c2g_jax.open((np.zeros((8, 8, 3), np.uint8) for _ in range(3)), model=model)
    with pytest.raises(InputError, match="give one of them"):
        c2g_jax.open(scripted.video(), tmp_path, model=model)
    with pytest.raises(InputError, match="no checkpoint in"):
        c2g_jax.open(scripted.video(), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(max_frames=2.5), "max_frames is 2.5: give a whole number"),
        (dict(max_frames="3"), "max_frames is '3': give a whole number"),
        (dict(fps="5"), "fps is '5': give a number"),
        (dict(fps=True), "fps is True: give a number"),
        (dict(start=None, end="2"), "end is '2': give a number"),
        (dict(checkpoint=5), "5 is not a path: give the name of a folder"),
        (dict(autosave=5), "5 is not a path: give the name of a file"),
        (dict(cached_frames=-3), "cached_frames is -3: give a whole number, 1 or more"),
        (dict(cached_frames="a"), "cached_frames is 'a'"),
        (dict(spans=3), "spans is 3: give SpanConfig"),
        (dict(adapt="x"), "adapt is 'x': give AdaptConfig"),
        (dict(model=3), "model is 3: give a Click2Graph"),
        (dict(discover_every=0), "discover_every is 0: give a whole number, 1 or more"),
        (dict(discover_every=1.5), "discover_every is 1.5"),
        (dict(image_size=0), "image size 0 is not a positive multiple of 32"),
        (dict(image_size=250), "image size 250 is not a .* of 32 .*: try 256"),
        (dict(image_size=-64), "image size -64 is not a positive multiple of 32"),
        (dict(image_size="x"), "image_size is 'x': give a whole number"),
        (dict(dtype="float16"), "unknown dtype 'float16': choose float32 or bfloat16"),
        (dict(dtype=3), "unknown dtype 3"),
    ],
)
def test_an_option_that_cannot_be_is_named(options, words):
    with pytest.raises(InputError, match=words) as told:
        c2g_jax.open(scripted.video(), **options)
    assert "manifest" not in str(told.value)


def test_sampling_by_numbers_of_numpy(make_session, tmp_path):
    path = source(tmp_path, "a.mp4")
    session = make_session(path, fps=np.float32(10), max_frames=np.int64(2))
    session.save(tmp_path / "a.c2g")
    again = c2g_jax.open_session(tmp_path / "a.c2g", model=scripted.model())
    assert (again.video.num_frames, again.video.fps) == (2, 10)
    with pytest.raises(InputError, match="5 is not a path"):
        c2g_jax.open_session(5)


def test_the_package_opens_without_jax_until_it_is_needed():
    code = "import sys, c2g_jax; print(callable(c2g_jax.open), 'jax' in sys.modules)"
    done = python("-c", code)
    assert done.stdout.split() == ["True", "False"], done.stderr
