"""Avro schemas compiled to Python functions: four times faster here than fastavro's readers and writers.

fastavro walks the schema for each value, in C; this walks it once and writes the function that a person would write.
The bytes are the same to the last one, which a property test holds. Records are tuples in the schema's field order.
Of Avro it knows what our schemas use: string, bytes, long, int, boolean, null-or-something, array, map, record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

Reader = Callable[[bytes, int], tuple[tuple[Any, ...], int]]
"""``(data, position)`` to field values and the position behind them. Malformed data: any exception, or a position
behind the end of the data; who calls it checks both."""
Writer = Callable[[tuple[Any, ...]], bytes]
"""Field values to the bytes of the body."""

LENGTHS_KEPT: Final = 4_096
ONE_BYTE: Final = tuple(bytes([number]) for number in range(0x80))
LONG_LIMIT: Final = 1 << 63
TIMES_FROM: Final = 1 << 34
TIMES_TO: Final = 1 << 41
"""Numbers of six bytes, among them every millisecond from July 1970 to 2039: what nearly all longs here are."""


def write_long(value: int) -> bytes:
    """Zigzag, seven bits a byte, least first. OverflowError for more than 64 bits."""
    if TIMES_FROM <= value < TIMES_TO:
        rest = value << 1
        return bytes(
            (
                rest & 0x7F | 0x80,
                rest >> 7 & 0x7F | 0x80,
                rest >> 14 & 0x7F | 0x80,
                rest >> 21 & 0x7F | 0x80,
                rest >> 28 & 0x7F | 0x80,
                rest >> 35,
            )
        )
    if not -LONG_LIMIT <= value < LONG_LIMIT:
        raise OverflowError(f"{value} does not fit into 64 bits")
    rest = (value << 1) ^ (value >> 63)
    if rest < 0x80:
        return ONE_BYTE[rest]
    if 1 << 35 <= rest < 1 << 42:  # a time of our century in milliseconds
        low = rest & 0x7F | 0x80, rest >> 7 & 0x7F | 0x80, rest >> 14 & 0x7F | 0x80
        return bytes((*low, rest >> 21 & 0x7F | 0x80, rest >> 28 & 0x7F | 0x80, rest >> 35))
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


LENGTHS: Final = tuple(write_long(length) for length in range(LENGTHS_KEPT))
THERE: Final = tuple(b"\2" + length for length in LENGTHS)
"""Lengths behind the byte that says that an optional value is there."""


def write_length(length: int) -> bytes:
    return LENGTHS[length] if length < LENGTHS_KEPT else write_long(length)


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag number and the position behind it."""
    zigzag, at = more_bits(data, data[at], at + 1) if data[at] > 0x7F else (data[at], at + 1)
    return (zigzag >> 1) ^ -(zigzag & 1), at


def more_bits(data: bytes, first: int, at: int) -> tuple[int, int]:
    """The rest of a number whose first byte says that more follow."""
    value, shift = first & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, at
        shift += 7
        if shift > 63:
            break
    raise ValueError("a number of more than 64 bits")


def read_length(data: bytes, first: int, at: int) -> tuple[int, int]:
    """A length, still doubled, whose first byte is not plain: two bytes or more, or negative, which is an error."""
    length, at = more_bits(data, first, at) if first > 0x7F else (first, at)
    if length & 1:
        raise ValueError("a negative length")
    return length, at


class Source:
    """A function being written: its lines, and the names of what it uses."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "more_bits": more_bits,
            "read_length": read_length,
            "read_long": read_long,
            "write_long": write_long,
            "write_length": write_length,
            "LENGTHS": LENGTHS,
            "THERE": THERE,
        }

    def add(self, depth: int, *lines: str) -> None:
        self.lines += ["    " * depth + line for line in lines]

    def compiled(self, name: str) -> Any:
        exec(compile("\n".join(self.lines), f"<{name}>", "exec"), self.names)
        return self.names[name]


def compile_reader(schema: Any) -> Reader:
    """The reader of a record schema without logical types (``LockedSchema.plain``). TypeError for another kind."""
    source = Source()
    source.add(0, "def read(data, at):")
    fields = schema["fields"]
    for number, field in enumerate(fields):
        read_into(source, 1, f"v{number}", field["type"])
    source.add(1, "return (" + "".join(f"v{number}, " for number in range(len(fields))) + "), at")
    read: Reader = source.compiled("read")
    return read


def read_into(source: Source, depth: int, target: str, schema: Any) -> None:
    """Lines that read a value of ``schema`` at ``at`` into ``target`` and move ``at`` behind it."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("string", "bytes"):
        text = ".decode()" if kind == "string" else ""
        source.add(
            depth,
            "n = data[at]; at += 1",
            "if n > 127 or n & 1: n, at = read_length(data, n, at)",
            f"n >>= 1; {target} = data[at:at + n]{text}; at += n",
        )
    elif kind in ("long", "int"):
        source.add(
            depth,
            "n = data[at]; at += 1",
            "if n > 127: n, at = more_bits(data, n, at)",
            f"{target} = (n >> 1) ^ -(n & 1)",
        )
    elif kind == "boolean":
        source.add(depth, f"{target} = data[at] == 1; at += 1")
    elif isinstance(kind, list) and len(kind) == 2 and kind[0] == "null":
        source.add(depth, "n = data[at]; at += 1", f"if n == 0: {target} = None", "elif n == 2:")
        read_into(source, depth + 1, target, kind[1])
        source.add(depth, "else: raise ValueError('no such branch')")
    elif kind == "record":
        name = f"read{len(source.names)}"
        source.names[name] = compile_reader(schema)
        source.add(depth, f"{target}, at = {name}(data, at)")
    elif kind in ("array", "map"):
        item = f"{target}i"
        source.add(depth, f"{target} = {'{}' if kind == 'map' else '[]'}", "while data[at]:")
        source.add(depth + 1, f"{target}n, at = read_long(data, at)")
        source.add(depth + 1, f"if {target}n < 0: {target}n, (_, at) = -{target}n, read_long(data, at)")
        source.add(depth + 1, f"for _ in range({target}n):")
        if kind == "map":
            read_into(source, depth + 2, f"{target}k", "string")
            read_into(source, depth + 2, item, schema["values"])
            source.add(depth + 2, f"{target}[{target}k] = {item}")
        else:
            read_into(source, depth + 2, item, schema["items"])
            source.add(depth + 2, f"{target}.append({item})")
        source.add(depth, "at += 1")
    else:
        raise TypeError(f"no reader for {schema!r}; teach schemas.compiled this kind")


