"""What each processor does to the scores of a small vocabulary, and what it says of itself."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from nlplug.errors import InputError, OptionError
from nlplug.runtime.decoding import processors as p
from nlplug.runtime.decoding.history import History, Stopping

NEVER = -np.inf
SCORES = [[4.0, -2.0, 1.0, 0.0, 3.0, -1.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]


def history(*rows: tuple[list[int], list[int]]) -> History:
    """Rows of a prompt and as many new tokens each."""
    made = History([prompt for prompt, _ in rows], 1)
    for tokens in zip(*(new for _, new in rows), strict=True):
        made.append(np.array(tokens))
    return made


def run(process: p.Processor, rows: History) -> list[list[float]]:
    scores = np.array(SCORES[: len(rows)], np.float32)
    process(rows, scores)
    return scores.tolist()


def banned(process: p.Processor, rows: History) -> list[list[int]]:
    return [[i for i, score in enumerate(row) if score == NEVER] for row in run(process, rows)]


def test_repetition_divides_positive_scores_and_multiplies_negative_ones() -> None:
    rows = history(([0, 1], [1]), ([3], [5]))
    assert run(p.RepetitionPenalty(2.0), rows) == [
        [2.0, -4.0, 1.0, 0.0, 3.0, -1.0],
        [1.0, 2.0, 3.0, 2.0, 5.0, 3.0],
    ]


def test_repetition_below_1_favours_tokens_of_the_text() -> None:
    assert run(p.RepetitionPenalty(0.5), history(([0, 1, 3], []))) == [
        [8.0, -1.0, 1.0, 0.0, 3.0, -1.0]
    ]


def test_a_score_between_0_and_1_is_divided() -> None:
    scores = np.array([[0.5, -0.5, 0.0]], np.float32)
    p.RepetitionPenalty(2.0)(history(([0, 1, 2], [])), scores)
    assert scores.tolist() == [[0.25, -1.0, 0.0]]


def test_a_row_that_is_too_short_for_a_sequence_does_not_end_the_search() -> None:
    assert banned(p.NoRepeatNgram(2), history(([4], []), ([2, 3, 2], []))) == [[], [3]]


def test_frequency_and_presence_look_at_new_tokens_only() -> None:
    rows = history(([2], [0, 0, 1]), ([3, 3], [4, 5, 4]))
    assert run(p.FrequencyPenalty(0.5, 1.0), rows) == [
        [2.0, -3.5, 1.0, 0.0, 3.0, -1.0],
        [1.0, 2.0, 3.0, 4.0, 3.0, 4.5],
    ]


@pytest.mark.parametrize(
    ("size", "text", "expected"),
    [
        (1, [2, 3, 2], [2, 3]),
        (2, [2, 3, 2], [3]),
        (2, [2, 3, 4, 2, 5, 2], [3, 5]),
        (3, [1, 2, 3, 1, 2], [3]),
        (3, [1, 2, 3, 4, 2], []),
        (3, [1, 2], []),
        (3, [1, 2, 1], []),
        (2, [4], []),
        (2, [4, 4], [4]),
    ],
)
def test_a_sequence_of_tokens_comes_once(size: int, text: list[int], expected: list[int]) -> None:
    assert banned(p.NoRepeatNgram(size), history((text, []))) == [expected]
    assert banned(p.NoRepeatNgram(size), history((text[:1], text[1:]))) == [expected]


def test_the_last_token_of_a_bad_word_is_banned_after_the_others() -> None:
    words = p.BadWords(((1,), (2, 3), (4, 5, 0)))
    assert banned(words, history(([4, 5], []), ([5, 2], []))) == [[0, 1], [1, 3]]
    assert banned(words, history(([3], []), ([2], []))) == [[1], [1, 3]]
    assert banned(words, history(([4, 5, 2], []), ([5, 4], []))) == [[1, 3], [1]]


def test_suppressed_tokens_are_banned_in_every_row() -> None:
    rows = history(([1], []), ([2], []))
    assert banned(p.SuppressTokens((0, 4)), rows) == [[0, 4], [0, 4]]


def test_the_end_is_banned_before_the_minimum() -> None:
    process = p.MinNewTokens(2, (1, 5))
    found = [banned(process, history(([3], new)))[0] for new in ([], [2], [2, 2], [2, 2, 2])]
    assert found == [[1, 5], [1, 5], [], []]
    idle = [process.idle(history(([3], new))) for new in ([], [2], [2, 2], [2, 2, 2])]
    assert idle == [False, False, True, True]


@pytest.mark.parametrize("forced", [False, True])
def test_tokens_are_suppressed_first(forced: bool) -> None:
    process = p.SuppressFirst((0, 2), forced)
    steps = ([], [5], [5, 5])
    found = [banned(process, history(([3], new), ([3, 4], new))) for new in steps]
    first: list[Any] = [[[0, 2], [0, 2]], [[], []], [[], []]]
    later: list[Any] = [[[], [0, 2]], [[0, 2], []], [[], []]]
    assert found == (later if forced else first)
    assert [process.idle(history(([3], new))) for new in steps] == [False, not forced, True]


def test_the_first_token_is_forced_after_a_prompt_of_one_token() -> None:
    process = p.ForcedFirst(2)
    forced = [NEVER, NEVER, 0.0, NEVER, NEVER, NEVER]
    assert run(process, history(([3], []), ([3, 4], []))) == [forced, SCORES[1]]
    assert [process.idle(history(([3], new))) for new in ([], [1], [1, 1])] == [False, True, True]


def test_the_last_token_is_forced_at_the_maximum_length() -> None:
    process = p.ForcedEnd(1, 3)
    forced = [NEVER, 0.0, NEVER, NEVER, NEVER, NEVER]
    steps = ([], [2], [2, 2])
    found = [run(process, history(([3], new), ([3], new))) for new in steps]
    assert found == [SCORES, SCORES, [forced, forced]]
    assert [process.idle(history(([3], new))) for new in steps] == [True, True, False]


def test_a_constraint_sees_the_prompt_number_and_all_tokens_of_each_row() -> None:
    seen = []

    def allowed(number: int, ids: np.ndarray) -> list[int]:
        seen.append((number, ids.tolist()))
        ids[:] = 0
        return [number, 5]

    rows = history(([3], [1]), ([2, 4], [0]))
    assert banned(p.PrefixConstraint(allowed), rows) == [[1, 2, 3, 4], [0, 2, 3, 4]]
    assert seen == [(0, [3, 1]), (1, [2, 4, 0])]
    assert rows.row(0).tolist() == [3, 1]
    assert banned(p.PrefixConstraint(lambda number, ids: []), rows) == [[0, 1, 2, 3, 4, 5]] * 2


@pytest.mark.parametrize("allowed", [[6], [-1], [0, 6], np.array([[1]]), [1.5], 3, "ab"], ids=str)
def test_a_constraint_must_return_tokens_of_the_vocabulary(allowed: Any) -> None:
    process = p.PrefixConstraint(lambda number, ids: allowed)
    with pytest.raises(OptionError, match="prefix constraint allows"):
        run(process, history(([3], [])))


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ([0, 6], "The prefix constraint allows the token 6; the model's tokens are 0 to 5."),
        ([-1, 7], "The prefix constraint allows the token -1; the model's tokens are 0 to 5."),
        (None, "The prefix constraint allows None, which is not a list of tokens."),
        (3, "The prefix constraint allows 3, which is not a list of tokens."),
        ([0.5], "The prefix constraint allows [0.5], which is not a list of tokens."),
        ("a" * 90, f"The prefix constraint allows {'a' * 80}, which is not a list of tokens."),
    ],
    ids=str,
)
def test_what_a_constraint_returned_is_named(allowed: Any, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        run(p.PrefixConstraint(lambda number, ids: allowed), history(([3], [])))
    assert raised.value.message == message
    assert raised.value.hint


@pytest.mark.parametrize("allowed", [[0], [5], (0, 5), {5}, np.array([0, 5], np.int32)], ids=str)
def test_the_first_and_the_last_token_may_be_allowed(allowed: Any) -> None:
    process = p.PrefixConstraint(lambda number, ids: allowed)
    assert banned(process, history(([3], []))) == [[i for i in range(6) if i not in set(allowed)]]


WORDS = p.BadWords(((1,), (4,)))
LONG_WORDS = p.BadWords(((1,), (2, 3)))


def _name(value: object) -> str:
    """A test's name without addresses, so that all workers collect the same."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


