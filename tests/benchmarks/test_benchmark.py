"""The benchmark's own arithmetic: the same texts everywhere, fair batches, honest bars."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

VOCABULARY = [f"word{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]}" for i in range(100)]


@pytest.fixture(scope="module", autouse=True)
def _benchmarks(root: Path) -> Iterator[None]:
    """The scripts import one another as a user's ``python benchmarks/run.py`` lets them."""
    sys.path.insert(0, str(root / "benchmarks"))
    yield
    sys.path.remove(str(root / "benchmarks"))


def test_the_texts_are_the_same_on_each_machine() -> None:
    from texts import make_texts

    texts = make_texts(VOCABULARY, 50)
    assert texts == make_texts(VOCABULARY, 50)
    assert texts[:20] == make_texts(VOCABULARY, 20)
    assert texts != make_texts(VOCABULARY, 50, seed=1)


def test_the_texts_are_of_mixed_length() -> None:
    from texts import make_texts

    lengths = [len(text.split()) for text in make_texts(VOCABULARY, 2000)]
    assert 28 < sum(lengths) / len(lengths) < 33
    assert min(lengths) < 5
    assert max(lengths) == 250


def test_documents_are_longer_and_end_at_3000_characters() -> None:
    from texts import make_documents

    lengths = [len(document) for document in make_documents(VOCABULARY, 500)]
    assert min(lengths) < 500
    assert max(lengths) == 3000


def test_answers_agree_by_their_spans() -> None:
    from arena import Record
    from report import agreement

    reference = Record(answers=[[[0, 3, "PER"], [5, 9, "LOC"]], []])
    other = Record(answers=[[[0, 3, "PER"], [5, 9, "ORG"]], [[1, 2, "LOC"]]])
    assert agreement(other, reference) == 0.5


@pytest.mark.parametrize("exact", [False, True])
def test_ideal_batches_hold_each_text_once_within_the_budget(exact: bool) -> None:
    from contenders import plan

    lengths = [3, 9, 4, 4, 40, 3, 9, 2]
    batches = plan(lengths, 12, exact=exact)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        widths = {lengths[row] for row in batch}
        assert max(widths) * len(batch) <= 12 or len(batch) == 1
        assert len(widths) == 1 or not exact


def test_every_contender_takes_its_turn_first() -> None:
    from arena import turns

    orders = list(turns(["a", "b", "c"], 3))
    assert [order[0] for order in orders] == ["a", "b", "c"]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_a_bar_is_met_by_the_median_of_the_ratios_of_each_round() -> None:
    from arena import Record
    from report import Results, Throughput, bars

    # The machine was slow in the second round, for both.
    rates = {"nlplug-int8": [90.0, 9.0, 99.0], "bare-int8": [100.0, 10.0, 90.0]}
    records = {name: Record(values=values) for name, values in rates.items()}
    [bar] = bars(Results({"classification": Throughput(2000, 3, records)}, {}, {}))
    assert (bar.measured, bar.met) == (pytest.approx(0.9), False)


def test_a_machine_that_is_never_quiet_costs_no_more_than_the_patience() -> None:
    from quiet import Patience

    tries = iter([("first", 0.9), ("cleanest", 0.4), *[("later", 0.6)] * 50])
    patience = Patience(0.3)
    assert patience.cleanest(lambda: next(tries), limit=0.04)[1] == 0.4
    assert patience.cleanest(lambda: ("without another try", 0.9), limit=0.04)[1] == 0.9
    assert len(list(tries)) >= 45


def test_only_the_tables_of_this_processor_are_replaced(tmp_path: Path) -> None:
    from report import END, START, processor, update_page

    other = "## Another CPU, 8 cores (AVX2)\n\n| kept |\n"
    page = tmp_path / "benchmarks.md"
    page.write_text(f"above\n{START}\n\n{other}\n{END}\nbelow\n", encoding="utf-8")
    for table in ("| first |", "| second |"):
        update_page(page, table)
        assert page.read_text(encoding="utf-8") == (
            f"above\n{START}\n\n## {processor()}\n\n{table}\n\n{other}\n{END}\nbelow\n"
        )


def test_a_readme_without_markers_is_an_error(tmp_path: Path) -> None:
    from report import update_page

    page = tmp_path / "benchmarks.md"
    page.write_text("nothing here\n", encoding="utf-8")
    with pytest.raises(ValueError, match="markers"):
        update_page(page, "| new |")
