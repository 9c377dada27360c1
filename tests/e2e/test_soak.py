"""``make soak`` in short: a server under twice its sustainable load, and what fails a run."""

from __future__ import annotations

import pytest
import soak


def test_a_server_under_twice_its_load_answers_or_refuses_and_ends() -> None:
    """How many requests are sent and answered in a second is left to the long run.

    Other tests use the machine at the same time: they may delay the clients of one part more than
    those of the other.
    """
    result = soak.soak(4.0, timeout=4.0)
    wrong = [problem for problem in result.problems() if "status" in problem]
    assert (wrong, result.shutdown is not None) == ([], True)
    assert min(result.offered, result.sustainable) > 0
    replies = result.record.statuses
    assert set(replies["without a key"]) <= {401}
    assert set(replies["malformed"]) <= {400, 404, 413, 422, 429, 503}
    assert f"{result.record.statuses['short'][200]} |" in soak.report(result)


def result_of(record: soak.Record, shutdown: float | None = 1.0) -> soak.Result:
    return soak.Result(record, 10.0, 20.0, 600.0, 20.0, shutdown)


@pytest.fixture
def record() -> soak.Record:
    """The record of a run in which nothing went wrong."""
    made = soak.Record(health=[0.01], memory=[90, *[100] * 9])
    made.statuses["short"][200] = 5
    return made


def test_a_good_run_has_no_problems(record: soak.Record) -> None:
    assert result_of(record).problems() == []


def test_what_must_not_happen_fails_the_run(record: soak.Record) -> None:
    record.problems["short: status 500"] = 2
    record.memory[-2:] = [200, 200]
    record.statuses["short"].clear()
    assert result_of(record, None).problems() == [
        "short: status 500 (2 times)",
        "The memory grew by 100%.",
        "The server did not end within 40 seconds after SIGTERM.",
        "No short request was answered.",
    ]


@pytest.mark.parametrize(
    ("event", "wrong"),
    [
        ('{"generated_text": "a", "details": {"finish_reason": "length"}}', ""),
        ('{"error": "Too slow.", "error_type": "timeout"}', ""),
        ('{"error": "Broken.", "error_type": "internal"}', "the stream ends with"),
        ('{"token": {"text": "a"}, "generated_text": null}', "the stream has no end"),
    ],
)
def test_a_stream_has_to_end_with_its_text_or_a_refusal(event: str, wrong: str) -> None:
    stream = f'data:{{"token": {{"text": "b"}}}}\n\ndata:{event}\n\n'
    found = soak._wrong_end(stream)
    assert found.startswith(wrong) if wrong else not found