CONSTRAINT = p.PrefixConstraint(lambda number, ids: [0])


@pytest.mark.parametrize(
    ("process", "bans", "lowers"),
    [
        (p.RepetitionPenalty(1.0), None, True),
        (p.RepetitionPenalty(1.1), None, True),
        (p.RepetitionPenalty(0.9), None, False),
        (p.FrequencyPenalty(0.0, 0.0), None, True),
        (p.FrequencyPenalty(0.5, 0.5), None, True),
        (p.FrequencyPenalty(-0.1, 0.5), None, False),
        (p.FrequencyPenalty(0.5, -0.1), None, False),
        (p.NoRepeatNgram(2), None, True),
        (WORDS, (1, 4), True),
        (LONG_WORDS, None, True),
        (p.SuppressTokens((2,)), (2,), True),
        (p.SuppressFirst((2,)), None, True),
        (p.MinNewTokens(2, (0,)), (0,), True),
        (p.ForcedFirst(1), None, False),
        (p.ForcedEnd(1, 3), None, False),
        (CONSTRAINT, None, True),
    ],
    ids=_name,
)
def test_what_a_processor_says_of_itself(
    process: p.Processor, bans: tuple[int, ...] | None, lowers: bool
) -> None:
    assert process.bans() == bans
    assert process.only_lowers() is lowers
    scores = np.array(SCORES, np.float32)
    before = scores.copy()
    process(history(([3, 1, 0], [1, 0]), ([3, 1], [5, 2])), scores)
    assert not lowers or (scores <= before).all()


