"""Each strategy on scores made by hand: what joins, what splits, and which score comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlplug.families.token_classification.tagged_text import Tags
from nlplug.testing import tiny_token_classifier
from nlplug_ner.aggregation import Scheme
from nlplug_ner.task import NerModel, NerOptions

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
STRATEGIES = ("simple", "first", "average", "max")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> NerModel:
    return NerModel(tiny_token_classifier(tmp_path_factory.mktemp("tiny"), labels=LABELS))


def tags(tokens: str, *rows: dict[str, float] | str, **more: Any) -> Tags:
    """Tokens of a text with their scores.

    Args:
        tokens: The text with ``|`` between tokens that no space divides.
        rows: For each token the scores of its labels, or the one label that it surely has.
    """
    text = tokens.replace("|", "")
    offsets = []
    place = 0
    for token in tokens.replace(" ", " |").split("|"):
        offsets.append((place, place + len(token.rstrip())))
        place += len(token)
    starts, ends = np.array(more.pop("offsets", offsets)).T
    scores = np.zeros((len(rows), len(LABELS)), dtype=np.float32)
    for line, row in zip(scores, rows, strict=True):
        for label, score in (row if isinstance(row, dict) else {row: 1.0}).items():
            line[LABELS.index(label)] = score
    no = np.zeros(len(rows), dtype=bool)
    values = {"unknown": no, "bare": no, "words": None} | more
    return Tags(text, 1, starts, ends, scores=scores, **values)


def entities(model: NerModel, found: Tags, strategy: str) -> list[tuple[str, str, float]]:
    options = NerOptions.model_validate({"aggregation_strategy": strategy})
    return [
        (entity["word"], entity["entity_group"], round(entity["score"], 4))
        for entity in model.answer(found, options)
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["B-PER", "I-PER", "O"], ["A B"]),
        (["B-PER", "B-PER", "O"], ["A", "B"]),
        (["B-PER", "I-LOC", "O"], ["A", "B"]),
        (["I-PER", "I-PER", "I-PER"], ["A B C"]),
        (["B-PER", "O", "I-PER"], ["A", "C"]),
        (["I-LOC", "B-LOC", "I-LOC"], ["A", "B C"]),
        (["O", "O", "O"], []),
    ],
)
def test_neighbours_of_one_kind_are_one_entity_until_a_b_begins_another(
    model: NerModel, strategy: str, labels: list[str], words: list[str]
) -> None:
    assert [word for word, _, _ in entities(model, tags("A B C", *labels), strategy)] == words


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("between", "words"),
    [
        ("\n", ["A{}B"]),
        ("\t", ["A", "B"]),
        ("\n\n", ["A", "B"]),
        ("\r\n \t\r\n", ["A", "B"]),
        ("\f", ["A", "B"]),
        ("\u2029", ["A", "B"]),
    ],
)
def test_cells_and_paragraphs_share_no_entity(
    model: NerModel, strategy: str, between: str, words: list[str]
) -> None:
    text = f"A{between}B C"
    second = text.index("B")
    offsets = [(0, 1), (second, second + 1), (second + 2, second + 3)]
    found = Tags(
        text,
        1,
        *np.array(offsets).T,
        unknown=np.zeros(3, dtype=bool),
        bare=np.zeros(3, dtype=bool),
        words=None,
        scores=tags("A B C", "B-PER", "I-PER", "O").scores,
    )
    answers = [word for word, _, _ in entities(model, found, strategy)]
    assert answers == [word.format(between) for word in words]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("simple", [("Micro", "PER", 0.6), ("soft", "LOC", 0.9)]),
        ("first", [("Microsoft", "PER", 0.6)]),
        ("average", [("Microsoft", "LOC", 0.5)]),
        ("max", [("Microsoft", "LOC", 0.9)]),
    ],
)
def test_tokens_of_a_word_that_disagree(
    model: NerModel, strategy: str, expected: list[tuple[str, str, float]]
) -> None:
    found = tags("Micro|soft", {"B-PER": 0.6, "I-LOC": 0.1}, {"I-LOC": 0.9, "O": 0.1})
    assert entities(model, found, strategy) == expected


def test_of_equally_sure_tokens_the_first_decides(model: NerModel) -> None:
    found = tags("Micro|soft", {"B-PER": 0.9}, {"I-LOC": 0.9})
    assert entities(model, found, "max") == [("Microsoft", "PER", 0.9)]


@pytest.mark.parametrize(
    ("strategy", "score"),
    [
        ("simple", (0.9 + 0.6 + 0.6) / 3),  # of its tokens
        ("first", (0.9 + 0.6) / 2),  # of its words
        ("average", (0.9 + 0.6) / 2),
        ("max", (0.9 + 0.6) / 2),
    ],
)
def test_an_entity_is_as_sure_as_its_parts_on_average(
    model: NerModel, strategy: str, score: float
) -> None:
    found = tags("Ann Sm|ith", {"B-PER": 0.9}, {"I-PER": 0.6}, {"I-PER": 0.6})
    assert entities(model, found, strategy) == [("Ann Smith", "PER", round(score, 4))]


def test_none_gives_each_token_with_its_place_in_the_sequence(model: NerModel) -> None:
    found = tags("in Ber|lin", "O", {"B-LOC": 0.75}, {"I-LOC": 0.5})
    assert model.answer(found, NerOptions(aggregation_strategy="none")) == [
        {"entity": "B-LOC", "score": 0.75, "index": 2, "word": "Ber", "start": 3, "end": 6},
        {"entity": "I-LOC", "score": 0.5, "index": 3, "word": "lin", "start": 6, "end": 9},
    ]


def test_labels_to_ignore_are_names_of_groups_or_with_none_of_labels(model: NerModel) -> None:
    found = tags("A b C", "B-PER", "O", "B-LOC")
    left = model.answer(found, NerOptions(ignore_labels=["PER"]))
    assert [entity["entity_group"] for entity in left] == ["O", "LOC"]
    options = NerOptions(ignore_labels=["O", "B-PER"], aggregation_strategy="none")
    assert [token["entity"] for token in model.answer(found, options)] == ["B-LOC"]


class TestWhereTransformersIsWrong:
    """What huggingface/transformers#27876 and #23322 report, and their kin."""

    def test_punctuation_is_no_part_of_the_word_beside_it(self, model: NerModel) -> None:
        """#27876. transformers 4.57 sees one word and answers ``Paris,``."""
        found = tags("(|Paris|, x", "O", "B-LOC", "O", "O")
        for strategy in STRATEGIES:
            assert entities(model, found, strategy) == [("Paris", "LOC", 1.0)]

    def test_an_elided_article_does_not_swallow_a_name(self, model: NerModel) -> None:
        """#27876. There the one word ``d'Apple`` has the label of its first token: nothing."""
        found = tags("d|'|Apple", "O", "O", "B-PER")
        assert entities(model, found, "first") == [("Apple", "PER", 1.0)]

    @pytest.mark.parametrize("strategy", ["first", "average", "max"])
    def test_an_amount_is_one_word(self, model: NerModel, strategy: str) -> None:
        """#23322. There ``4`` became an entity of its own, though no space stands before it."""
        found = tags("5.|97|5,7|4", *["B-LOC"] * 4)
        assert entities(model, found, strategy) == [("5.975,74", "LOC", 1.0)]

    def test_a_line_break_ends_a_word(self, model: NerModel) -> None:
        found = tags("Ann|\n|Paris", "B-PER", "O", "B-LOC", offsets=[(0, 3), (3, 3), (4, 9)])
        assert [word for word, _, _ in entities(model, found, "first")] == ["Ann", "Paris"]

    def test_a_sentence_without_spaces_is_more_than_one_word(self, model: NerModel) -> None:
        found = tags("王明|在|北京", "B-PER", "O", "B-LOC")
        for strategy in STRATEGIES:
            assert entities(model, found, strategy) == [("王明", "PER", 1.0), ("北京", "LOC", 1.0)]

    def test_a_word_that_lost_its_accent_is_still_a_word(self, model: NerModel) -> None:
        """WordPiece: ``e\u0301te\u0301`` has the token ``ete``, and the lengths differ."""
        found = tags("ici e\u0301te\u0301", "O", "B-LOC", words=np.array([0, 1]))
        assert entities(model, found, "first") == [("e\u0301te\u0301", "LOC", 1.0)]

    def test_a_character_of_several_tokens_is_not_split(self, model: NerModel) -> None:
        """Byte-level BPE. There three entities have one and the same place."""
        places = [(0, 1), (0, 1), (0, 1), (1, 2)]
        found = tags("a|b|c|d", "B-PER", "B-LOC", {"B-PER": 0.4, "O": 0.6}, "I-PER", offsets=places)
        (entity,) = entities(model, found, "simple")
        assert entity == ("ab", "PER", (1 + 0 + 0.4 + 1) / 4)

    def test_the_bare_mark_of_a_space_is_no_entity(self, model: NerModel) -> None:
        bare = np.array([True, False])
        found = tags("x|y", "B-PER", "B-LOC", offsets=[(0, 1), (0, 1)], bare=bare)
        for strategy in STRATEGIES:
            assert entities(model, found, strategy) == [("x", "LOC", 1.0)]


@pytest.mark.parametrize(
    ("labels", "names", "begins"),
    [
        (["O", "B-PER", "I-PER"], ["O", "PER"], [0, 1, 0]),
        (["O", "B-A", "I-A", "E-A", "S-A"], ["O", "A"], [0, 1, 0, 0, 1]),
        (["O", "B-A", "I-A", "L-A", "U-A"], ["O", "A"], [0, 1, 0, 0, 1]),
        (["O", "PER", "work-of-art"], ["O", "PER", "work-of-art"], [0, 0, 0]),
        (["O", "B-A", "I-A", "E-commerce"], ["O", "A", "E-commerce"], [0, 1, 0, 0]),
        (["O", "B-of-art", "I-of-art"], ["O", "of-art"], [0, 1, 0]),
    ],
)
def test_prefixes_are_read_and_other_hyphens_are_not(
    labels: list[str], names: list[str], begins: list[int]
) -> None:
    scheme = Scheme(labels)
    assert (scheme.names, scheme.begins.astype(int).tolist()) == (names, begins)
