"""Messages of protobuf, read and written field by field, without a description of the message.

Format: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlplug.errors import BundleError, NlplugError, explained
from nlplug.models.files import hint_of

Buffer = mmap.mmap | bytes
Field = tuple[int, int, int]
"""Number; then begin and end of the content, or for a number its value twice."""


@contextmanager
def read_as_graph(path: Path) -> Iterator[None]:
    """Reads an ONNX graph; what it raises where the file is none becomes a `BundleError`."""
    try:
        yield
    except NlplugError:  # some are ValueErrors too
        raise
    except OSError as error:
        if (known := explained(error)) is not None:  # the file may be a graph all the same
            raise known from None
        raise _no_graph(path, error) from None
    except (ValueError, IndexError) as error:
        raise _no_graph(path, error) from None


def _no_graph(path: Path, error: Exception) -> BundleError:
    usual = "Check the bundle with `nlplug models verify`, or export the model again."
    return BundleError(
        f"{path} is not an ONNX graph: {error}.",
        hint=hint_of(path, usual),
    )


def message(number: int, content: bytes) -> bytes:
    """A field that holds a message, a text or bytes."""
    return _encoded(number << 3 | 2) + _encoded(len(content)) + content


def whole_number(number: int, value: int) -> bytes:
    """A field that holds a whole number from 0 up."""
    return _encoded(number << 3) + _encoded(value)


def text(data: Buffer, begin: int, end: int, wanted: int) -> str:
    """The first text with a field number in a message; empty if there is none."""
    return next((string(data, *found) for found in inner(data, begin, end, wanted)), "")


def string(data: Buffer, begin: int, end: int) -> str:
    """The text at a place; what is not valid becomes replacement characters."""
    return bytes(data[begin:end]).decode("utf-8", "replace")


def inner(data: Buffer, begin: int, end: int, *path: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the messages, or texts, at the end of a path of field numbers."""
    for number, first, last in fields(data, begin, end):
        if number == path[0]:
            if len(path) == 1:
                yield first, last
            else:
                yield from inner(data, first, last, *path[1:])


def fields(data: Buffer, place: int, end: int) -> Iterator[Field]:
    """The fields of a message that begins at ``place``.

    Raises:
        ValueError: It is no message.
        IndexError: It is cut off.
    """
    for number, _, begin, after in _walk(data, place, end):
        yield number, begin, after


def whole_fields(data: Buffer, place: int, end: int) -> Iterator[Field]:
    """As `fields`, but begin and end are those of the field with its number.

    Raises:
        ValueError, IndexError: As for `fields`.
    """
    starts = [(number, start) for number, start, _, _ in _walk(data, place, end)]
    ends = [start for _, start in starts[1:]] + [end]
    for (number, start), after in zip(starts, ends, strict=True):
        yield number, start, after


def packed(data: Buffer, place: int, end: int) -> Iterator[int]:
    """The numbers of a field that holds several of them, packed."""
    while place < end:
        value, place = _varint(data, place)
        yield value


def _walk(data: Buffer, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """For each field its number and its first byte; begin and end, or the value twice."""
    while place < end:
        start = place
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, start, value, value
            continue
        if wire == 2:
            length, place = _varint(data, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError("its fields are malformed")
        if number == 0 or place + length > end:
            raise ValueError("its fields are malformed")
        yield number, start, place, place + length
        place += length


def _varint(data: Buffer, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("its fields are malformed")


def _encoded(value: int) -> bytes:
    """A varint."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
