"""What a program compiled by XLA costs a GPU: read from the text of its HLO.

A kernel is an instruction of the entry computation, or of the body of a loop, that does
work. It is charged for its operands and results, once each, as traffic to and from the
card's memory, and for the arithmetic of its matrix products. What stays in a cache
between kernels is charged all the same. Of an operand that a kernel only slices, the
slices are charged; of one that it updates in place, the update. Of the branches of a
condition the one that moves most is charged.
"""

import collections
import dataclasses
import math
import re
import warnings
from collections.abc import Iterator

_BYTES = dict(
    f64=8, s64=8, u64=8, f32=4, s32=4, u32=4, bf16=2, f16=2, s16=2, u16=2
) | dict(s8=1, u8=1, pred=1)
_FREE = ("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "after-all")
_WRAPPERS = ("call", "async-start", "async-done")
_COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)
_LAUNCH = 2e-6  # seconds between kernels of one program
_USED = 0.6  # share of the peak that matrix products reach


@dataclasses.dataclass(frozen=True)
class Card:
    """A GPU: dense bfloat16 FLOP/s, bytes per second from its memory."""

    name: str
    peak: float
    bandwidth: float


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel of a program, with the number of times it runs in a call."""

    name: str
    times: int
    moved: int  # bytes, each time
    flops: int
    origin: str  # the operation of the model

    def seconds(self, card: Card) -> float:
        """Estimate of all runs: memory or arithmetic, and the launch."""
        work = max(self.moved / card.bandwidth, self.flops / (_USED * card.peak))
        return self.times * (work + _LAUNCH)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Kernels of a program, its loops, and bytes of each kind of collective."""

    kernels: tuple[Kernel, ...]
    loops: int
    collectives: dict[str, int]

    @property
    def count(self) -> int:
        return sum(k.times for k in self.kernels)

    @property
    def moved(self) -> int:
        return _moved(self.kernels)

    @property
    def flops(self) -> int:
        return sum(k.times * k.flops for k in self.kernels)

    def seconds(self, card: Card) -> float:
        return sum(k.seconds(card) for k in self.kernels)


@dataclasses.dataclass(frozen=True)
class _Instruction:
    name: str
    kind: str  # the type of the result, such as "bf16[4,4096,256]{2,1,0}"
    opcode: str
    operands: tuple[str, ...]
    rest: str  # attributes
    number: int  # of a parameter, else -1

    def called(self, *keys: str) -> list[str]:
        return re.findall(rf"(?:{'|'.join(keys)})=%?([\w.\-]+)", self.rest)

    @property
    def branches(self) -> list[str]:
        listed = re.search(r"branch_computations=\{([^}]*)\}", self.rest)
        if listed:
            return re.findall(r"[\w.\-]+", listed.group(1))
        return self.called("true_computation", "false_computation")

    @property
    def origin(self) -> str:
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found.group(1) if found else ""


def _arrays(kind: str) -> list[tuple[int, tuple[int, ...]]]:
    """Return (bytes per element, shape) of each array in a type."""
    found = re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", kind)
    shapes = [
        (_BYTES.get(t, 0), tuple(map(int, filter(None, s.split(",")))))
        for t, s in found
    ]
    return [x for x in shapes if x[0]]


def _size(kind: str) -> int:
    return sum(width * math.prod(shape) for width, shape in _arrays(kind))


