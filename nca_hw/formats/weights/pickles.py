"""A pickle read as data: a small machine that knows dictionaries, lists, numbers, texts and tensors, and calls nothing.

A pickle is a program, and Python's own machine runs whatever functions it names. This one knows the six names that PyTorch writes for a
state dict and makes records of them; any other name ends it. Source: Python's Lib/pickletools.py; PyTorch, torch/serialization.py.
"""

from __future__ import annotations

import io
import pickletools
import warnings
from dataclasses import dataclass
from typing import Any

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, ONLY_THE_MODEL, quoted

STEPS = 100_000  # opcodes; a state dict with its optimizer's needs a few thousand
STATE_DICT = "Load it where it was made, and save plain tensors: torch.save(model.state_dict(), 'model.pt')."
STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16", "CharStorage": "int8",
    "ByteStorage": "uint8", "ShortStorage": "int16", "IntStorage": "int32", "LongStorage": "int64", "BoolStorage": "bool",
}  # fmt: skip
ORDERED_DICT = "collections OrderedDict"
TENSOR = "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"
NAMES = {ORDERED_DICT, TENSOR, PARAMETER, *(f"{module} {name}" for module in ("torch", "torch.cuda") for name in STORAGES)}


@dataclass(frozen=True)
class Name:
    """A function or class that the pickle names: a word, never the thing itself."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Numbers that lie elsewhere in the file under a key."""

    key: str
    dtype: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    pass


MARK = _Mark()
_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_ARGUMENTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load(stream: io.BytesIO) -> Any:
    """The value of the pickle at the stream's place: dict, list, tuple, number, text, None, Storage, Tensor. The place moves behind it.

    Raises:
        NcaHwError: it names anything else than a state dict needs, is damaged, or is far longer than a state dict.
    """
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pickletools unescapes names, and damaged ones hold odd escapes
            for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if step >= STEPS:
                    raise NcaHwError(f"holds a pickle of more than {STEPS} steps", cure=ONLY_THE_MODEL)
                if opcode.name == "STOP":
                    return machine.pop()
                machine.do(opcode.name, argument)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise NcaHwError(f"holds a damaged pickle ({error!s:.80})", cure=DAMAGED) from None
    raise NcaHwError("holds a pickle without an end", cure=DAMAGED)


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise ValueError("a mark where a value belongs")
        return value

    def since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def do(self, name: str, argument: Any) -> None:
        push = self.stack.append
        if name in _ARGUMENTS:
            push(argument)
        elif name in _LITERALS:
            push(_LITERALS[name])
        elif name in _TUPLES:
            push(tuple([self.pop() for _ in range(_TUPLES[name])][::-1]))
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "MARK":
            push(MARK)
        elif name == "EMPTY_DICT":
            push({})
        elif name == "EMPTY_LIST":
            push([])
        elif name == "EMPTY_TUPLE":
            push(())
        elif name == "TUPLE":
            push(tuple(self.since_mark()))
        elif name == "LIST":
            push(self.since_mark())
        elif name == "DICT":
            push(_filled({}, self.since_mark()))
        elif name in ("APPEND", "APPENDS"):
            values = [self.pop()] if name == "APPEND" else self.since_mark()
            _expect(self.stack[-1], list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [self.pop(), self.pop()][::-1] if name == "SETITEM" else self.since_mark()
            _filled(_expect(self.stack[-1], dict), values)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            push(self.memo[argument])
        elif name == "GLOBAL":
            push(_named(argument))
        elif name == "STACK_GLOBAL":
            last, module = self.pop(), self.pop()
            push(_named(f"{module} {last}"))
        elif name == "REDUCE":
            arguments, function = self.pop(), self.pop()
            push(_made(_expect(function, Name).name, _expect(arguments, tuple)))
        elif name == "BUILD":  # attributes of an OrderedDict: versions of modules, which nothing here needs
            self.pop()
            _expect(self.stack[-1], dict)
        elif name == "BINPERSID":
            push(_storage(self.pop()))
        else:
            raise NcaHwError(f"holds a pickle that is no state dict (opcode {name})", cure=STATE_DICT)


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _named(name: str) -> Name:
    if name not in NAMES:
        raise NcaHwError(f"is a pickle that needs {quoted(name.replace(' ', '.', 1))} to run, and files run nothing here", cure=STATE_DICT)
    return Name(name)


def _made(name: str, arguments: tuple[Any, ...]) -> Any:
    if name == ORDERED_DICT:
        made: dict[Any, Any] = {}
        for pair in arguments[0] if arguments else ():
            _filled(made, list(pair))
        return made
    if name == PARAMETER:
        return _expect(arguments[0], Tensor)
    if name != TENSOR:
        raise ValueError(f"a call of {name}")
    storage, offset, shape, strides = arguments[:4]
    if not 0 <= _expect(offset, int) < 1 << 40:
        raise ValueError("an impossible offset")
    return Tensor(_expect(storage, Storage), offset, _expect(shape, tuple), _expect(strides, tuple))


def _filled(target: dict[Any, Any], values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise ValueError("a key without a value")
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not (isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 31)):  # the keys of a state dict and its optimizer
            raise ValueError(f"{type(key).__name__} as a key")
        target[key] = value
    return target


def _storage(value: Any) -> Storage:
    """('storage', class, key, device, size) and, in old files, a view that is always None."""
    if not isinstance(value, tuple) or len(value) < 5 or value[0] != "storage":
        what = "a whole pickled module" if isinstance(value, tuple) and value[:1] == ("module",) else "not a state dict"
        raise NcaHwError(f"is {what}", cure=STATE_DICT)
    if len(value) > 5 and value[5] is not None:
        raise NcaHwError("holds views of storages, as PyTorch before 0.4 wrote them", cure=STATE_DICT)
    dtype = STORAGES[_expect(value[1], Name).name.split()[-1]]
    size = _expect(value[4], int)
    if not 0 <= size < 1 << 40:
        raise ValueError("a storage of impossible size")
    return Storage(str(_expect(value[2], str)), dtype, size)
