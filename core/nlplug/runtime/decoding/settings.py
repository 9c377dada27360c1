"""The options of decoding that a caller chooses, each with its bounds and its description."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from nlplug.errors import OptionError
from nlplug.task import chinese

EarlyStopping = Annotated[
    Literal["false", "true", "never"],
    BeforeValidator(lambda value: str(value).lower() if isinstance(value, bool) else value),
]
"""True and False are accepted for ``"true"`` and ``"false"``."""

LONGEST = 1_000_000
"""Upper bound of the options that are a number of tokens."""
MOST_TEXTS = 1024
"""Upper bound of the options that are a number of texts per input: all are decoded together."""

DoSample = Annotated[
    bool,
    Field(
        title="Sample",
        description="Sample tokens instead of taking the most likely one. With beams: sample the "
        "continuations that the beams are chosen from; only if it is set in the call.",
        json_schema_extra=chinese(
            "采样",
            "按概率采样词元，而不是取最可能的词元。束搜索时：采样候选后续，再从中选出各束；"
            "仅在调用中设置时有效。",
        ),
    ),
]
"""Tasks may have another default of this option, and of the next two."""

Temperature = Annotated[
    float,
    Field(
        ge=0,
        le=1_000_000,
        title="Temperature",
        description="When sampling: below 1 favours likely tokens, above 1 unlikely ones. "
        "0 takes the most likely token, as without sampling.",
        json_schema_extra=chinese(
            "温度",
            "采样时：小于 1 偏向可能的词元，大于 1 偏向不太可能的词元。0 等同于不采样。",
            slider=5,
        ),
    ),
]

NumBeams = Annotated[
    int,
    Field(
        ge=1,
        le=MOST_TEXTS,
        title="Beams",
        description="Number of beams of a beam search. 1: no beam search. Time and memory grow "
        "with it.",
        json_schema_extra=chinese(
            "束宽",
            "束搜索的束数。1：不用束搜索。时间和内存随之增加。",
            advanced=True,
            slider=32,
        ),
    ),
]


class DecodingSettings(BaseModel):
    """What a caller chooses. Names, meanings and most defaults are those of transformers.

    Raises:
        OptionError: Two options contradict each other.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    max_new_tokens: int = Field(
        default=256,
        ge=1,
        le=LONGEST,
        title="Maximum new tokens",
        description="Maximum number of new tokens.",
        json_schema_extra=chinese("最多新词元数", "新词元的最大数量。", slider=4096),
    )
    min_new_tokens: int = Field(
        default=0,
        ge=0,
        le=LONGEST,
        title="Minimum new tokens",
        description="Minimum number of new tokens.",
        json_schema_extra=chinese("最少新词元数", "新词元的最小数量。", advanced=True, slider=4096),
    )
    do_sample: DoSample = False
    temperature: Temperature = 1.0
    top_k: int = Field(
        default=50,
        ge=0,
        title="Top-k",
        description="When sampling: keep this many most likely tokens. 0: all tokens.",
        json_schema_extra=chinese(
            "Top-k", "采样时只保留这么多最可能的词元。0：全部词元。", slider=1000
        ),
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Top-p",
        description="When sampling: keep the most likely tokens that together have this "
        "probability. 1: all tokens.",
        json_schema_extra=chinese(
            "Top-p", "采样时只保留累计概率达到该值的最可能词元。1：全部词元。"
        ),
    )
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Min-p",
        description="When sampling: keep tokens with at least this fraction of the largest "
        "probability. 0: all tokens.",
        json_schema_extra=chinese(
            "Min-p", "采样时只保留概率不低于最大概率该倍数的词元。0：全部词元。", advanced=True
        ),
    )
    typical_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Typical-p",
        description="When sampling: keep the tokens whose information content is closest to the "
        "expected one and that together have this probability. 1: all tokens.",
        json_schema_extra=chinese(
            "Typical-p",
            "采样时只保留信息量最接近期望值、累计概率达到该值的词元。1：全部词元。",
            advanced=True,
        ),
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        title="Seed",
        description="When sampling: the seed of the random numbers. The same seed gives the same "
        "text again. Empty: a different text each time.",
        json_schema_extra=chinese(
            "随机种子",
            "采样时随机数的种子；相同的种子生成相同的文本。留空：每次不同。",
            advanced=True,
        ),
    )
    num_beams: NumBeams = 1
    num_return_sequences: int = Field(
        default=1,
        ge=1,
        le=MOST_TEXTS,
        title="Texts per input",
        description="Number of texts per input: sampled ones, or the best beams.",
        json_schema_extra=chinese(
            "返回数量",
            "每个输入返回的文本数：多次采样，或最好的几条束。",
            advanced=True,
            slider=32,
        ),
    )
    length_penalty: float = Field(
        default=1.0,
        ge=-10,
        le=10,
        title="Length penalty",
        description="With beams: the sum of log-probabilities is divided by the length to the "
        "power of this. Above 0 favours long texts, below 0 short ones.",
        json_schema_extra=chinese(
            "长度惩罚",
            "束搜索时：对数概率之和除以长度的该次幂。大于 0 偏向长文本，小于 0 偏向短文本。",
            advanced=True,
        ),
    )
    early_stopping: EarlyStopping = Field(
        default="false",
        title="Early stopping",
        description="With beams, when to stop: at num_beams finished texts (true), when a better "
        "one is unlikely (false), or when a better one is impossible (never).",
        json_schema_extra=chinese(
            "提前停止",
            "束搜索何时停止：true 为完成 num_beams 条文本时，false 为不大可能有更好的文本时，"
            "never 为不可能有更好的文本时。",
            advanced=True,
        ),
    )
    repetition_penalty: float = Field(
        default=1.0,
        gt=0,
        le=5,
        title="Repetition penalty",
        description="Above 1 makes tokens that occur in the prompt or the text less likely.",
        json_schema_extra=chinese(
            "重复惩罚", "大于 1 时降低提示和文本中已有词元的概率。", advanced=True
        ),
    )
    frequency_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        title="Frequency penalty",
        description="Makes tokens of the new text less likely, per occurrence.",
        json_schema_extra=chinese(
            "频率惩罚", "按出现次数降低新文本中已有词元的概率。", advanced=True
        ),
    )
    presence_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        title="Presence penalty",
        description="Makes tokens of the new text less likely, however often they occur.",
        json_schema_extra=chinese(
            "出现惩罚", "降低新文本中已有词元的概率，与出现次数无关。", advanced=True
        ),
    )
    no_repeat_ngram_size: int = Field(
        default=0,
        ge=0,
        le=100,
        title="No repeated n-grams",
        description="Sequences of this many tokens occur only once. 0: no limit.",
        json_schema_extra=chinese(
            "禁止重复的 n 元组", "这么长的词元序列只出现一次。0：不限制。", advanced=True
        ),
    )

    max_time: SkipJsonSchema[float | None] = Field(
        default=None,
        gt=0,
        title="Time limit",
        description="Seconds after which a text ends with the next token. Empty: no limit.",
        json_schema_extra=chinese(
            "时间限制",
            "超过这么多秒后，文本在下一个词元处结束。留空：不限制。",
            advanced=True,
            by_name=True,
        ),
    )

    @property
    def samples(self) -> bool:
        """Whether tokens are sampled: a temperature of 0 takes the most likely ones, as do beams
        unless ``do_sample`` was given; the default of a task is not for beams."""
        given = self.num_beams == 1 or "do_sample" in self.model_fields_set
        return self.do_sample and self.temperature > 0 and given

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.min_new_tokens > self.max_new_tokens:
            raise OptionError(
                f"min_new_tokens is {self.min_new_tokens}, above max_new_tokens, "
                f"{self.max_new_tokens}.",
                hint="Lower min_new_tokens or raise max_new_tokens.",
            )
        if self.num_beams > 1 and self.num_return_sequences > self.num_beams:
            raise OptionError(
                f"num_return_sequences is {self.num_return_sequences}, but there are "
                f"{self.num_beams} beams.",
                hint="Set num_return_sequences to at most num_beams.",
            )
        if self.num_beams == 1 and self.num_return_sequences > 1 and not self.samples:
            raise OptionError(
                f"num_return_sequences is {self.num_return_sequences}, but without sampling and "
                "beams the same text would be returned each time.",
                hint="Set do_sample with a temperature above 0, or num_beams.",
            )
        return self
