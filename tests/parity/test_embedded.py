"""The embedded models beside transformers' pipelines around Optimum's model of the same file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from parity.compare import Tally, explainer, spans
from parity.faults import NER_FAULTS, QA_FAULTS
from parity.mended import MendedNer, MendedQa, mend
from parity.texts import questions, sentences

from nlplug.models.resolve import resolve
from nlplug.pipelines import Pipeline
from nlplug.plugins import PluginHost

pytestmark = pytest.mark.train

TEXTS = [text for text in sentences(60, seed=41) if text.strip()]
_KINDS = {
    "text-classification": "ORTModelForSequenceClassification",
    "token-classification": "ORTModelForTokenClassification",
    "question-answering": "ORTModelForQuestionAnswering",
}
Pair = tuple[Pipeline, Any]


@pytest.fixture
def both(host: PluginHost) -> Iterator[Callable[[str], Pair]]:
    """Our pipeline and transformers' on the embedded model of a task."""
    import onnxruntime
    import transformers
    from optimum import onnxruntime as optimum

    opened: list[Pipeline] = []

    def make(name: str) -> Pair:
        task = host.task(name)
        spec = next(spec for spec in host.models() if spec.name == task.default_model)
        if not (spec.path / "nlplug.json").is_file():
            pytest.skip(f"the embedded model {spec.name} has not been made yet")
        bundle = resolve(spec.name, host=host)
        mine = Pipeline(task, bundle, threads=1)
        opened.append(mine)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        model = getattr(optimum, _KINDS[task.hub_task]).from_pretrained(
            bundle.path,
            subfolder="onnx",
            file_name=bundle.onnx_file(mine.precision).name,
            session_options=settings,
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(bundle.path)
        return mine, transformers.pipeline(task.hub_task, model=model, tokenizer=tokenizer)

    yield make
    for pipe in opened:
        pipe.close()


@pytest.mark.parametrize("task", ["sentiment", "classification"])
def test_labels(
    task: str,
    both: Callable[[str], Pair],
    tally: Callable[..., Tally],
    some: Callable[..., list[str]],
) -> None:
    texts = some(TEXTS)
    mine, pipe = both(task)
    # The model of intents abstains when unsure and has a temperature, which transformers cannot.
    raw = {"function_to_apply": "none"} if task == "classification" else {}
    always = {"min_score": 0.0, **raw} if raw else {}
    for top_k in (1, 3, None):
        count = tally(task, mine.bundle.name, f"top_k {top_k}")
        for text in texts:
            ours, theirs = mine(text, top_k=top_k, **always), pipe(text, top_k=top_k, **raw)
            count.add(*([(one["label"], one["score"]) for one in side] for side in (ours, theirs)))
        count.check(least=len(texts))


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_entities(
    strategy: str,
    both: Callable[[str], Pair],
    tally: Callable[..., Tally],
    some: Callable[..., list[str]],
) -> None:
    texts = some(TEXTS)
    mine, pipe = both("ner")
    other = mend(pipe, MendedNer)
    _, _, chosen = other._sanitize_parameters(aggregation_strategy=strategy)
    count = tally("ner", mine.bundle.name, strategy)
    for text in texts:
        windows = other.windows(text, None)

        def answer(mended: frozenset[str], windows: list[Any] = windows) -> list[Any]:
            other.mended = mended
            return spans(other.postprocess(windows, **chosen))

        own = spans(mine(text, aggregation_strategy=strategy))
        theirs = answer(frozenset())
        count.add(own, theirs, explainer(own, NER_FAULTS, answer), where=repr(text))
    count.check(least=len(texts))


@pytest.mark.parametrize("impossible", [False, True], ids=["answers", "or none"])
def test_answers(
    impossible: bool,
    both: Callable[[str], Pair],
    tally: Callable[..., Tally],
    some: Callable[..., list[dict[str, str]]],
) -> None:
    items = some(questions(40, 100, seed=42))
    mine, pipe = both("qa")
    other = mend(pipe, MendedQa)
    # The model brings a longest answer of its own.
    options = {"top_k": 4, "handle_impossible_answer": impossible, "max_answer_len": 15}
    # And a threshold, which transformers does not have.
    own_options = options | {"null_score_diff_threshold": 0.0}
    count = tally("qa", mine.bundle.name, "no answer" if impossible else "top_k 4")
    for item in items:
        windows = other.windows(**item)

        def answer(mended: frozenset[str], windows: list[Any] = windows) -> list[Any]:
            other.mended = mended
            return _answers(other.best(windows, **options))

        own = _answers(mine(item, **own_options))
        theirs = _answers(other.postprocess(windows, **options))
        count.add(own, theirs, explainer(own, QA_FAULTS, answer), where=repr(item))
    count.check(least=len(items))


def _answers(answers: list[dict[str, Any]]) -> list[Any]:
    return [((answer["start"], answer["end"]), answer["score"]) for answer in answers]
