"""What a .pt may hold: tensors. Everything else is refused, and nothing of it runs."""

import contextlib
import os
import pickle
import random
import zipfile

import numpy as np
import pytest

from c2g_jax.checkpoints.released.torch_file import read_torch_file
from c2g_jax.types import InputError
from tests.checkpoints.released.archive import (
    mapping,
    named,
    program,
    reduced,
    storage,
    tensor,
    text,
    whole,
    write,
)

VALUES = np.arange(12, dtype=np.float32)
RECORDS = {"0": VALUES.tobytes()}


def one(**changes):
    """A dict with one tensor of twelve numbers, changed."""
    form = {"key": "0", "numel": 12, "shape": (3, 4), "strides": (4, 1)} | changes
    return mapping({"x": tensor(**form)})


def test_views_of_one_storage(tmp_path):
    views = {
        "rows": tensor("0", 12, (2, 4), (4, 1), 4),
        "turned": tensor("0", 12, (4, 3), (1, 4)),
        "last": tensor("0", 12, (), (), 11),
        "empty": tensor("0", 12, (0,), (1,)),
        "any stride": tensor("0", 12, (1, 2), (2**62, 1)),
    }
    found = read_torch_file(write(tmp_path / "x.pt", mapping(views), RECORDS))
    x = VALUES.reshape(3, 4)
    wanted = {
        "rows": x[1:], "turned": x.T, "last": x[2, 3], "empty": x[:0, 0],
        "any stride": x[:1, :2],
    }  # fmt: skip
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name].read(), values)
        assert found[name].read().dtype == np.float32


DAMAGED = {
    "an offset beyond": one(offset=1),
    "a giant offset": one(offset=2**62),
    "a negative offset": one(offset=-1),
    "a giant stride": one(strides=(2**40, 1)),
    "a negative stride": one(strides=(-4, 1)),
    "a giant size": one(shape=(2**40, 4)),
    "repeated elements": one(shape=(2**40, 2**20), strides=(0, 0)),
    "giant and empty": one(shape=(0, 2**40), strides=(1, 1)),
    "too few strides": one(strides=(1,)),
    "hundred axes": one(shape=(1,) * 100, strides=(1,) * 100),
    "a storage larger than its record": one(numel=13),
    "a storage smaller than its record": one(numel=11),
    "no such record": one(key="1"),
    "a record outside": one(key="../data.pkl"),
    "a list in itself": b"]q\x00h\x00a",
    "a dict in itself": b"}q\x00" + text("a") + b"h\x00s",
    "twice itself, 60 times": b"]q\x00" + b"](h\x00h\x00eq\x00" * 60,
    "deep": b"]" * 100 + b"a" * 99,
    "no memo": b"h\x07",
    "a giant memo": b"Nr\xff\xff\xff\xffj\xfe\xff\xff\xff",
    "no mark": b"]e",
    "nothing": b"",
    "two values": b"NN",
    "a key of a list": b"}]Ns",
    "a tuple as key": b"}" + b")" + b"\x85" * 1000 + b"Ns",
    "a name of two lines": mapping({"a\nb": b"N"}),
    "a giant number as key": b"}\x8a\xff" + b"\x01" * 255 + b"Ns",
    "attributes of a number": b"K\x01}b",
    "a call of a string": text("os.system") + b")R",
    "a call of a storage": storage("0", 12) + b")R",
    "a storage of strings": b"(" + text("storage") * 5 + b"tQ",
    "another persistent object": text("module") + b"Q",
    "unknown opcodes": b"\xff\xfe",
    "a text beyond the end": b"X\xff\xff\xff\x7fab",
    "a text of 2^63 bytes": b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fab",
}
MARKER = "c2g_torch_file_marker"
FORBIDDEN = {
    "os.system": reduced("os", "system", text(f"touch {MARKER}") + b"\x85"),
    "builtins.eval": reduced("builtins", "eval", text("1/0") + b"\x85"),
    "builtins.getattr": named("builtins", "getattr"),
    "posix.system": text("posix") + text("system") + b"\x93",
    "torch.load": named("torch", "load"),
    "torch._utils._rebuild_qtensor": named("torch._utils", "_rebuild_qtensor"),
    "collections.OrderedDict.pop": named("collections", "OrderedDict.pop"),
    "INST": b"(" + text("x") + b"ios\nsystem\n",
    "OBJ": b"(" + named("collections", "OrderedDict") + b"o",
    "NEWOBJ": named("collections", "OrderedDict") + b")\x81",
    "EXT1": b"\x82\x01",
    "PERSID": b"Pa\n",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be(name, tmp_path):
    path = write(tmp_path / "x.pt", DAMAGED[name], RECORDS)
    with pytest.raises(InputError, match=r"x\.pt cannot be read as a checkpoint"):
        read_torch_file(path)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_objects_are_refused_by_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    body = mapping({"model": one(), "args": FORBIDDEN[name]})
    write(tmp_path / "x.pt", body, RECORDS)
    with pytest.raises(InputError) as caught:
        read_torch_file(tmp_path / "x.pt")
    assert name in str(caught.value)
    assert "Python objects besides tensors" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["x.pt"]


def test_nothing_that_python_would_call_runs(tmp_path):
    """`pickle` itself runs the same file."""

    class Call:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    body = pickle.dumps(Call(), 2)[2:-1]
    write(tmp_path / "x.pt", body)
    with pytest.raises(InputError, match="mkdir"):
        read_torch_file(tmp_path / "x.pt")
    assert not (tmp_path / "made").exists()
    pickle.loads(program(body))
    assert (tmp_path / "made").exists()


def test_random_pickles_end_in_one_line(tmp_path):
    """Bytes of a good pickle replaced, removed and doubled."""
    rng, good = random.Random(0), one()
    for _ in range(300):
        body = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(body))
            change = rng.randrange(3)
            if change == 0:
                body[at] = rng.randrange(256)
            elif change == 1:
                del body[at : at + rng.randint(1, 5)]
            else:
                body[at:at] = body[at : at + rng.randint(1, 9)]
        write(tmp_path / "x.pt", bytes(body), RECORDS)
        # Any other error fails the test.
        with contextlib.suppress(InputError):
            read_torch_file(tmp_path / "x.pt")


def test_archives_that_are_not_of_torch(tmp_path):
    path = tmp_path / "x.pt"
    write(path, one(), RECORDS, kind=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="another kind of file"):
        read_torch_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(InputError, match="another kind of file"):
        read_torch_file(path)
    whole_file = write(path, one(), RECORDS).read_bytes()
    for length in range(0, len(whole_file), 23):
        path.write_bytes(whole_file[:length])
        with pytest.raises(InputError, match="cut short"):
            read_torch_file(path)


def test_the_format_before_1_6_is_named(tmp_path):
    (tmp_path / "x.pt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2))
    with pytest.raises(InputError, match=r"before 1\.6.*torch\.save\(torch\.load"):
        read_torch_file(tmp_path / "x.pt")


def test_numbers_beside_the_tensors_are_read(tmp_path):
    body = mapping({"epoch": whole(3), "lr": b"G?\xf0\0\0\0\0\0\0", "x": b"N"})
    found = read_torch_file(write(tmp_path / "x.pt", body))
    assert found == {"epoch": 3, "lr": 1.0, "x": None}
