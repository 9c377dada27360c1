"""Lines of a text file: encoding, line ends and limits."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import Any

from nlplug.data.formats import DataFile
from nlplug.data.packed import Unpacked, is_damage, packing
from nlplug.errors import DataError
from nlplug.json_text import is_json_object

SAMPLE = 1 << 18
"""Bytes at the beginning of a file by which its encoding, line ends and layout are detected."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings with zero bytes: bytes per character of ASCII, and which of them is not zero.
_ZEROS = (
    ("utf-32-le", 4, 0),
    ("utf-32-be", 4, 3),
    ("utf-16-le", 2, 0),
    ("utf-16-be", 2, 1),
)
# What files that are no text begin with, and what to do with them.
_NO_TEXT = (
    (b"\x1f\x8b", "a gzip file", "Let its name end with .gz, or unpack it."),
    (b"PK\x03\x04", "a zip archive or an Office document", "Let the name of a workbook end with "
     ".xlsx, that of an archive with .zip; save a document as text."),
    (b"PAR1\x15", "a Parquet file", "Let its name end with .parquet."),
    (b"\xd0\xcf\x11\xe0", "a document of an old Office version", "Save it as .xlsx or .csv."),
    (b"%PDF-", "a PDF document", "Save its text as .txt."),
    (b"{\\rtf1", "an RTF document", "Save it as .txt."),
    (b"<!DOCTYPE html", "a web page", "Download the file itself; it may need a login."),
    (b"<!doctype html", "a web page", "Download the file itself; it may need a login."),
    (b"<html", "a web page", "Download the file itself; it may need a login."),
    (b"BZh9", "a bzip2 file", "Let its name end with .bz2, or unpack it."),
    (b"\xfd7zXZ", "an xz file", "Let its name end with .xz, or unpack it."),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "Unpack it."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it."),
    (b"ARROW1", "an Arrow file", "Write it as .parquet."),
    (b"\xff\xff\xff\xff", "an Arrow stream", "Write it as .parquet."),
    (b"SQLite format 3\x00", "an SQLite database", "Write the rows as .csv."),
    (b"\x89PNG", "an image", "Give a file with text."),
    (b"\xff\xd8\xff", "an image", "Give a file with text."),
    (b"\x7fELF", "a program", "Give a file with text."),
    (b"\x93NUMPY", "an array of numpy", "Write the rows as .csv."),
    (b"\x80\x04\x95", "a pickle", "Write the rows as .jsonl; a pickle is never loaded."),
    (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS in place of the file",
     "Fetch the file: git lfs pull"),
)  # fmt: skip
_END_OF_FILE = "\x1a"
"""What programs of DOS write behind the last line; only there can a line end with it."""
_UNDECODED = re.compile("[\udc80-\udcff]")
# Letters and signs of Western European languages that Latin-1 and cp1252 have in common or cp1252
# adds. Left out is what other encodings use for their own letters at the same codes.
_WESTERN_LETTERS = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüŒœ")
_WESTERN_SIGNS = frozenset("\xa0¡¿«»°§©®·€£“”‘’„‚–—…•ªº²³½¼™×")
# Cubic and square metres apart, no such sign follows a letter; in Polish as cp1250 some would.
_WORD_SIGN = re.compile(r"[A-Za-z][¡¿½¼£©]|[A-Za-ln-z][²³]|[A-Za-z][ªº®²³][A-Za-z]")