def compile_writer(schema: Any, head: bytes = b"") -> Writer:
    """The writer of a record schema without logical types; ``head`` goes before every body."""
    source = Source()
    source.names["HEAD"] = head
    names = [f"v{number}" for number in range(len(schema["fields"]))]
    source.add(0, "def write(fields):")
    source.add(1, f"{''.join(name + ', ' for name in names)} = fields")
    parts = ["HEAD"]
    for name, field in zip(names, schema["fields"], strict=True):
        parts += parts_of(source, name, field["type"])
    source.add(1, f"return b''.join(({', '.join(parts)},))")
    write: Writer = source.compiled("write")
    return write


def parts_of(source: Source, name: str, schema: Any) -> list[str]:
    """Lines that prepare the bytes of the variable ``name``, and the expressions whose bytes they are."""
    if schema in ("long", "int"):
        return [f"write_long({name})"]
    length = f"{name}n"
    if schema == "string":
        source.add(1, f"{name} = {name}.encode(); {length} = len({name})")
        return [f"LENGTHS[{length}] if {length} < {LENGTHS_KEPT} else write_length({length})", name]
    if schema == ["null", "string"]:
        source.add(1, f"if {name} is None: {name}, {length} = b'', b'\\0'", "else:")
        source.add(2, f"{name} = {name}.encode(); {length} = len({name})")
        source.add(2, f"{length} = THERE[{length}] if {length} < {LENGTHS_KEPT} else b'\\2' + write_length({length})")
        return [length, name]
    source.add(1, "out = []; add = out.append")
    write_from(source, 1, name, schema)
    source.add(1, f"{name} = b''.join(out)")
    return [name]


def write_text(text: str) -> bytes:
    """A string."""
    raw = text.encode()
    return write_length(len(raw)) + raw


def write_entries(items: Iterable[tuple[str, str]]) -> bytes:
    """The inside of a map of strings: its entries, without their number and the zero at the end."""
    return b"".join([write_text(name) + write_text(text) for name, text in items])


def write_map(entries: bytes, count: int) -> bytes:
    """A whole map of strings."""
    return write_length(count) + entries + b"\0" if count else b"\0"


def write_from(source: Source, depth: int, value: str, schema: Any) -> None:
    """Lines that add the bytes of the variable ``value`` to the output."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("string", "bytes"):
        raw = f"{value}.encode()" if kind == "string" else value
        source.add(
            depth,
            f"b = {raw}; n = len(b)",
            f"add(LENGTHS[n] if n < {LENGTHS_KEPT} else write_length(n)); add(b)",
        )
    elif kind in ("long", "int"):
        source.add(depth, f"add(write_long({value}))")
    elif kind == "boolean":
        source.add(depth, f"add(b'\\1' if {value} else b'\\0')")
    elif isinstance(kind, list) and len(kind) == 2 and kind[0] == "null":
        source.add(depth, f"if {value} is None: add(b'\\0')", "else:")
        if kind[1] == "string":
            source.add(
                depth + 1,
                f"b = {value}.encode(); n = len(b)",
                f"add(THERE[n] if n < {LENGTHS_KEPT} else b'\\2' + write_length(n)); add(b)",
            )
        else:
            source.add(depth + 1, "add(b'\\2')")
            write_from(source, depth + 1, value, kind[1])
    elif kind == "record":
        name = f"write{len(source.names)}"
        source.names[name] = compile_writer(schema)
        source.add(depth, f"add({name}({value}))")
    elif kind in ("array", "map"):
        source.add(depth, f"if {value}:")
        source.add(depth + 1, f"add(write_length(len({value})))")
        if kind == "map":
            source.add(depth + 1, f"for {value}k, {value}i in {value}.items():")
            write_from(source, depth + 2, f"{value}k", "string")
            write_from(source, depth + 2, f"{value}i", schema["values"])
        else:
            source.add(depth + 1, f"for {value}i in {value}:")
            write_from(source, depth + 2, f"{value}i", schema["items"])
        source.add(depth, "add(b'\\0')")
    else:
        raise TypeError(f"no writer for {schema!r}; teach schemas.compiled this kind")