class _Program:
    """The computations of a module, by name."""

    def __init__(self, text: str):
        self.computations: dict[str, list[_Instruction]] = {}
        self.types: dict[tuple[str, str], str] = {}
        self.entry, here = "", ""
        for line in text.splitlines():
            head = re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$", line)
            if head:
                here = head.group(2)
                self.computations[here] = []
                self.entry = here if head.group(1) else self.entry
                continue
            row = re.match(r"\s+(?:ROOT )?%?([\w.\-]+) = (.+?) ([\w\-]+)\((.*)$", line)
            if row and here:
                name, kind, opcode, tail = row.groups()
                inside, _, rest = tail.partition(")")
                operands = tuple(re.findall(r"%([\w.\-]+)", inside))
                self.types[here, name] = kind
                number = int(inside) if opcode == "parameter" else -1
                item = _Instruction(name, kind, opcode, operands, rest, number)
                self.computations[here].append(item)

    def shapes(self, where: str, item: _Instruction) -> list[tuple[int, ...]]:
        """Return the shapes of the operands that are arrays."""
        kinds = (self.types.get((where, name), "") for name in item.operands)
        return [_arrays(kind)[0][1] for kind in kinds if _arrays(kind)]

    def flops(self, where: str, item: _Instruction) -> int:
        """Return the FLOPs of the products in an instruction and what it calls."""
        total = self._own_flops(where, item)
        for callee in item.called("calls"):
            total += sum(self.flops(callee, x) for x in self.computations[callee])
        return total

    def _own_flops(self, where: str, item: _Instruction) -> int:
        custom = re.search(r'custom_call_target="([^"]+)"', item.rest)
        target = custom.group(1) if custom else ""
        shapes = self.shapes(where, item)
        if item.opcode == "dot" or "gemm" in target or "matmul" in target:
            given = r'lhs_contracting_(?:dims=\{|dimensions":\[)([\d",]*)'
            axes = re.findall(r"\d+", re.search(given, item.rest).group(1))
            depth = math.prod(shapes[0][int(axis)] for axis in axes)
            return 2 * math.prod(_arrays(item.kind)[0][1]) * depth
        if item.opcode == "convolution" or "conv" in target.lower():
            return _convolution(item, shapes)
        if "triton" in target and "FlashAttention" in item.rest:
            return _attention(item, shapes)
        return 0

    def moved(self, where: str, item: _Instruction) -> int:
        """Return the bytes that a kernel reads and writes."""
        written = _size(item.kind)
        if "custom_call_target" in item.rest:  # without the library's workspace
            written = sum(
                width * math.prod(shape)
                for width, shape in _arrays(re.sub(r"\b[us]8\[", "none[", item.kind))
            )
        read, seen = 0, set()
        inside = item.called("calls") if item.opcode == "fusion" else []
        updated = self._updated(inside[0]) if inside else {}
        for position, name in enumerate(item.operands):
            if name in seen:  # read once if given twice
                continue
            seen.add(name)
            whole = _size(self.types.get((where, name), ""))
            if position in updated:
                # The rest of the array stays where it is.
                written += updated[position] - whole
                continue
            part = self._sliced(inside[0], position) if inside else None
            read += whole if part is None else min(part, whole)
        return read + written

    def _parameter(self, where: str, position: int) -> str | None:
        for item in self.computations[where]:
            if item.opcode == "parameter" and item.number == position:
                return item.name
        return None

    def _users(self, where: str, name: str) -> Iterator[_Instruction]:
        """Yield the users of a value in a computation, through bitcasts."""
        for item in self.computations[where]:
            if name in item.operands:
                if item.opcode == "bitcast":
                    yield from self._users(where, item.name)
                else:
                    yield item

    def _sliced(self, where: str, position: int) -> int | None:
        """Return the bytes of the slices that are all that is read of a parameter."""
        users = list(self._users(where, self._parameter(where, position) or ""))
        slices = ("slice", "dynamic-slice", "gather")
        if not users or any(user.opcode not in slices for user in users):
            return None
        return sum(_size(user.kind) for user in users)

    def _updated(self, where: str) -> dict[int, int]:
        """Return {parameter: bytes} of the updates that a fusion writes in place."""
        numbers = {item.name: item.number for item in self.computations[where]}
        return {
            numbers[item.operands[0]]: _size(self.types[where, item.operands[1]])
            for item in self.computations[where]
            if item.opcode == "dynamic-update-slice"
        }


def _convolution(item: _Instruction, shapes: list[tuple[int, ...]]) -> int:
    """Return the FLOPs: two for each output, input channel of its group and tap."""
    labels = re.search(r"dim_labels=\w+_(\w+)->(\w+)", item.rest)
    kernel, out = shapes[1], _arrays(item.kind)[0][1]
    outputs = labels.group(1).index("o")
    return 2 * math.prod(out) * math.prod(kernel) // kernel[outputs]


def _attention(item: _Instruction, shapes: list[tuple[int, ...]]) -> int:
    """Return the FLOPs of the products in a fused attention, forward or backward."""
    q, k, v = [x for x in shapes if len(x) >= 3][:3]
    pairs = 2 * math.prod(q[:-1]) * k[-3]
    wide, narrow = q[-1], v[-1]
    if "dkdv" in item.rest or "dk_dv" in item.rest:
        return pairs * (2 * wide + 2 * narrow)
    if "_dq" in item.rest:
        return pairs * (2 * wide + narrow)
    return pairs * (wide + narrow)


def _moved(kernels: tuple[Kernel, ...]) -> int:
    return sum(k.times * k.moved for k in kernels)


def read_cost(text: str) -> Cost:
    """Return the cost of one call of a compiled program, from `as_text()`."""
    program = _Program(text)
    loops, collectives = 0, collections.Counter()

    def walk(where: str, times: int) -> Iterator[Kernel]:
        nonlocal loops
        for item in program.computations[where]:
            if item.opcode in _FREE or item.opcode.endswith("-done"):
                continue
            if item.opcode == "while":
                loops += times
                trips = re.search(r'"known_trip_count":\{"n":"(\d+)"', item.rest)
                if trips is None:
                    warnings.warn(
                        f"{item.name}: a loop of unknown length is counted once",
                        stacklevel=2,
                    )
                (body,) = item.called("body")
                yield from walk(body, times * (int(trips.group(1)) if trips else 1))
                continue
            if item.opcode == "conditional":
                branches = [tuple(walk(name, times)) for name in item.branches]
                yield from max(branches, key=_moved)
                continue
            if item.opcode in _WRAPPERS:
                for callee in item.called("to_apply", "calls"):
                    yield from walk(callee, times)
                continue
            kind = item.opcode.removesuffix("-start")
            if kind in _COLLECTIVES:
                collectives[kind] += times * _size(item.kind)
            moved, flops = program.moved(where, item), program.flops(where, item)
            yield Kernel(item.name, times, moved, flops, item.origin)

    kernels = tuple(walk(program.entry, 1))
    return Cost(kernels, loops, dict(collectives))