def test_processors_without_an_idle_step_are_always_active() -> None:
    rows = history(([3], [1, 1, 1]))
    for process in (p.RepetitionPenalty(2.0), p.NoRepeatNgram(2), WORDS, CONSTRAINT):
        assert not process.idle(rows)


def test_active_processors_and_their_common_bans() -> None:
    minimum = p.MinNewTokens(1, (5, 1))
    processors = [WORDS, minimum, p.ForcedEnd(0, 3)]
    steps = [history(([3], new)) for new in ([], [2], [2, 2])]
    found = [p.active_processors(processors, rows) for rows in steps]
    assert found == [
        ([WORDS, minimum], (1, 4, 5)),
        ([WORDS], (1, 4)),
        ([WORDS, processors[2]], None),
    ]
    assert p.active_processors([], steps[0]) == ([], ())
    assert p.max_banned(processors) == 4
    assert p.max_banned([LONG_WORDS]) == 0


def test_processed_scores_are_a_copy() -> None:
    scores = np.array(SCORES, np.float32)
    rows = history(([3], []), ([3], []))
    processors = [p.SuppressTokens((0,)), p.RepetitionPenalty(2.0)]
    made = p.process_scores(scores, processors, rows)
    assert scores.tolist() == SCORES
    assert made.tolist() == [[NEVER, *SCORES[0][1:]], [NEVER, 2.0, 3.0, 2.0, 5.0, 6.0]]
    assert p.process_scores(scores, [], rows) is scores


def test_the_error_for_a_row_without_tokens_names_what_to_change() -> None:
    error = p.no_token_left()
    assert isinstance(error, InputError)
    assert "all of them are banned" in error.message
    assert error.hint is not None and "bad_words" in error.hint


def test_rows_grow_and_are_selected_with_their_prompts() -> None:
    rows = History([[3], [4, 5, 6]], 1, copies=2)
    assert (rows.origin.tolist(), rows.slots.tolist()) == ([0, 0, 1, 1], [0, 1, 2, 3])
    for token in range(6):
        rows.append(np.array([token, 10 + token, 20 + token, 30 + token]))
    assert (rows.generated, rows.longest, len(rows)) == (6, 9, 4)
    assert rows.row(1).tolist() == [3, 10, 11, 12, 13, 14, 15]
    assert rows.new(3).tolist() == [30, 31, 32, 33, 34, 35]
    rows.select([1, 0])
    assert (rows.longest, rows.slots.tolist(), rows.origin.tolist()) == (7, [1, 0], [0, 0])
    rows.append(np.array([7, 8]))
    assert rows.new(0).tolist()[-2:] == [15, 7]
    assert rows.lengths.tolist() == [8, 8]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [None, None]),
        ({"max_new_tokens": 2}, ["length", "length"]),
        ({"max_new_tokens": 3}, [None, None]),
        ({"context": 3}, [None, "length"]),
        ({"context": 4}, [None, None]),
        ({"eos": (2,)}, ["eos", None]),
        ({"eos": (9, 4), "max_new_tokens": 2}, ["length", "eos"]),
        ({"sequences": ((1, 2),)}, ["stop", None]),
        ({"sequences": ((9, 3, 4),)}, [None, None]),
        ({"sequences": ((8,), (3, 4))}, [None, "stop"]),
        ({"stop_when": lambda slot, token: (slot, token) == (1, 4)}, [None, "stop"]),
        ({"eos": (2,), "stop_when": lambda slot, token: True}, ["eos", "stop"]),
    ],
    ids=_name,
)
def test_why_rows_end(settings: dict[str, Any], expected: list[str | None]) -> None:
    rows = history(([7], [1, 2]), ([8, 9], [3, 4]))
    stopping = Stopping(**{"max_new_tokens": 9, "context": 99, **settings})
    assert stopping.check(rows, np.array([2, 4])) == expected
    assert stopping.ended(np.array([[2, 4]])).tolist() == [
        [token in settings.get("eos", ()) for token in (2, 4)]
    ]
