"""A writer of .pt files without torch: the pickle's opcodes by hand."""

import pickle
import struct
import zipfile

import numpy as np

KINDS = {"float32": "Float", "float16": "Half", "int64": "Long", "uint8": "Byte"}


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def whole(value):
    return b"J" + struct.pack("<i", value) if abs(value) < 1 << 31 else long(value)


def long(value):
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(values):
    return b"(" + b"".join(map(whole, values)) + b"t"


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def storage(key, numel, kind="Float"):
    parts = text("storage") + named("torch", f"{kind}Storage") + text(key)
    return b"(" + parts + text("cpu") + whole(numel) + b"tQ"


def tensor(key, numel, shape, strides, offset=0, kind="Float"):
    """The opcodes of one tensor."""
    args = storage(key, numel, kind) + whole(offset) + numbers(shape)
    args += numbers(strides) + b"\x89" + named("collections", "OrderedDict") + b")R"
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + args + b"tR"


def mapping(items):
    """The opcodes of a dict, of those of its values."""
    rows = b"".join(text(name) + value for name, value in items.items())
    return b"}(" + rows + b"u"


def program(body):
    return b"\x80\x02" + body + b"."


def write(path, body, records=(), folder="archive", kind=zipfile.ZIP_STORED):
    """Write an archive with a pickle and records: {key: bytes}."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr(f"{folder}/data.pkl", program(body))
        archive.writestr(f"{folder}/byteorder", "little")
        for key, data in dict(records).items():
            archive.writestr(f"{folder}/data/{key}", data)
        archive.writestr(f"{folder}/version", "3\n")
    return path


def write_state(path, state):
    """Write {"model": state} of numpy arrays, as torch.save does."""
    items, records = {}, {}
    for key, (name, x) in enumerate(state.items()):
        strides = [step // x.itemsize for step in np.ascontiguousarray(x).strides]
        kind = KINDS[x.dtype.name]
        items[name] = tensor(str(key), x.size, x.shape, strides, kind=kind)
        records[str(key)] = np.ascontiguousarray(x).tobytes()
    return write(path, mapping({"model": mapping(items)}), records)


def reduced(module, name, args=b")"):
    return named(module, name) + args + b"R"


assert pickle.loads(program(mapping({"a": whole(3), "b": long(2**40)}))) == {
    "a": 3,
    "b": 2**40,
}
