"""Answers inputs and explains the answers."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial
from math import ceil
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.errors import BundleError, OptionError
from nlplug.explanations.contract import ExplainableModel, Outputs, Target
from nlplug.explanations.methods import cost, occlusion, orders_within, shapley
from nlplug.explanations.passes import Passes, Run
from nlplug.explanations.result import Explained, Explanation, WordWeight
from nlplug.explanations.words import Units, units_of
from nlplug.runtime.answers import Answers, raise_if_cancelled
from nlplug.runtime.model import Row

if TYPE_CHECKING:
    from nlplug.explanations.options import ExplanationOptions
    from nlplug.runtime.engine import Engine
    from nlplug.task import TaskInput


def explained(
    engine: Engine,
    model: ExplainableModel[Any, Any],
    inputs: Iterable[TaskInput],
    options: ExplanationOptions,
) -> Answers:
    """The answers with their explanations, one input after the other.

    Args:
        engine: Runs the graph.
        model: The model of the engine.
        inputs: The inputs.
        options: The options of the call.

    Raises:
        OptionError: The label or the part to explain does not exist, or the text is too long for
            the number of passes.
        BundleError: The vocabulary has no token that can replace a word.
    """
    return Answers(partial(_steps, engine, model, inputs, options))


def _steps(
    engine: Engine,
    model: ExplainableModel[Any, Any],
    inputs: Iterable[TaskInput],
    options: ExplanationOptions,
    stop: Event,
) -> Generator[Explained[Any], None, None]:
    run = partial(engine.run_rows, stop=stop)
    for item in inputs:
        raise_if_cancelled(stop)
        [rows] = model.encode([item], options)
        outputs = run(rows)
        answer = model.decode(item, rows, outputs, options)
        target = model.target(item, rows, outputs, answer, options)
        if target is None:
            yield Explained(answer=answer, explanation=None)
            continue
        explanation = _explain(run, model, item, rows, outputs, target, options)
        yield Explained(answer=answer, explanation=explanation)


def _explain(
    run: Run,
    model: ExplainableModel[Any, Any],
    item: TaskInput,
    rows: Sequence[Row],
    outputs: Sequence[Outputs],
    target: Target,
    options: ExplanationOptions,
) -> Explanation:
    if model.stand_in is None:
        raise BundleError(
            "The answers of this model cannot be explained: its vocabulary has no mask, unknown or "
            "padding token that could replace a word.",
            hint="Use another model, or leave explain out.",
        )
    texts = model.texts(item)
    places = model.places(item, rows, options)
    units = units_of(texts, [places[window] for window in target.windows])
    units = _within(units, options)
    own = [rows[window] for window in target.windows]
    passes = Passes(run, own, units, target, model.stand_in)
    passes.know([outputs[window] for window in target.windows])
    none, every = np.zeros(len(units), dtype=bool), np.ones(len(units), dtype=bool)
    if options.explain_method == "shapley":
        room = options.explain_passes - len(own)
        weights = shapley(passes, len(units), orders_within(room, units.readings))
    else:
        weights = occlusion(passes, len(units))
    value, baseline = passes.values(np.stack((none, every))).tolist()
    return Explanation(
        target=target.name,
        method=options.explain_method,
        unit=target.unit,
        value=value,
        baseline=baseline,
        passes=passes.count,
        words=weighed(texts, units, weights),
    )


def _within(units: Units, options: ExplanationOptions) -> Units:
    """The units, or the smallest groups of them for which the passes suffice."""
    windows, limit = len(units.tokens), options.explain_passes
    method, size = options.explain_method, 1
    grouped = units
    while (needed := windows + cost(method, grouped.readings)) > limit:
        if size >= len(units):
            raise OptionError(
                f"explain_passes is {limit}, but the text has {windows} "
                f"window{'s' * (windows != 1)}, for which at least {needed} passes are needed.",
                hint="Set a higher explain_passes, or give a shorter text.",
            )
        size = min(len(units), max(size + 1, ceil(size * (needed - windows) / max(limit, 1))))
        grouped = units.grouped(size)
    return grouped


def weighed(texts: Mapping[str, str], units: Units, weights: np.ndarray) -> list[WordWeight]:
    """The words of units with their weights.

    Args:
        texts: The texts by field.
        units: The words.
        weights: (units,).
    """
    names, values = list(texts), list(texts.values())
    columns = (units.fields.tolist(), units.spans.tolist(), weights.tolist())
    return [
        WordWeight(
            word=values[field][start:end], weight=weight, start=start, end=end, field=names[field]
        )
        for field, (start, end), weight in zip(*columns, strict=True)
    ]
