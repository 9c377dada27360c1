"""docs/dropin.md: each call of the documentation of transformers, on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from parity.documented import CLASSES, PAGES, documented
from parity.dropin import CALLS, DIFFERENT, OTHER, REFUSED, Call, table, verdict
from parity.models import make_generator
from parity.usual import USUAL
from parity.writers import WRITERS, make_writer

import nlplug
from nlplug import PluginHost

pytestmark = pytest.mark.train

PAGE = Path("docs", "dropin.md")
MARK = "<!-- made by pytest tests/parity/test_dropin.py --dropin-report -->\n"
FURTHER = """## Further calls

Chosen by hand, in other forms of the same arguments.
"""
HABITS = """## Calls in programs

What tutorials, answers in forums and programs for transformers do with a pipeline.
"""
WRITTEN = {"summarization": "T5", "text2text-generation": "T5", "translation": "Marian"}
OWN = {
    "text-classification": "classification",
    "sentiment-analysis": "classification",
    "token-classification": "ner",
    "question-answering": "qa",
}


@pytest.fixture(scope="module")
def models(
    exported: Callable[..., tuple[Path, Any]],
    host: PluginHost,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Path, Path]]:
    """Checkpoint and bundle for a name of a task."""
    from nlplug.export.run import ExportConfig, export_model

    @cache
    def make(name: str) -> tuple[Path, Path]:
        if name in WRITTEN or name == "text-generation":
            folder = tmp_path_factory.mktemp(name)
            if name in WRITTEN:
                checkpoint = make_writer(WRITERS[WRITTEN[name]], folder / "checkpoint")
            else:
                checkpoint = make_generator(folder / "checkpoint")
            task = host.task("generation" if name == "text-generation" else name)
            config = ExportConfig(checkpoint, folder / "bundle", task, precisions=("fp32",))
            return checkpoint, export_model(config).bundle.path
        checkpoint, report = exported("BERT", OWN.get(name, name))
        return checkpoint, report.bundle.path

    return make


def test_the_table_of_calls_is_what_they_do(
    models: Callable[[str], tuple[Path, Path]], root: Path, request: pytest.FixtureRequest
) -> None:
    import transformers

    def paths(task: str) -> tuple[Path, Path]:
        return models("translation" if task.startswith("translation") else task)

    def ours(task: str, **setup: Any) -> Any:
        place = {} if "device" in setup or "device_map" in setup else {"device": "cpu"}
        exact = {} if {"dtype", "torch_dtype"} & setup.keys() else {"precision": "fp32"}
        return nlplug.pipeline(task, paths(task)[1], **place, **exact, **setup)

    def theirs(task: str, **setup: Any) -> Any:
        place = {} if "device" in setup or "device_map" in setup else {"device": "cpu"}
        return transformers.pipeline(task, str(paths(task)[0]), **place, **setup)

    def judged(calls: Iterable[tuple[str, Call]]) -> list[tuple[str, Call, str, str]]:
        return [(where, call, *verdict(call, ours, theirs)) for where, call in calls]

    written, chosen = judged(documented()), judged(("", call) for call in CALLS)
    habits = judged(("", Call(task, *one)) for task, rows in USUAL.items() for one in rows)
    found = f"{table(written)}\n{FURTHER}\n{table(chosen)}\n{HABITS}\n{table(habits)}"
    page = root / PAGE
    before, _, _ = page.read_text(encoding="utf-8").partition(MARK)
    if request.config.getoption("--dropin-report"):
        page.write_text(f"{before}{MARK}\n{found}", encoding="utf-8")
    assert page.read_text(encoding="utf-8") == f"{before}{MARK}\n{found}"
    rows = [*written, *chosen, *habits]
    assert {where for where, *_ in written} == {*CLASSES, *PAGES}
    other = {(call.task, call.code) for _, call, outcome, _ in rows if outcome == OTHER}
    assert other == DIFFERENT.keys()
    assert len([call for _, call, outcome, _ in rows if outcome == REFUSED]) < 10
