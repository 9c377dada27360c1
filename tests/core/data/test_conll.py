"""CoNLL files: every scheme of entity tags reads as BIO, every bad line is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from nlplug.data import DataFile, SkippedRow, open_writer, read_rows
from nlplug.data.annotated import tagged_tokens
from nlplug.data.rows import DataRow
from nlplug.data.tags import canonical_tags, spans_of_tags, tags_of_spans
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


def understood(path: Path, content: str) -> tuple[list[tuple[list[str], list[str]]], str]:
    path.write_text(content, encoding="utf-8")
    file = DataFile(path)
    found = [(row.values["tokens"], row.values["tags"]) for row in read_rows(file)]
    return found, str(file.report)


ANNA = [(["Anna", "lives", "there"], ["B-PER", "O", "O"])]


@pytest.mark.parametrize(
    "content",
    [
        "Anna B_PER\nlives O\nthere O\n",
        "Anna PER-B\nlives O\nthere O\n",
        "Anna PER_B\nlives O\nthere O\n",
        "Anna b-PER\nlives o\nthere o\n",
        "Anna B:PER\nlives O\nthere O\n",
        "Anna PER/B\nlives O\nthere O\n",
        "Anna U.PER\nlives O\nthere O\n",
        "Anna B|PER\nlives O\nthere O\n",
        "Anna (PER)\nlives *\nthere *\n",
        "B-PER Anna\nO lives\nO there\n",
        "Anna B-PER NNP\nlives O VBZ\nthere O RB\n",
        "1\tAnna\tB-PER\tO\n2\tlives\tO\tO\n3\tthere\tO\tO\n",
        "0 Anna NNP B-PER\n1 lives VBZ O\n2 there RB O\n",
        "Token Tag\nAnna B-PER\nlives O\nthere O\n",
        "word\tpos\tner\nAnna\tNNP\tB-PER\nlives\tVBZ\tO\nthere\tRB\tO\n",
        "#\thttp://a.de\t[2009]\n1\tAnna\tB-PER\tO\n2\tlives\tO\tO\n3\tthere\tO\tO\n",
    ],
)
def test_every_layout_and_spelling_of_tags_is_read(tmp_path: Path, content: str) -> None:
    found, line = understood(tmp_path / "a.conll", content)
    assert found == ANNA
    assert "1 sentence, CoNLL with the token in column" in line
    assert "2 tags: B-PER, O" in line
    assert "first token 'Anna'" in line


def test_brackets_of_conll_2012_hold_several_tokens(tmp_path: Path) -> None:
    content = "In *\nNew (GPE*\nYork *)\nAnna (PERSON)\n"
    assert rows(tmp_path / "a.conll", content) == [
        (["In", "New", "York", "Anna"], ["O", "B-GPE", "I-GPE", "B-PERSON"])
    ]


OF_2012 = """#begin document (bc/cctv_1); part 000
bc/cctv_1 0 0 In   IN  (TOP(S(PP* - - - A *       (LOC* -
bc/cctv_1 0 1 New  NNP (NP*       - - - A (GPE*   *     (12
bc/cctv_1 0 2 York NNP *))        - - - A *)      *)    12)

bc/cctv_1 0 0 The  DT  (TOP(S(NP* - - - A (ORG(GPE*) *    *    (3
bc/cctv_1 0 1 Bank NNP *)         - - - A *)      (V*) *    3)
bc/cctv_1 0 2 said VBD *))        - - - A *       *    (V*) -
#end document
"""


def test_files_of_conll_2012_have_a_column_per_predicate_and_outer_entities(tmp_path: Path) -> None:
    found, line = understood(tmp_path / "a.conll", OF_2012)
    assert found == [
        (["In", "New", "York"], ["O", "B-GPE", "I-GPE"]),
        (["The", "Bank", "said"], ["B-ORG", "I-ORG", "O"]),
    ]
    assert "CoNLL-2012 with the token in column 4 and the tag in 11" in line
    assert (
        "entities inside other entities are not read, first 'GPE' in the sentence at line 6" in line
    )


def test_brackets_that_do_not_match_are_refused_and_nested_ones_in_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.conll:3: the brackets of the tags do not match"):
        rows(tmp_path / "a.conll", "Anna (PERSON)\n\nNew (GPE*\nYork *\n")
    row = {"tokens": ["The", "Bank"], "tags": ["(ORG(GPE*)", "*)"]}
    with pytest.raises(DataError, match="an entity 'GPE' is inside another entity") as caught:
        tagged_tokens(DataRow(row, tmp_path / "a.jsonl", 1))
    assert "Keep the outer entities only" in str(caught.value.hint)


@pytest.mark.parametrize(
    "content",
    [
        "#begin document (bc/cctv_1); part 000\n"
        "bc/cctv_1 0 0 Anna NNP (TOP* - - - - (PERSON) -\n"
        "bc/cctv_1 0 1 sings VBZ * - - - - * -\n\n#end document\n",
        "doc1\t1\tAnna\tB-PERSON\ndoc1\t2\tsings\tO\n",
        "# id 5cf6 domain=en\nAnna _ _ B-PERSON\nsings _ _ O\n",
    ],
    ids=["CoNLL-2012", "names of documents", "MultiCoNER"],
)
def test_names_of_documents_and_comments_are_no_tokens(tmp_path: Path, content: str) -> None:
    assert rows(tmp_path / "a.conll", content) == [(["Anna", "sings"], ["B-PERSON", "O"])]


@pytest.mark.parametrize("tags", [["n.s", "v.s"], ["(A*", "(B*"], ["(A*", "*"], ["*)", "*"]])
def test_tags_that_only_look_like_entities_stay(tags: list[str]) -> None:
    assert canonical_tags(tags) is None


def test_nested_tags_of_germeval_are_said_to_be_left_out(tmp_path: Path) -> None:
    content = "1\tTagesspiegel\tB-ORG\tB-LOC\n2\tschrieb\tO\tO\n"
    found, line = understood(tmp_path / "a.conll", content)
    assert found == [(["Tagesspiegel", "schrieb"], ["B-ORG", "O"])]
    assert "the entity tags in column 4 are not read" in line


@pytest.mark.parametrize("name", ["a.conllu", "a.conll"])
def test_conll_u_gives_words_and_parts_of_speech(tmp_path: Path, name: str) -> None:
    empty = "\t_\t_\t_"
    content = (
        "# sent_id = 1\n# text = vámonos al mar\n"
        f"1-2\tvámonos\t_\t_\t_\t_\t_{empty}\n"
        f"1\tvamos\tir\tVERB\t_\t_\t0{empty}\n"
        f"2\tnos\tnosotros\tPRON\t_\t_\t1{empty}\n"
        f"2.1\tempty\t_\tX\t_\t_\t_{empty}\n\n"
    )
    found, line = understood(tmp_path / name, content)
    assert found == [(["vamos", "nos"], ["VERB", "PRON"])]
    assert "CoNLL-U with the token in column 2 and the tag in 4" in line


def test_rows_that_begin_with_a_hash_are_tokens(tmp_path: Path) -> None:
    found = rows(tmp_path / "a.conll", "# SYM\n1 NUM\n\n#Obama PER\nspoke O\n")
    assert found == [(["#", "1"], ["SYM", "NUM"]), (["#Obama", "spoke"], ["PER", "O"])]


def test_parts_of_speech_may_stand_first(tmp_path: Path) -> None:
    assert rows(tmp_path / "a.conll", "NOUN dogs\nVERB bark\n") == [
        (["dogs", "bark"], ["NOUN", "VERB"])
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Anna B-PER\nlives LOC\nthere O\n", "the tag 'LOC' does not follow the scheme"),
        ("Anna B-PER\nlives 0\n", "the tag '0' does not follow the scheme"),
        ("Anna B-PER\nlives _\n", "the tag '_' does not follow the scheme"),
        ("B-PER Anna NNP\nO lives VBZ\n", "not clear which of 3 columns"),
        ("Anna/B-PER lives/O there/O\n", "no blank between, as in 'Anna/B-PER'"),
        ("Anna_B-PER\nlives_O\n", "no blank between"),
        ("Anna 1\nlives 0\n", "tags are numbers, such as '1'"),
        ("Anna B-\nlives O\n", "the tag 'B-' has no type"),
        ("Anna NNP B-PER\nlives O\nthere RB O\n", ":2: 2 columns where the file has 3"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        rows(tmp_path / "a.conll", content)


def test_a_broken_sentence_is_skipped_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("a O\nb O\n\nc O\nd\n\ne O\n")
    skipped: list[SkippedRow] = []
    found = [row.values["tokens"] for row in read_rows(DataFile(path, on_skip=skipped.append))]
    assert found == [["a", "b"], ["e"]]
    assert [(row.line, row.reason.split(",")[0]) for row in skipped] == [(4, "line 5: one column")]


@pytest.mark.parametrize("document", ["-DOCSTART- (1)\tO", "-DOCSTART-\t-X-\tO"])
def test_a_line_that_begins_a_document_is_no_token(tmp_path: Path, document: str) -> None:
    content = f"{document}\n\nAnna\tB-PER\n\n{document}\n\nRome\tB-LOC\n"
    assert rows(tmp_path / "a.conll", content) == [(["Anna"], ["B-PER"]), (["Rome"], ["B-LOC"])]


@pytest.mark.parametrize("tag", ["B-PER|B-ORG", "B-PER,I-ORG", "B-PER|O", "O|B-PER", "B-PER+B-X"])
def test_a_tag_of_several_entities_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(DataError, match=r"a\.conll:1: the tag .* names several entities") as caught:
        rows(tmp_path / "a.conll", f"Anna {tag}\nsees O\n")
    assert caught.value.hint
    row = DataRow({"tokens": ["Anna", "sees"], "tags": [tag, "O"]}, tmp_path, 7)
    with pytest.raises(DataError, match="names several entities"):
        tagged_tokens(row)


def test_entity_tags_beside_the_parts_of_speech_of_conll_u_are_mentioned(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    line = "1\tAnna\tAnna\tPROPN\tNNP\t_\t0\troot\t_\t{}\n"
    path.write_text(line.format("B-PER") + "\n" + line.format("O"))
    file = DataFile(path)
    assert [row.values["tags"] for row in read_rows(file)] == [["PROPN"], ["PROPN"]]
    assert "the entity tags in column 10 are not read" in str(file.report)
    path.write_text(line.format("_"))
    list(read_rows(file))
    assert "not read" not in str(file.report)
