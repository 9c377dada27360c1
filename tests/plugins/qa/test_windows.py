"""Question and context are put together as the tokenizer would, whichever comes first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from nlplug.families.span_extraction.windows import WindowMaker, read_context
from nlplug.runtime.tokenizer import PairFrame
from nlplug.runtime.tokenizer import Tokenizer as Windowing

WORDS = ["who", "was", "it", "a", "b", "c", "d", "e"]
VOCABULARY = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", *WORDS])}
TEMPLATES = {
    "bert": "<s>:0 $A:0 </s>:0 $B:1 </s>:1",
    "roberta": "<s>:0 $A:0 </s>:0 </s>:0 $B:0 </s>:0",
    "xlnet": "$A:0 </s>:0 $B:1 </s>:1 <s>:2",
    "bare": "$A:0 $B:0",
}
CLS = VOCABULARY["<s>"]


@pytest.fixture(scope="module", params=TEMPLATES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    inner = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="$A",
        pair=TEMPLATES[request.param],
        special_tokens=[(word, VOCABULARY[word]) for word in ("<s>", "</s>")],
    )
    path = tmp_path_factory.mktemp(request.param) / "tokenizer.json"
    inner.save(str(path))
    return path


@settings(deadline=None, max_examples=40)
@given(words=st.integers(1, 60), size=st.integers(12, 40), stride=st.integers(0, 4))
@pytest.mark.parametrize("question_first", [True, False])
def test_rows_are_those_of_the_tokenizer(
    file: Path, question_first: bool, words: int, size: int, stride: int
) -> None:
    tokenizer = Windowing(file, max_length=size)
    question, context = "who was it", " ".join("abcde"[i % 5] for i in range(words))
    maker = WindowMaker(tokenizer.pair_frame(), CLS, question_first=question_first)
    asked, read = tokenizer.pieces([question, context])
    rows = maker.rows(asked.ids, read_context(context, read, words=True), size, stride)
    pair = (question, context) if question_first else (context, question)
    strategy = "only_second" if question_first else "only_first"
    rust = Tokenizer.from_file(str(file))
    rust.enable_truncation(size, stride=stride, strategy=strategy)
    first = rust.encode(*pair)
    expected = [first, *first.overflowing]
    assert [list(row.features["input_ids"]) for row in rows] == [one.ids for one in expected]
    for row, one in zip(rows, expected, strict=True):
        types = row.features.get("token_type_ids", np.zeros(len(row), dtype=int))
        # In all windows but the first `tokenizers` gives the second text type 1, whatever the
        # template says; only a template that says so too can be compared there.
        if one is expected[0] or file.parent.name.startswith(("bert", "xlnet")):
            assert list(types) == one.type_ids
        places = [place for place, of in enumerate(one.sequence_ids) if of == int(question_first)]
        window = row.meta
        assert window.place == places[0]
        assert maker.question_place(len(places)) == one.sequence_ids.index(int(not question_first))
        assert [(int(a), int(b)) for a, b in zip(window.starts, window.ends, strict=True)] == [
            one.offsets[place] for place in places
        ]
        nulls = [place for place, token in enumerate(one.ids) if token == CLS]
        assert window.null == (nulls[0] if nulls else None)


def test_a_word_is_as_wide_as_all_its_tokens() -> None:
    inner = Tokenizer(
        models.WordPiece({"[UNK]": 0, "un": 1, "##do": 2, "it": 3}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    encoding = inner.encode("undo it", add_special_tokens=False)
    whole = read_context("undo it", encoding, words=True)
    assert (whole.starts.tolist(), whole.ends.tolist()) == ([0, 0, 5], [4, 4, 7])
    pieces = read_context("undo it", encoding, words=False)
    assert (pieces.starts.tolist(), pieces.ends.tolist()) == ([0, 2, 5], [2, 4, 7])


def test_a_window_knows_where_it_cuts_a_word() -> None:
    inner = Tokenizer(
        models.WordPiece({"[UNK]": 0, "un": 1, "##do": 2, "it": 3}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    encoding = inner.encode("undo it", add_special_tokens=False)
    context = read_context("undo it", encoding, words=True)
    frame = PairFrame((), (), (), ((), (0,), (), (0,), ()))
    first, second = WindowMaker(frame, None, question_first=True).rows([9], context, 3, 1)
    seen, span = first.meta.span(0, 0, 0.5)
    assert (seen, span) == (slice(0, 4), (0.5, 0, 4))
    seen, span = second.meta.span(0, 1, 0.5)
    assert (seen, span) == (slice(2, 7), (0.5, 0, 7))
