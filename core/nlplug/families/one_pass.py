"""Shared by families whose models answer in one pass: bind a bundle, run its graph, decode."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from nlplug.errors import OptionError
from nlplug.explanations.contract import ExplainableModel
from nlplug.explanations.options import ExplanationOptions
from nlplug.models.tuned import tuned_for
from nlplug.runtime.answers import Answers
from nlplug.runtime.batch_invariance import may_share_batches
from nlplug.runtime.engine import Engine
from nlplug.runtime.feeds import GraphFeeds
from nlplug.runtime.model import Row, TaskModel
from nlplug.runtime.session import OnnxExecutor
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.task import Runner, Task, TaskInput, TaskOptions, chinese

if TYPE_CHECKING:
    from pathlib import Path

    from nlplug.inside.result import Inside, Request
    from nlplug.models.bundle import Bundle

__all__ = [
    "GraphRunner",
    "OnePassTask",
    "Row",
    "Stride",
    "TaskModel",
    "min_score",
    "softmax",
    "window_stride",
]

Stride = Annotated[
    int,
    Field(
        ge=0,
        le=4096,
        title="Window overlap (tokens)",
        description="Number of tokens that neighboring windows of a long text share.",
        json_schema_extra=chinese(
            "窗口重叠（词元）", "长文本相邻窗口共有的词元数。", advanced=True
        ),
    ),
]
"""The option ``stride`` of tasks that split long texts into windows."""


def min_score(description: str, chinese_description: str) -> Any:
    """The option ``min_score``: the field of the options of a task that withholds unsure answers.

    Args:
        description: What happens to an answer with a lower score.
        chinese_description: The same in Chinese.
    """
    return Field(
        default=0.0,
        ge=0,
        le=1,
        title="Minimum score",
        description=description,
        json_schema_extra=chinese("最低得分", chinese_description),
    )


class OnePassTask(Task):
    """A task whose batches are answered by one run of one graph."""

    @abstractmethod
    def bind(self, bundle: Bundle) -> TaskModel[Any, Any]:
        """Bind to a bundle: encode inputs for its graph, and decode the outputs.

        Raises:
            BundleError: The bundle's model does not fit this task.
        """

    def passes(self, options: Mapping[str, Any]) -> int:
        """See `Task.passes`; an explanation takes many."""
        most = ExplanationOptions.model_fields["explain_passes"].default
        return options.get("explain_passes", most) if options.get("explain") else 1

    def load(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> Runner:
        """See `Task.load`; batches are of the size that was measured, if there is one."""
        tuned = tuned_for(bundle)
        same = tuned is not None and (tuned.precision, tuned.device) == (precision, device)
        return self.load_with(
            bundle,
            precision=precision,
            device=device,
            threads=threads,
            token_budget=tuned.token_budget if tuned and same else None,
        )

    def load_with(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
        token_budget: int | None = None,
    ) -> Runner:
        """As `load`, with a size of batches.

        Args:
            bundle: The model.
            precision: A precision of the model.
            device: A name of a device.
            threads: CPU threads; None for the CPUs that the process may use.
            token_budget: Maximum number of tokens per batch; None for the default of the device.
        """
        path = bundle.onnx_file(precision)
        return GraphRunner(
            self.bind(bundle), path, device=device, threads=threads, token_budget=token_budget
        )


class GraphRunner(Runner):
    """Runs one graph, once per batch.

    Args:
        model: The task, bound to the bundle.
        path: The ``.onnx`` file.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None for the CPUs that the process may use.
        token_budget: Maximum number of tokens per batch; None for the default of the device.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        DeviceError: The device name is unknown.
        OptionError: ``threads`` is below 1.
        BundleError: The file is not an ONNX graph, has inputs that cannot be fed, or is for another
            task.
    """

    def __init__(
        self,
        model: TaskModel[Any, Any],
        path: Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        token_budget: int | None = None,
    ) -> None:
        self._model = model
        self._executor = OnnxExecutor(path, device=device, threads=threads)
        together = may_share_batches(self._executor.signature)
        self._engine = Engine(self._executor, model, token_budget=token_budget, together=together)

    @property
    def device(self) -> str:
        """See `nlplug.task.Runner.device`."""
        return self._executor.device

    @property
    def token_budget(self) -> int:
        """Maximum number of tokens per batch."""
        return self._engine.token_budget

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        """See `nlplug.task.Runner.map`."""
        if isinstance(options, ExplanationOptions) and options.explain:
            if not isinstance(self._model, ExplainableModel):
                raise OptionError(
                    "The answers of this task cannot be explained.", hint="Leave explain out."
                )
            from nlplug.explanations.run import explained

            return explained(self._engine, self._model, inputs, options)
        return self._engine.map(inputs, options)

    def inside(self, item: TaskInput, options: TaskOptions, request: Request) -> Inside:
        """See `nlplug.task.Runner.inside`."""
        from nlplug.inside.attention import AttentionReader
        from nlplug.inside.result import AttentionMap, Inside
        from nlplug.inside.tokens import neighbors, token_texts

        request.lacks("probabilities")
        (rows,) = self._model.encode([item], options)
        row = rows[request.place(len(rows))]
        tokenizer = load_tokenizer(request.bundle, offsets=False)
        path, signature = self._executor.path, self._executor.signature
        ids = [int(token) for token in row.features["input_ids"]]
        tokens = token_texts(tokenizer, ids)
        found = Inside(tokens, request.window, len(rows))
        if "attention" in request.parts:
            feeds = GraphFeeds(
                signature,
                pad_token_id=self._model.pad_token_id,
                first_position=self._model.first_position,
            )
            layers, _ = AttentionReader(path).read(feeds.collate([row]))
            layers = [layer[:, : len(ids), : len(ids)] for layer in layers]
            found = replace(found, attention=[AttentionMap("self", tokens, tokens, layers)])
        if "neighbors" in request.parts:
            found = replace(found, neighbors=neighbors(path, tokenizer, ids, request.top))
        return found

    def open(self) -> None:
        """Build the sessions for single batches and for many batches.

        Raises:
            BundleError: ONNX Runtime cannot load the graph.
        """
        self._executor.open(alone=True)
        self._executor.open()

    def close(self) -> None:
        """See `nlplug.task.Runner.close`."""
        self._engine.close()
        self._executor.close()


def window_stride(options: TaskOptions, stride: int, most: int) -> int:
    """The overlap of windows: a given ``stride`` as it is, the default at most ``most`` tokens.

    The limit keeps a default made for windows of 512 tokens valid for models with short windows.

    Args:
        options: The options that have the field ``stride``.
        stride: Its value.
        most: Upper bound of the default, in tokens.
    """
    return stride if "stride" in options.model_fields_set else min(stride, most)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float32, same shape."""
    logits = logits.astype(np.float32, copy=False)
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: np.ndarray = exponents / exponents.sum(axis=-1, keepdims=True)
    return scores
