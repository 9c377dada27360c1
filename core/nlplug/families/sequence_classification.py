"""One label, or several, for a whole text: sentiment, topics, intents, spam, inference pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from nlplug.errors import BundleError
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.task import Display, Row, Task, TaskInput, TaskModel, TaskOptions

Activation = Literal["softmax", "sigmoid", "none"]


class LabelScore(TypedDict):
    """One label with its score."""

    label: str
    score: float


class SequenceClassificationInput(TaskInput):
    """One text, or a pair of texts (a premise and a hypothesis, say)."""

    text: str = Field(
        description="The text to classify.",
        json_schema_extra={"zh": {"title": "文本", "description": "要分类的文本。"}},
    )
    text_pair: str | None = Field(
        default=None,
        description="A second text, for models that judge pairs.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "第二个文本", "description": "供判断文本对的模型使用。"},
        },
    )


class SequenceClassificationOptions(TaskOptions):
    """How the labels are chosen and how long texts are covered."""

    top_k: int | None = Field(
        default=1,
        ge=1,
        description="How many labels to return, best first; none for all.",
        json_schema_extra={
            "zh": {"title": "标签数量", "description": "返回得分最高的几个标签；留空则返回全部。"}
        },
    )
    function_to_apply: Activation | None = Field(
        default=None,
        description="Turns logits into scores; by default what the model was trained for.",
        json_schema_extra={
            "advanced": True,
            "zh": {
                "title": "激活函数",
                "description": "把 logits 变成得分；默认按模型的训练方式。",
            },
        },
    )
    truncation: bool = Field(
        default=False,
        description="Judge the beginning of a long text alone, instead of the whole by windows.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "截断", "description": "只判断长文本的开头，而不是用窗口覆盖全文。"},
        },
    )
    stride: int = Field(
        default=64,
        ge=0,
        le=4096,
        description="Tokens that neighbouring windows of a long text share.",
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "窗口重叠", "description": "长文本相邻窗口共有的词元数。"},
        },
    )


class SequenceClassificationModel(
    TaskModel[SequenceClassificationInput, SequenceClassificationOptions]
):
    """Encodes texts into windows and turns logits into labels with scores.

    The windows of a long text vote with their logits, each weighted by the tokens that no
    earlier window held. A task that answers otherwise overrides `answer`.

    Attributes:
        labels: Names of the labels by id.
    """

    output_rank = 2

    def __init__(self, bundle: Bundle) -> None:
        self._name = bundle.name
        self.labels = bundle.id2label
        self.output_width = len(self.labels)
        self.first_position = bundle.repository.first_position
        if [*self.labels] != [*range(len(self.labels))]:
            raise BundleError(
                f"The labels of the model {self._name!r} have the ids "
                f"{', '.join(map(str, self.labels))}, not 0 to {len(self.labels) - 1}.",
                hint="Correct id2label in config.json, or export the model again.",
            )
        self._default = _activation(bundle.config, len(bundle.id2label))
        self._tokenizer = load_tokenizer(bundle, offsets=False)
        self.pad_token_id = self._tokenizer.pad_token_id

    def encode(
        self,
        inputs: Sequence[SequenceClassificationInput],
        options: SequenceClassificationOptions,
    ) -> list[list[Row]]:
        """Tokenize; a text longer than the model's window becomes several rows."""
        texts = [
            item.text if item.text_pair is None else (item.text, item.text_pair) for item in inputs
        ]
        groups = (
            self._tokenizer.truncate(texts)
            if options.truncation
            else self._tokenizer.encode(texts, stride=self._stride(options))
        )
        overlap = self._stride(options)
        rows = []
        for group in groups:
            own = []
            for index, window in enumerate(group):
                features = {"input_ids": window.ids}
                if window.type_ids is not None:
                    features["token_type_ids"] = window.type_ids
                own.append(Row(features, meta=max(1, len(window) - (overlap if index else 0))))
            rows.append(own)
        return rows

    def decode(
        self,
        item: SequenceClassificationInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: SequenceClassificationOptions,
    ) -> list[LabelScore]:
        """The answer to one input; see `answer`."""
        return self.answer(self._scores(rows, outputs, options), options)

    def answer(
        self, scores: np.ndarray, options: SequenceClassificationOptions
    ) -> list[LabelScore]:
        """Labels with scores, best first, from the score of each label by id, shape (labels,)."""
        if options.top_k == 1:
            best = int(scores.argmax())
            return [LabelScore(label=self.labels[best], score=float(scores[best]))]
        order = np.argsort(-scores, kind="stable")[: options.top_k]
        return [
            LabelScore(label=self.labels[int(index)], score=float(scores[index])) for index in order
        ]

    def _scores(
        self,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: SequenceClassificationOptions,
    ) -> np.ndarray:
        if len(outputs) == 1:
            logits = outputs[0]["logits"].astype(np.float32, copy=False)
        else:
            stacked = np.stack([output["logits"] for output in outputs]).astype(np.float32)
            logits = np.average(stacked, axis=0, weights=[row.meta for row in rows])
        return _apply(options.function_to_apply or self._default, logits)

    def _stride(self, options: SequenceClassificationOptions) -> int:
        # A default made for windows of 512 tokens must not break a model with short ones.
        if "stride" in options.model_fields_set:
            return options.stride
        return min(options.stride, self._tokenizer.max_length // 4)


class SequenceClassificationTask(Task):
    """Base of the tasks that label a whole text; a subclass brings names, texts and examples."""

    hub_task: ClassVar[str] = "text-classification"
    Input: ClassVar[type[TaskInput]] = SequenceClassificationInput
    Options: ClassVar[type[TaskOptions]] = SequenceClassificationOptions
    Output: ClassVar[Any] = list[LabelScore]
    display: ClassVar[Display] = Display.LABEL
    labels: ClassVar[Sequence[str]] = ()
    """Names by id where the task itself fixes them; empty where each model brings its own."""
    training: ClassVar[str | None] = (
        "nlplug.train.sequence_classification:SequenceClassificationRecipe"
    )
    evaluation: ClassVar[str | None] = "nlplug.evaluation.classification:ClassificationEvaluation"

    def bind(self, bundle: Bundle) -> SequenceClassificationModel:
        """Bind to a text-classification bundle."""
        return SequenceClassificationModel(bundle)

    def shape(
        self,
        answers: list[Any],
        *,
        single: bool,
        given: frozenset[str] = frozenset(),
        preset: frozenset[str] = frozenset(),
    ) -> Any:
        """As transformers' pipeline does: a text gives a list of one dict, a list of texts one
        dict a text; with ``top_k`` each text gives a list, which stands in a further list when
        ``top_k`` was set while making the pipeline and one text is asked for."""
        if single:
            return answers if "top_k" in preset - given else answers[0]
        return answers if "top_k" in given | preset else [answer[0] for answer in answers]


def _activation(config: Mapping[str, Any], labels: int) -> Activation:
    """The function a model was trained for, by the rules of transformers 4.57's pipeline."""
    problem = config.get("problem_type")
    if problem == "regression":
        return "none"
    if problem == "multi_label_classification" or labels == 1:
        return "sigmoid"
    return "softmax"


def _apply(activation: Activation, logits: np.ndarray) -> np.ndarray:
    if activation == "sigmoid":
        sigmoid: np.ndarray = np.exp(-np.logaddexp(0.0, -logits))  # does not overflow
        return sigmoid
    if activation == "softmax":
        exponents = np.exp(logits - logits.max())
        scores: np.ndarray = exponents / exponents.sum()
        return scores
    return logits