class LineReader:
    """The numbered lines of a file, with a sample of its beginning.

    Args:
        file: The file and its settings; its report gets the encoding where that is not UTF-8.
        guess: Whether cp1252 may be detected. JSON is never in it.

    Attributes:
        sample: The first lines, without their ends; a last line that may be cut off is left out.

    Raises:
        DataError: The file cannot be opened, is not a text, or its encoding cannot be detected.
    """

    def __init__(self, file: DataFile, *, guess: bool = True) -> None:
        self._file = file
        self._number = 0
        self._buffer = self._guarded(self._open)
        head = self._guarded(lambda: self._buffer.peek(SAMPLE)[:SAMPLE])
        self._refuse_no_text(head)
        self._encoding = file.encoding or self._detect(head, guess=guess)
        if self._encoding.removesuffix("-sig") != "utf-8":
            file.report.note(f"encoding {self._encoding}")
        decoder = codecs.getincrementaldecoder(self._encoding)(errors="replace")
        text = self._guarded(lambda: decoder.decode(head, final=False))
        old_mac = "\r" in text[:-1] and "\n" not in text
        if old_mac:
            file.report.note("lines end with a carriage return")
        self._end = "\r" if old_mac else "\n"
        lines = text.split(self._end)
        # The last element follows the last line end: it is empty, or a line that may continue
        # behind the sample.
        whole = file.stream is None and len(head) < SAMPLE and file.path.is_file()
        if len(lines) > 1 and not (whole and lines[-1]):
            del lines[-1]
        self.sample = [line.rstrip("\r") for line in lines]
        if whole and self.sample[-1:] == [_END_OF_FILE]:
            del self.sample[-1]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Line numbers from 1, and lines with their ends.

        A byte that the encoding does not have becomes a lone surrogate, which `check_decoded`
        refuses, so that the other lines can still be read.

        Raises:
            DataError: A line, or the file, is longer than its limit, or the file is damaged.
        """
        limits = self._file.limits
        text = io.TextIOWrapper(
            self._buffer,
            encoding=self._encoding,
            errors="surrogateescape",
            newline=self._end,
        )
        try:
            while line := text.readline(limits.line + 1):
                self._number += 1
                if len(line) > limits.line:
                    raise DataError(
                        f"{self._place()}: the line is longer than {limits.line:,} characters.",
                        hint="Divide the file into lines, or check that it is a text file.",
                    )
                if line.endswith(_END_OF_FILE) and not (line := line[: -len(_END_OF_FILE)]):
                    break
                yield self._number, line if self._end == "\n" else line.rstrip("\r") + "\n"
        except DataError:
            raise
        except Exception as error:
            raise self._explained(error) from None
        finally:
            if self._file.stream is None:
                text.close()
            elif not self._buffer.closed:
                text.detach()  # the stream belongs to the caller

    def _refuse_no_text(self, head: bytes) -> None:
        for magic, what, hint in _NO_TEXT:
            if head.startswith(magic):
                raise DataError(f"{self._file.path}: this is {what}, not text.", hint=hint)

    def refuse_json(self) -> None:
        """Refuse rows of JSON under the name of another format, unless a format was given.

        Raises:
            DataError: The first line is an object, or begins an array of objects.
        """
        first = next((line.strip() for line in self.sample if line.strip()), "")
        if self._file.format is None and (first.startswith("[{") or is_json_object(first)):
            raise DataError(
                f"{self._file.path}: this is JSON, and its name ends with {self._file.kind}.",
                hint="Let its name end with .jsonl or .json, or give --format jsonl; --format txt "
                "takes each line as a text.",
            )

    def _place(self) -> str:
        return f"{self._file.path}:{max(1, self._number)}"

    def _open(self) -> io.BufferedReader:
        file = self._file
        if file.stream is not None:
            stream: Any = file.stream
            return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)
        if packing(file.path):
            return io.BufferedReader(Unpacked(file.path, self._check_size), SAMPLE)
        if file.limits.total is not None and file.path.stat().st_size > file.limits.total:
            raise too_large(file)
        return io.BufferedReader(io.FileIO(file.path), SAMPLE)

    def _guarded(self, read: Any) -> Any:
        try:
            return read()
        except DataError:
            raise
        except Exception as error:
            raise self._explained(error) from None

    def _check_size(self, size: int) -> None:
        if self._file.limits.total is not None and size > self._file.limits.total:
            raise too_large(self._file)

    def _explained(self, error: Exception) -> Exception:
        path, place = self._file.path, f"{self._file.path}:{self._number + 1}"
        if isinstance(error, UnicodeError):
            return DataError(
                f"{place}: not {self._encoding} ({error}).",
                hint="Save the file as UTF-8, or name its encoding by --encoding.",
            )
        if is_damage(error):
            return DataError(
                f"{place}: the compressed file is damaged or cut off ({error}).",
                hint="Compress or copy the file again.",
            )
        if isinstance(error, OSError):
            return DataError(f"{path}: cannot be read ({error.strerror or error}).")
        return error

    def _detect(self, head: bytes, *, guess: bool) -> str:
        for mark, name in _BOMS:
            if head.startswith(mark):
                return name
        if len(head) > 3 and 0 in head:
            # Without a mark: nearly each character of ASCII has all but one of its bytes zero.
            for name, width, place in _ZEROS:
                parts = [head[index::width] for index in range(width)]
                letters = parts.pop(place)
                if 0 not in letters and all(2 * part.count(0) > len(part) for part in parts):
                    return name
        if guess and not _is_utf8(head) and _is_western(head):
            return "cp1252"
        return "utf-8"


def check_decoded(text: str, place: str) -> None:
    """Refuse a text with bytes that the encoding of its file does not have.

    Args:
        text: One or more lines of the file.
        place: ``file:line``.

    Raises:
        DataError: It has such a byte.
    """
    if not text.isascii() and (found := _UNDECODED.search(text)):
        raise DataError(
            f"{place}: not UTF-8, or not the given encoding (byte "
            f"{ord(found.group()) - 0xDC00:#04x}).",
            hint="Save the file as UTF-8, or name its encoding, such as --encoding cp1252.",
        )


def _is_utf8(head: bytes) -> bool:
    """Whether bytes are UTF-8, possibly with lone surrogates, which a row is refused for."""
    try:
        codecs.getincrementaldecoder("utf-8")("surrogatepass").decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _is_western(head: bytes) -> bool:
    """Whether bytes that are no UTF-8 are plausible as cp1252, of which Latin-1 is a part.

    Each byte above ASCII must be a letter or sign of Western European languages, no sign may stand
    within a word, and most letters must be ASCII: other alphabets read as cp1252 are otherwise.
    """
    try:
        text = head.decode("cp1252")
    except UnicodeDecodeError:
        return False
    above = [char for char in text if not char.isascii()]
    if not all(char in _WESTERN_LETTERS or char in _WESTERN_SIGNS for char in above):
        return False
    letters = sum(char in _WESTERN_LETTERS for char in above)
    plain = sum(char.isascii() and char.isalpha() for char in text)
    return letters * 3 <= plain and not _WORD_SIGN.search(text)


def too_large(file: DataFile) -> DataError:
    """The error for a file that holds more bytes than its limit."""
    return DataError(
        f"{file.path}: holds more than {file.limits.total:,} bytes.",
        hint="Divide the file, or use `nlplug run` with --input, which has no limit.",
    )
