"""CoNLL files: every scheme of entity tags reads as BIO, every bad line is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from nlplug.data import open_writer, read_rows
from nlplug.data.tags import spans_of_tags, tags_of_spans
from nlplug.errors import DataError

IOB1 = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
Paris NNP I-NP I-LOC
London NNP I-NP B-LOC
Bridge NNP I-NP I-LOC

Ann NNP I-NP I-PER
Lee NNP I-NP I-PER
"""
TOKENS = [["EU", "rejects", "Paris", "London", "Bridge"], ["Ann", "Lee"]]
TAGS = [["B-ORG", "O", "B-LOC", "B-LOC", "I-LOC"], ["B-PER", "I-PER"]]


def rows(path: Path, content: str) -> list[tuple[list[str], list[str]]]:
    path.write_text(content, encoding="utf-8")
    return [(row.values["tokens"], row.values["tags"]) for row in read_rows(path)]


@pytest.mark.parametrize("suffix", [".conll", ".bio", ".iob", ".iob2", ".CoNLL"])
def test_sentences_of_iob1_are_rows_of_bio(tmp_path: Path, suffix: str) -> None:
    found = rows(tmp_path / f"train{suffix}", IOB1)
    assert found == list(zip(TOKENS, TAGS, strict=True))


def test_packed_files_and_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "train.conll.gz"
    path.write_bytes(gzip.compress(IOB1.encode()))
    assert [row.where for row in read_rows(path)] == [f"{path}:3", f"{path}:9"]


@pytest.mark.parametrize(
    "tags",
    [
        "B-PER E-PER S-LOC O B-LOC I-LOC E-LOC",  # BIOES
        "B-PER L-PER U-LOC O B-LOC I-LOC L-LOC",  # BILOU
        "B-PER E-PER S-LOC O B-LOC M-LOC E-LOC",  # BMES
        "I-PER I-PER I-LOC O I-LOC I-LOC I-LOC",  # IOB1
    ],
)
def test_other_schemes_are_read_as_bio(tmp_path: Path, tags: str) -> None:
    lines = "".join(f"w{index}\t{tag}\n" for index, tag in enumerate(tags.split()))
    [(_, found)] = rows(tmp_path / "train.bio", lines)
    assert found == ["B-PER", "I-PER", "B-LOC", "O", "B-LOC", "I-LOC", "I-LOC"]


def test_tags_of_no_scheme_stay_as_they_are(tmp_path: Path) -> None:
    assert rows(tmp_path / "pos.conll", "dogs NOUN\nbark VERB\n") == [
        (["dogs", "bark"], ["NOUN", "VERB"])
    ]


def test_comments_windows_line_ends_and_no_break_spaces(tmp_path: Path) -> None:
    content = "# id 17 domain=en\r\n10\u00a0000 O\r\n# O\r\n\r\n\r\n"
    assert rows(tmp_path / "a.conll", content) == [(["10\u00a0000", "#"], ["O", "O"])]


def test_a_line_without_a_tag_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.conll"
    path.write_text("EU B-ORG\nrejects\n")
    with pytest.raises(DataError) as caught:
        list(read_rows(path))
    assert caught.value.message.startswith(f"{path}:2: one column, 'rejects'")
    assert "London NNP B-LOC" in str(caught.value.hint)


def test_rows_are_not_written_as_conll(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        open_writer(tmp_path / "out.conll")


def test_spans_and_tags_are_each_others_inverse() -> None:
    spans = [(0, 2, "PER"), (2, 3, "PER"), (4, 6, "LOC")]
    assert spans_of_tags(tags_of_spans(spans, 7)) == spans
