"""The benchmarks of throughput and decoding: the contenders of each, and our targets."""

from __future__ import annotations

from dataclasses import dataclass

from contenders import CLASSIFICATION, Contender
from decoding import Case, Entry
from decoding_contenders import GPT2, LLAMA, MARIAN
from documents import NER, QA
from openvino_contenders import OPENVINO


@dataclass(frozen=True)
class Part:
    """One throughput benchmark.

    Attributes:
        contenders: By name.
        title: Of its table, after the number of texts.
        reference: The contender whose answers the others' are compared with.
        goals: (title, least ratio, contender, peer) each.
        quick: How many texts a quick run and the sweeps take.
        rounds: Of a full run.
    """

    contenders: dict[str, type[Contender]]
    title: str
    reference: str
    goals: tuple[tuple[str, float, str, str], ...]
    quick: int
    rounds: int = 5


PARTS: dict[str, Part] = {
    "classification": Part(
        CLASSIFICATION | OPENVINO,
        "texts of mixed length",
        "transformers",
        (
            ("int8 over transformers", 5.5, "nlplug-int8", "transformers"),
            ("int8 over optimum int8", 2.4, "nlplug-int8", "optimum-int8"),
            ("fp32 over optimum fp32", 1.8, "nlplug-fp32", "optimum-fp32"),
            ("int8 share of bare `session.run`", 0.93, "nlplug-int8", "bare-int8"),
            ("fp32 share of bare `session.run`", 0.93, "nlplug-fp32", "bare-fp32"),
            ("int8 over OpenVINO int8", 1.15, "nlplug-int8", "openvino-int8"),
            ("int8 over OpenVINO bf16", 1.15, "nlplug-int8", "openvino-bf16"),
        ),
        quick=400,
    ),
    "ner": Part(
        NER,
        "documents up to 3,000 characters, named entities",
        "ner-transformers",
        (("NER, int8 over transformers", 4.0, "ner-nlplug-int8", "ner-transformers"),),
        quick=60,
        rounds=3,
    ),
    "qa": Part(
        QA,
        "documents up to 3,000 characters, a question each",
        "qa-transformers",
        (("QA, int8 over transformers", 4.0, "qa-nlplug-int8", "qa-transformers"),),
        quick=60,
        rounds=3,
    ),
}

CONTENDERS: dict[str, type[Contender]] = {
    name: contender for part in PARTS.values() for name, contender in part.contenders.items()
}


@dataclass(frozen=True)
class Goal:
    """What is asked of us in one case.

    Attributes:
        case: Its name.
        least: The least ratio.
        peers: Contenders, by the last parts of their names; the best of them is meant. None: of
            ours, the same one in the case ``against``.
        against: Another case.
    """

    case: str
    least: float
    peers: tuple[str, ...] = ()
    against: str = ""


@dataclass(frozen=True)
class DecodingPart:
    """One model in several cases.

    Attributes:
        contenders: By name.
        shape: The folder of its models.
        title: What the model is.
        cases: By what the table calls them.
        goals: What is asked.
        rounds: Of a full run.
    """

    contenders: dict[str, Entry]
    shape: str
    title: str
    cases: dict[str, Case]
    goals: tuple[Goal, ...]
    rounds: int = 3


OURS = ("nlplug-int8", "nlplug-int8-blocks")
"""Both int8 forms of an export; the better one of a case is compared with the peers."""
OPTIMUM = ("optimum",)
CTRANSLATE2 = ("ctranslate2-int8", "ctranslate2-fp32")
_CAUSAL_CASES = {
    "batch 1": Case(1),
    "batch 8": Case(8),
    "batch 1, sampled": Case(1, sampled=True, like="batch 1"),
    "batch 8, sampled": Case(8, sampled=True, like="batch 8"),
}

DECODING: dict[str, DecodingPart] = {
    "generation": DecodingPart(
        GPT2,
        "gpt2",
        "GPT-2 shape (6 layers, d=384, vocabulary 8,000), prompt 32, 128 new tokens",
        _CAUSAL_CASES,
        (
            Goal("batch 1", 4.2, OPTIMUM),
            Goal("batch 1", 2.3, CTRANSLATE2),
            Goal("batch 8", 2.7, OPTIMUM),
            Goal("batch 8", 1.25, CTRANSLATE2),
            Goal("batch 1, sampled", 0.85, against="batch 1"),
            Goal("batch 8, sampled", 0.85, against="batch 8"),
        ),
    ),
    "llama": DecodingPart(
        LLAMA,
        "llama",
        "Llama shape (6 layers, d=384, vocabulary 8,000), prompt 32, 128 new tokens",
        {name: case for name, case in _CAUSAL_CASES.items() if not case.sampled},
        (
            Goal("batch 1", 4.2, OPTIMUM),
            Goal("batch 1", 2.3, CTRANSLATE2),
            Goal("batch 1", 1.0, ("genai-int8",)),
            Goal("batch 8", 2.7, OPTIMUM),
            Goal("batch 8", 1.25, CTRANSLATE2),
        ),
    ),
    "translation": DecodingPart(
        MARIAN,
        "marian",
        "Marian shape (6 encoder, 3 decoder layers, d=256, vocabulary 8,000), 20 source tokens, "
        "24 new",
        {
            "batch 1": Case(1),
            "batch 8": Case(8),
            "batch 32": Case(32),
            "beam 4, batch 1": Case(1, beams=4),
            "beam 4, batch 8": Case(8, beams=4),
        },
        (
            Goal("batch 1", 5.0, OPTIMUM),
            Goal("batch 1", 0.8, CTRANSLATE2),
            Goal("batch 8", 5.0, OPTIMUM),
            Goal("batch 8", 0.75, CTRANSLATE2),
            Goal("batch 32", 2.8, OPTIMUM),
            Goal("batch 32", 0.75, CTRANSLATE2),
            Goal("beam 4, batch 1", 2.7, OPTIMUM),
            Goal("beam 4, batch 1", 0.5, CTRANSLATE2),
            Goal("beam 4, batch 8", 1.5, OPTIMUM),
            Goal("beam 4, batch 8", 0.5, CTRANSLATE2),
        ),
    ),
}
DECODERS: dict[str, Entry] = {
    name: entry for part in DECODING.values() for name, entry in part.contenders.items()
}

FIRST_TOKEN_PASSES = 1.2
"""The time to the first token of a stream, at most, in passes of the prompt."""
PROMPTS = (32, 256)
"""Lengths of the prompts for it."""
MEMORY_SHARE = 0.25
"""Maximum share of the full context's cache for a twentieth of its tokens."""
MEMORY_ROWS = 8
MEMORY_NEW = (32, 128, 512)
