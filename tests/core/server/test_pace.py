"""How long a request would wait is known from the last batches."""

from __future__ import annotations

import pytest

from nlplug.server.batch import Job
from nlplug.server.pace import Pace
from nlplug.task import TextInput


def jobs(*texts: str, count: int = 1, **options: int) -> list[Job]:
    return [Job([TextInput(text=text)] * count, options) for text in texts]


def pace(*seconds: float, size: int = 2) -> Pace:
    made = Pace(max_batch=4, characters=100)
    for one in seconds:
        made.add(size, one, whole=True)
    return made


def wait(made: Pace, waiting: list[Job], *running: float, lanes: int = 1) -> float:
    shares = [job.next(4, 100) for job in waiting]
    return made.wait(shares, [(2, seconds) for seconds in running], lanes)


def test_nothing_is_expected_before_the_first_batch() -> None:
    assert wait(pace(), jobs(*"abcdefgh"), 3.0) == 0


@pytest.mark.parametrize(
    ("waiting", "batches"),
    [
        (jobs(), 0),
        (jobs("a"), 1),
        (jobs(*"abcd"), 1),
        (jobs(*"abcde"), 2),
        (jobs("a", k=1) + jobs("b", k=2), 2),  # other options are another batch
        (jobs("a" * 60, "b" * 60), 2),  # and so is more than a batch has characters
        (jobs("a", count=40), 1),  # the next part: the others come after a new request
    ],
    ids=["none", "one", "a batch", "more", "other options", "long texts", "many inputs"],
)
def test_requests_wait_for_the_batches_before_them(waiting: list[Job], batches: int) -> None:
    assert wait(pace(2.0), waiting) == 2.0 * batches
    assert wait(pace(2.0), waiting, lanes=2) == batches


def test_of_a_running_batch_the_rest_counts() -> None:
    assert wait(pace(2.0), jobs(), 0.5) == 1.5
    assert wait(pace(2.0), jobs(), 9.0) == 0


def test_larger_batches_take_longer_as_soon_as_some_were_seen() -> None:
    made = pace(1.0)
    [long] = jobs("a" * 41)
    assert made.work(long.next(4, 100)) == 1.0
    made.add(22, 3.0, whole=True)
    assert made.work(long.next(4, 100)) == pytest.approx(5.0)
    assert wait(made, [long]) == pytest.approx(5.0)


def test_one_slow_batch_such_as_the_first_changes_nothing() -> None:
    assert wait(pace(30.0, 1.0, 1.0), jobs("a")) == 1.0


def test_a_stopped_batch_counts_if_it_took_longer_than_expected() -> None:
    made = pace(1.0)
    made.add(2, 0.1, whole=False)
    assert wait(made, jobs("a")) == 1.0
    made.add(2, 9.0, whole=False)
    assert wait(made, jobs("a")) == 5.0
