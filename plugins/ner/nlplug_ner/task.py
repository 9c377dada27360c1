"""The named-entity task: names, options, answers and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NotRequired, cast, get_args

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from nlplug.argument_rules import Rule, flag, only, values, when_default
from nlplug.errors import warn
from nlplug.families.token_classification import (
    TokenClassificationModel,
    TokenClassificationOptions,
    TokenClassificationTask,
    WordLabel,
)
from nlplug.families.token_classification.tagged_text import Tags
from nlplug.models.bundle import Bundle
from nlplug.task import Example, Localized, NameRules, TaskOptions, chinese
from nlplug_ner.aggregation import (
    Scheme,
    Strategy,
    TokenRuns,
    group,
    label_characters,
    label_tokens,
    label_words,
)


class Entity(TypedDict):
    """One entity; ``text[start:end]`` is the word.

    ``words`` has the indices of the words of the input, if it was given as words.
    """

    entity_group: str
    score: float
    word: str
    start: int
    end: int
    words: NotRequired[list[int]]


class NerOptions(TokenClassificationOptions):
    """Options of token classification, and how tokens are grouped into entities."""

    aggregation_strategy: Strategy = Field(
        default="simple",
        title="Aggregation",
        description="How tokens are grouped into entities. simple: join neighboring tokens of the "
        "same type; first, average, max: choose one label per word, then join words; none: return "
        "each token.",
        json_schema_extra=chinese(
            "聚合方式",
            "如何把词元合并成实体。simple：合并相邻的同类词元；first、average、max：先为每个词选定"
            "一个标签，再合并词；none：返回每个词元。",
        ),
    )


class NerModel(TokenClassificationModel):
    """Groups labelled tokens into entities."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self._scheme = Scheme(self.labels)

    def answer(self, tags: Tags, options: TokenClassificationOptions) -> Any:
        """The entities in the order of the text; with the strategy ``none`` the tokens.

        ``word`` is always ``text[start:end]``. transformers decodes the tokens instead, which
        loses case, accents and spaces.
        """
        strategy = cast("NerOptions", options).aggregation_strategy
        if strategy == "none":
            runs, names = label_tokens(tags), self.labels
        else:
            labelled = (
                label_characters(tags, self._scheme)
                if strategy == "simple"
                else label_words(tags, strategy)
            )
            runs, names = group(labelled, self._scheme, tags.apart), self._scheme.names
        return _write(tags, runs, names, options.ignore_labels, tokens=strategy == "none")


def _write(
    tags: Tags, runs: TokenRuns, names: Sequence[str], ignored: Sequence[str], *, tokens: bool
) -> list[WordLabel] | list[Entity]:
    """The runs as dicts, without runs of an ignored label and runs of no characters."""
    starts, ends = (tags.starts, tags.ends) if tokens else tags.spans(runs.firsts)
    kept = ~np.isin(runs.labels, [i for i, name in enumerate(names) if name in ignored])
    kept &= starts < ends
    columns = (runs.labels, runs.scores, runs.firsts + tags.first, starts, ends)
    rows = zip(*(column[kept].tolist() for column in columns), strict=True)
    if tokens:
        return [
            WordLabel(
                entity=names[label],
                score=score,
                index=index,
                word=tags.text[start:end],
                start=start,
                end=end,
            )
            for label, score, index, start, end in rows
        ]
    return [
        Entity(
            entity_group=names[label],
            score=score,
            word=tags.text[start:end],
            start=start,
            end=end,
        )
        for label, score, _, start, end in rows
    ]


class NerTask(TokenClassificationTask):
    """Finds persons, places, organizations and other names in a text."""

    name = "ner"
    title: ClassVar[Localized] = {"en": "Named entities", "zh": "命名实体识别"}
    description: ClassVar[Localized] = {
        "en": "Finds persons, organizations, places and other names in a text of any length. The "
        "embedded models are for English and Chinese.",
        "zh": "找出文本中的人名、机构名、地名和其他专名，文本长度不限。自带模型适用于英文和中文。",
    }
    Options: ClassVar[type[TaskOptions]] = NerOptions
    Output: ClassVar[Any] = list[Entity] | list[WordLabel]
    default_model = "ner-en"
    base: ClassVar[str] = "sentence-transformers/all-MiniLM-L6-v2"
    name_rules: ClassVar[Mapping[str, NameRules]] = {
        "token-classification": NameRules(options={"aggregation_strategy": "none"})
    }
    rules: ClassVar[Mapping[str, Rule]] = {
        "aggregation_strategy": values(
            {name: name for name in get_args(Strategy)} | {None: "none"}
        ),
        "stride": when_default,
        "ignore_labels": when_default,
        "delimiter": only(None, " ", hint="Give it in each call."),
        "is_split_into_words": only(None, False, hint="Give it in each call."),
        "offset_mapping": only(None, hint="Leave it out: positions are those of the tokenizer."),
    }
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Angela Merkel met Barack Obama in Berlin."}),
        Example({"text": "Toyota is building a plant in Alabama with Mazda, Reuters reports."}),
        Example(
            {"text": "The World Cup in Brazil was won by Germany."},
            {"aggregation_strategy": "none"},
        ),
        Example({"text": "my flight to tokyo got cancelled, thanks @united"}),
    )

    def adapt(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task.adapt`; converts ``grouped_entities`` and ``ignore_subwords``."""
        left = dict(arguments)
        names = [name for name in ("grouped_entities", "ignore_subwords") if name in left]
        old = {name: flag(name, given) for name in names if (given := left.pop(name)) is not None}
        if old:
            warn(f"{' and '.join(old)}: old options; use aggregation_strategy.", FutureWarning)
            grouped = "first" if old.get("ignore_subwords") else "simple"
            strategy = grouped if old.get("grouped_entities") else "none"
            left.setdefault("aggregation_strategy", strategy)
        return super().adapt(left)

    def bind(self, bundle: Bundle) -> NerModel:
        """Bind to a token-classification bundle."""
        return NerModel(bundle)
