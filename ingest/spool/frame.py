"""How messages lie in a spool's files: frames, one per group commit, each with its checksum. Pure.

    file     mark, seed u32, then frames
    frame    magic | bytes u32 | crc32 u32 | messages u32 | first u64 | written_at u64 | payload
    payload  per message: lengths of topic, key, value, number of headers, timestamp; then topic, key, value, headers
    header   lengths of name and value; name, value

``crc32`` covers what follows it and begins with the file's random seed, so that no sender can write what looks like a
frame. A frame is whole or not there at all: a torn one was never answered for. Behind bytes that are no frame, reading
goes on at the next one that is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from ingest.envelope import Headers, Message

FILE_HEAD = struct.Struct(">4sI")
FILE_MARK = b"ASp1"
MAGIC = b"\xff\xacSp"
HEAD = struct.Struct(">4sII")
SUMMED = struct.Struct(">IQQ")
FRAME_HEAD = HEAD.size + SUMMED.size
MESSAGE = struct.Struct(">BIIBq")
HEADER = struct.Struct(">BI")
NO_VALUE = 0xFFFFFFFF


class Frame(NamedTuple):
    """``amount``: of messages. ``first``: the number of the first one, in the process that wrote it."""

    payload: bytes
    amount: int
    first: int
    written_at: int
    end: int


def encode_message(message: Message) -> bytes:
    """A message as bytes. Header values that are text come back as UTF-8, as they do from Kafka."""
    topic, key, value, timestamp, headers = message
    name = topic.encode()
    parts = [MESSAGE.pack(len(name), len(key), len(value), len(headers), timestamp), name, key, value]
    for header, content in headers:
        title = header.encode()
        if content is None:
            parts += (HEADER.pack(len(title), NO_VALUE), title)
        else:
            data = content.encode() if isinstance(content, str) else content
            parts += (HEADER.pack(len(title), len(data)), title, data)
    return b"".join(parts)


def messages_of(payload: bytes) -> Iterator[Message]:
    """The messages of a frame's payload."""
    at = 0
    while at < len(payload):
        topic_size, key_size, value_size, header_count, timestamp = MESSAGE.unpack_from(payload, at)
        at += MESSAGE.size
        topic = payload[at : (at := at + topic_size)].decode()
        key = payload[at : (at := at + key_size)]
        value = payload[at : (at := at + value_size)]
        headers: Headers = []
        for _ in range(header_count):
            name_size, size = HEADER.unpack_from(payload, at)
            at += HEADER.size
            name = payload[at : (at := at + name_size)].decode()
            content = None if size == NO_VALUE else payload[at : (at := at + size)]
            headers.append((name, content))
        yield Message(topic, key, value, timestamp, headers)


def encode_frame(payload: bytes, count: int, first: int, written_at: int, seed: int) -> bytes:
    """A frame around the concatenation of ``count`` encoded messages, for the file with this seed."""
    summed = SUMMED.pack(count, first, written_at)
    return HEAD.pack(MAGIC, len(payload), zlib.crc32(payload, zlib.crc32(summed, seed))) + summed + payload


def frame_end(data: bytes, at: int) -> int:
    """Where the frame that seems to begin at ``at`` would end; ``at`` itself where none does."""
    if data[at : at + len(MAGIC)] != MAGIC or at + HEAD.size > len(data):
        return at
    return at + FRAME_HEAD + int(HEAD.unpack_from(data, at)[1])


def frame_at(data: bytes, at: int, seed: int) -> Frame | None:
    """The frame that begins at ``at``, if a whole and sound one does."""
    if at + FRAME_HEAD > len(data):
        return None
    magic, size, checksum = HEAD.unpack_from(data, at)
    start = at + FRAME_HEAD
    if magic != MAGIC or start + size > len(data):
        return None
    payload = data[start : start + size]
    if zlib.crc32(payload, zlib.crc32(data[at + HEAD.size : start], seed)) != checksum:
        return None
    count, first, written_at = SUMMED.unpack_from(data, at + HEAD.size)
    return Frame(payload, count, first, written_at, start + size)


def next_frame(data: bytes, at: int, seed: int) -> tuple[Frame | None, int]:
    """The first sound frame from ``at`` on, and how many bytes before it (or until the end) are none."""
    candidate = at
    while candidate >= 0:
        frame = frame_at(data, candidate, seed)
        if frame is not None:
            return frame, candidate - at
        candidate = data.find(MAGIC, candidate + 1)
    return None, len(data) - at
