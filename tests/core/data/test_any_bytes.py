"""Whatever a file holds: rows, or an error of ours, and never another one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
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


@pytest.mark.parametrize("encoding", [None, "utf-16", "gb18030", "cp1252"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".txt", ".conll"])
@settings(max_examples=60, deadline=None)
@given(content=contents)
def test_any_bytes_are_rows_or_an_error_that_is_ours(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, encoding: str | None, content: bytes
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    for on_skip in (None, lambda row: None):
        file = DataFile(path, encoding=encoding, on_skip=on_skip)
        with contextlib.suppress(DataError):
            for row in read_rows(file):
                assert isinstance(row.values, dict)
        str(file.report)
