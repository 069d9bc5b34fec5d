"""The pickle of a .pt, interpreted here: tensors and plain values, nothing else.

Python's own unpickler calls what a file names. This one calls nothing: it knows the
opcodes that torch.save writes, and a table of names; each makes a plain value of ours.
Written after the documentation of `pickletools`, and `torch._utils`.
"""

import pickletools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from c2g_jax.checkpoints.released.stored_tensor import DTYPES

# torch.FloatStorage and others: the dtype of their elements.
_STORAGES = {
    f"torch.{kind}Storage": dtype
    for kind, dtype in {
        "Double": "float64", "Float": "float32", "Half": "float16",
        "BFloat16": "bfloat16", "Long": "int64", "Int": "int32", "Short": "int16",
        "Char": "int8", "Byte": "uint8", "Bool": "bool",
        "ComplexFloat": "complex64", "ComplexDouble": "complex128",
    }.items()
} | {"torch.storage.UntypedStorage": "uint8"}  # fmt: skip
_VALUES = {f"torch.{name}" for name in DTYPES}
_REBUILD, _REBUILD_TYPED = (f"torch._utils._rebuild_tensor_v{n}" for n in (2, 3))
_DEPTH, _ENTRIES, _NAME = 64, 1_000_000, 1000
_MARK = object()
_PLAIN = (
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class Forbidden(Exception):
    """The file holds an object that is not loaded; the message names it."""


class Malformed(Exception):
    """The file is no pickle of torch, or its values cannot be."""


class Storage(NamedTuple):
    """The numbers of one or several tensors: a record of the archive."""

    key: str
    dtype: str
    numel: int


class _Name(NamedTuple):
    """A name of Python's, which stands for itself."""

    name: str


# storage, offset, shape, strides, dtype: returns the tensor, or raises Malformed.
Rebuild = Callable[[Storage, int, tuple[int, ...], tuple[int, ...], str], Any]


def read_torch_pickle(data: bytes, rebuild: Rebuild) -> Any:
    """Return what a pickle holds: dicts, lists, tuples, plain values and tensors.

    Tensors are made by `rebuild`. Forbidden where it names anything else, Malformed
    where it is damaged or nested without end.
    """
    try:
        content = _Machine(rebuild).run(data)
    except (Forbidden, Malformed):
        raise
    # What reading past a stack's end, wrong types and bad text raise.
    except (IndexError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise Malformed(str(error)) from error
    _check_tree(content)
    return content


def _check_tree(content: Any) -> None:
    """Raise Malformed for cycles, and for what would take without end to walk."""
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict):
            value = list(value.values())
        if type(value) not in (list, tuple):
            continue
        seen += len(value)
        if depth > _DEPTH or seen > _ENTRIES:
            raise Malformed("values are nested in each other")
        waiting += [(part, depth + 1) for part in value]


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, rebuild: Rebuild):
        self.rebuild = rebuild
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, arg, _ in pickletools.genops(data):
            name = opcode.name
            if name in _PLAIN:
                self.stack.append(_CONSTANTS.get(name, arg))
            elif name == "STOP":
                (content,) = self.stack
                return content
            elif name in ("PROTO", "FRAME"):
                continue
            elif name in ("BINGET", "LONG_BINGET"):
                self.stack.append(self.memo[arg])
            elif name in ("BINPUT", "LONG_BINPUT"):
                self.memo[arg] = self.stack[-1]
            elif name == "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            elif name == "GLOBAL":
                self.stack.append(_known(arg.replace(" ", ".", 1)))
            else:
                step = getattr(self, f"do_{name.lower()}", None)
                if step is None:
                    raise Forbidden(f"an object made by {name}")
                step()
        raise Malformed("it has no end")

    def items(self) -> list[Any]:
        """Take what lies on the stack above the last mark, and the mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise Malformed("it has no mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def do_mark(self) -> None:
        self.stack.append(_MARK)

    def do_empty_dict(self) -> None:
        self.stack.append({})

    def do_empty_list(self) -> None:
        self.stack.append([])

    def do_empty_tuple(self) -> None:
        self.stack.append(())

    def do_tuple(self) -> None:
        self.stack.append(tuple(self.items()))

    def do_tuple1(self) -> None:
        self.take(1)

    def do_tuple2(self) -> None:
        self.take(2)

    def do_tuple3(self) -> None:
        self.take(3)

    def take(self, count: int) -> None:
        if len(self.stack) < count:
            raise Malformed("a tuple lacks values")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(values)

    def do_append(self) -> None:
        value = self.stack.pop()
        _of(list, self.stack[-1]).append(value)

    def do_appends(self) -> None:
        values = self.items()
        _of(list, self.stack[-1]).extend(values)

    def do_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _of(dict, self.stack[-1])[_key(key)] = value

    def do_setitems(self) -> None:
        values = self.items()
        _fill(_of(dict, self.stack[-1]), values[::2], values[1::2])

    def do_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_known(f"{_of(str, module)}.{_of(str, name)}"))

    def do_build(self) -> None:
        """Drop the attributes of an OrderedDict: versions of the modules."""
        self.stack.pop()
        _of(dict, self.stack[-1])

    def do_binpersid(self) -> None:
        kind, storage, key, _, numel = _of(tuple, self.stack.pop())
        name = _of(_Name, storage).name
        if kind != "storage" or name not in _STORAGES or _of(int, numel) < 0:
            raise Malformed("it has an object besides storages")
        self.stack.append(Storage(_of(str, key), _STORAGES[name], numel))

    def do_reduce(self) -> None:
        args, made = _of(tuple, self.stack.pop()), _of(_Name, self.stack.pop())
        self.stack.append(self.make(made.name, args))

    def make(self, name: str, args: tuple) -> Any:
        """Return the value that a name makes of its arguments."""
        if name == "collections.OrderedDict":
            (pairs,) = args or ([],)
            keys, values = zip(*pairs, strict=True) if pairs else ((), ())
            return _fill({}, keys, values)
        if name in (_REBUILD, _REBUILD_TYPED):
            storage, offset, shape, strides = args[:4]
            storage, dtype = _of(Storage, storage), storage.dtype
            if name == _REBUILD_TYPED:
                dtype = _of(_Name, args[6]).name.removeprefix("torch.")
            shape, strides = _numbers(shape), _numbers(strides)
            return self.rebuild(storage, *_numbers((offset,)), shape, strides, dtype)
        if name == "torch._utils._rebuild_parameter":
            return args[0]
        if name == "torch.Size":
            return _numbers(args[0])
        if name == "torch.device":
            return ":".join(map(str, args))
        raise Forbidden(name)


_MAKERS = {
    "collections.OrderedDict", _REBUILD, _REBUILD_TYPED,
    "torch._utils._rebuild_parameter", "torch.Size", "torch.device",
}  # fmt: skip


def _known(name: str) -> _Name:
    if name not in _MAKERS and name not in _STORAGES and name not in _VALUES:
        raise Forbidden(name)
    return _Name(name)


def _of(kind: type, value: Any) -> Any:
    """Return a value of this very type, or raise Malformed."""
    if type(value) is not kind:
        raise Malformed(f"{type(value).__name__} in place of {kind.__name__}")
    return value


def _numbers(values: Any) -> tuple[int, ...]:
    """Return sizes, strides or an offset; none is negative or beyond 63 bits."""
    if type(values) not in (tuple, list):
        raise Malformed("sizes are no list")
    if any(type(x) is not int or not 0 <= x < 1 << 63 for x in values):
        raise Malformed("a size is no whole number from 0 on")
    if len(values) > 32:
        raise Malformed("a tensor has more than 32 axes")
    return tuple(values)


def _key(key: Any) -> Any:
    """Return a key of a dict: a printable name, or a number that can be."""
    if type(key) is str and len(key) <= _NAME and key.isprintable():
        return key
    if type(key) is int and abs(key) < 1 << 63:
        return key
    raise Malformed("a name is no text")


def _fill(target: dict, keys: Sequence, values: Sequence) -> dict:
    for key, value in zip(keys, values, strict=True):
        target[_key(key)] = value
    return target
