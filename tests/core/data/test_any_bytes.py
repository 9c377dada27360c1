"""Whatever a file holds: rows, or an error of ours, and never another one."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pytest
from fuzz_kit import bounded
from hypothesis import given
from hypothesis import strategies as st

from nlplug.data import DataFile, read_rows
from nlplug.errors import DataError

PIECES = [
    b'"', b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b"{", b"}", b"[", b"]", b":", b"#", b"-",
    b"text", b"tokens", b"tag", b"sentence", b"data", b"annotations", b'{"text": "a"}', b"1",
    b"B-PER", b"O", b"\xff", b"\xe9", b"\xff\xfe", b"\x00", "ä".encode(), b"\\ud800", b" ",
    b"null", b"0.5",
]  # fmt: skip
contents = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join) | st.binary(max_size=60)


@pytest.mark.fuzz
@pytest.mark.parametrize("encoding", [None, "utf-16", "gb18030", "cp1252"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".txt", ".conll"])
@bounded(60)
@given(content=contents)
def test_any_bytes_are_rows_or_an_error_that_is_ours(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, encoding: str | None, content: bytes
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    read(path, encoding)


VALID = {
    ".csv": 'text,label\n"Good, very ""good""",1\nä,0\n'.encode(),
    ".tsv": b"text\tlabel\nGood\t1\nBad\t0\n",
    ".json": b'[{"text": "Good", "label": 1}, {"text": "\\u00e4", "label": 0.5}]',
    ".jsonl": b'{"text": "Good", "label": 1}\n{"text": "Bad", "label": [1, {"a": null}]}\n',
    ".conll": b"Anna B-PER\nlives O\n\nin O\nUlm B-LOC\n",
    ".txt": "One.\nTwo – ä\n".encode(),
}


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """Content in which up to four pieces are replaced, doubled, removed or put in."""
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(content)))
        end = draw(st.integers(begin, len(content)))
        middle = st.sampled_from([b"", content[begin:end] * 2, *PIECES]) | st.binary(max_size=4)
        content = content[:begin] + draw(middle) + content[end:]
    return content


@pytest.mark.fuzz
@pytest.mark.parametrize("suffix", VALID)
@bounded(40)
@given(data=st.data())
def test_a_damaged_file_is_rows_or_an_error_that_is_ours(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    content = data.draw(changed(VALID[suffix]))
    path: Path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(content)
    read(path)
    packed = gzip.compress(content, mtime=0)
    path = path.with_name(f"{path.name}.gz")
    for found in (packed, data.draw(changed(packed)), content):
        path.write_bytes(found)
        read(path)


def read(path: Path, encoding: str | None = None) -> None:
    """Read all rows; only our own errors may be raised."""
    for on_skip in (None, lambda row: None):
        file = DataFile(path, encoding=encoding, on_skip=on_skip)
        with contextlib.suppress(DataError):
            for row in read_rows(file):
                assert isinstance(row.values, dict)
        str(file.report)
