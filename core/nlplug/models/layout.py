"""How model repositories are laid out: names of ONNX files, the model's window, its labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

CONFIG_FILE = "config.json"
GENERATION_CONFIG_FILE = "generation_config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"
SENTENCE_CONFIG_FILE = "sentence_bert_config.json"
MODULES_FILE = "modules.json"
POOLING_FILE = "1_Pooling/config.json"
"""How sentence-transformers makes one vector of the tokens' vectors."""
CONFIDENCE_FILE = "confidence.json"
"""What held-out rows say about the scores of a model; only nlplug writes and reads it."""
CARD_FILE = "README.md"
CHAT_TEMPLATE_FILE = "chat_template.jinja"
TOOL_TEMPLATE_FILE = "additional_chat_templates/tool_use.jinja"
"""The template of chats that have tools, where it is another one."""
VOCABULARY_FILE = "vocab.txt"
"""One WordPiece per line; read only where there is no ``tokenizer.json``."""
PAIRS_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
"""Byte pairs and how they are merged; read only where there is neither of the other files."""
TARGET_TOKENIZER_FILE = "target_tokenizer.json"
"""Tokenizer of the target texts, of a translation model with one vocabulary per language."""

CONFIG_MARK = "nlplug_format"
"""A key in ``config.json``: this folder was written with a manifest.

So a copy without its manifest is not mistaken for a plain repository of the Hub.
"""

MODEL_GRAPH = "model"
ENCODER_GRAPH = "encoder_model"
DECODER_GRAPH = "decoder_model_merged"
FIRST_DECODER_GRAPH = "decoder_model"
"""The first step of a decoder in two files; the other file runs all later steps."""
NEXT_DECODER_GRAPH = "decoder_with_past_model"

FOLDERS = ("", "onnx/", "tokenizer/")
"""Where a file may be within a repository; the first folder that has it wins."""

SIDE_FILES = (
    CONFIG_FILE,
    GENERATION_CONFIG_FILE,
    TOKENIZER_FILE,
    TOKENIZER_CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
    SENTENCE_CONFIG_FILE,
    MODULES_FILE,
    POOLING_FILE,
    CONFIDENCE_FILE,
    CHAT_TEMPLATE_FILE,
    TOOL_TEMPLATE_FILE,
    TARGET_TOKENIZER_FILE,
)
"""Files that the runtime reads in addition to the graphs; other files are not downloaded."""

_SUFFIXES = ("q4f16", "fp16", "int8", "uint8", "quantized", "q4", "bnb4")
_SUFFIXED = re.compile(rf"^(?P<stem>.+?)_(?P<suffix>{'|'.join(_SUFFIXES)})$")
# An optimizer's mark between the name and the precision: model_optimized_quantized, model_O2_fp16.
_OPTIMIZED = re.compile(r"^(?P<stem>.+)_(?:optimized|O[1-4])$")
# Any other ending of the plain graph is a precision of its own (model_O3, model_qint8_avx512);
# for other graphs the name does not show it (decoder_model_merged).
_PLAIN = re.compile(r"^model_(?P<suffix>.+)$")

# Graphs that cannot answer without others.
_PARTS = frozenset({ENCODER_GRAPH, NEXT_DECODER_GRAPH})
# These number positions from pad_token_id + 1, so that many of the embeddings are never used.
_OFFSET_POSITIONS = frozenset(
    {
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "layoutlmv3",
        "lilt",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
# Relative positions: the figure in the config is what the model was trained with, no limit.
RELATIVE_POSITIONS = frozenset({"t5", "mt5", "umt5", "longt5", "xlnet"})
# Convolutions (ConvBERT) and embeddings of three tokens (MobileBERT) read padding in spite of the
# mask.
READS_PADDING = frozenset({"convbert", "mobilebert"})
# A config states one of these; some architectures have a name of their own.
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
_DEFAULT_WINDOW = 512
_MOST_LABELS = 1_000_000
_POOLING = "pooling_mode_"
NO_LIMIT = 1_000_000  # transformers writes 1e30 for "none"


def side_files(names: Collection[str]) -> list[str]:
    """The files of a repository that the runtime reads in addition to the graphs, sorted."""
    wanted = list(SIDE_FILES)
    if not any(folder + TOKENIZER_FILE in names for folder in FOLDERS):
        wanted += [VOCABULARY_FILE, PAIRS_FILE, MERGES_FILE]
    found = (locate(name, names) for name in wanted)
    return sorted(path for path in found if path is not None)


def locate(name: str, names: Collection[str]) -> str | None:
    """The path of a side file within a repository; None where no known folder has it."""
    return next((folder + name for folder in FOLDERS if folder + name in names), None)


def graph_of(name: str) -> tuple[str, str] | None:
    """The graph and precision that a file holds: ``onnx/model_fp16.onnx`` → (model, fp16).

    Returns:
        None when it is not an ONNX file of a known layout (at the root or in ``onnx/``).
    """
    folder, _, file = name.rpartition("/")
    if folder not in ("", "onnx") or not file.endswith(".onnx"):
        return None
    stem = file.removesuffix(".onnx")
    match = _SUFFIXED.match(stem)
    if match:
        optimized = _OPTIMIZED.match(match["stem"])
        graph = optimized["stem"] if optimized else match["stem"]
        return graph, "int8" if match["suffix"] == "quantized" else match["suffix"]
    match = _PLAIN.match(stem)
    return (MODEL_GRAPH, match["suffix"]) if match else (stem, "fp32")


def poolings_of(values: Mapping[str, Any]) -> list[str]:
    """The poolings that a `POOLING_FILE` states, such as ``mean`` and ``cls``.

    Sentence-transformers concatenates the results of several.
    """
    stated = values.get("pooling_mode")  # of version 5; before, one flag for each
    if stated is None:
        stated = [name for name, on in values.items() if name.startswith(_POOLING) and on]
    names = stated if isinstance(stated, list) else [stated]
    return [re.sub(r"_tokens?$", "", str(name).removeprefix(_POOLING)) for name in names]


def find_graphs(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """All ONNX files of a repository: graph → precision → name.

    Where two files hold the same, ``onnx/`` wins over the root, an explicit name (``model_int8``)
    over ``model_quantized``, and both over an optimized one (``model_optimized_int8``). The graph
    of a repository with a single one is called ``model``, whatever its file is called.
    """

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        optimized = _OPTIMIZED.match(re.sub(r"_[^_]+$", "", name.removesuffix(".onnx")))
        return not name.startswith("onnx/"), optimized is not None, "quantized" in name, name

    found: dict[str, dict[str, str]] = {}
    for name in sorted(names, key=rank):
        graph = graph_of(name)
        if graph:
            found.setdefault(graph[0], {}).setdefault(graph[1], name)
    if len(found) == 1 and not run_together(found):
        (graph_name, files) = found.popitem()
        if graph_name not in _PARTS:
            graph_name = MODEL_GRAPH
        found[graph_name] = files
    return found


def run_together(graphs: Collection[str]) -> tuple[str, ...]:
    """Which of a model's graphs are run to answer: the one that answers first, then its encoder.

    Repositories contain further ones, such as the same decoder without its cache.

    Returns:
        Nothing where none of the known sets is whole.
    """
    if ENCODER_GRAPH in graphs:
        if DECODER_GRAPH in graphs:
            return DECODER_GRAPH, ENCODER_GRAPH
        if FIRST_DECODER_GRAPH in graphs and NEXT_DECODER_GRAPH in graphs:
            return FIRST_DECODER_GRAPH, ENCODER_GRAPH, NEXT_DECODER_GRAPH
        return ()
    return next(((name,) for name in (MODEL_GRAPH, DECODER_GRAPH) if name in graphs), ())


def external_data_of(name: str, names: Iterable[str]) -> list[str]:
    """The files that hold the weights of the ONNX file ``name`` outside it."""
    stem = name.removesuffix(".onnx")
    mine = re.compile(rf"^{re.escape(stem)}\.onnx[._]data(_\d+)?$")
    return sorted(other for other in names if mine.match(other))


def window_of(
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    sentence_config: Mapping[str, Any] | None = None,
) -> int:
    """The model's window in tokens, special tokens included: the smallest limit that is stated."""
    limits = [
        _limit(tokenizer_config.get("model_max_length")),
        _limit((sentence_config or {}).get("max_seq_length")),
    ]
    limits.append(positions_of(config))
    return min((limit for limit in limits if limit and limit > 0), default=_DEFAULT_WINDOW)


def positions_of(config: Mapping[str, Any]) -> int | None:
    """Tokens that a model has positions for; None where its config states no limit."""
    if config.get("model_type") in RELATIVE_POSITIONS:
        return None
    stated = (_limit(config.get(name)) for name in _POSITIONS)
    positions = next((limit for limit in stated if limit), None)
    return positions and positions - first_position_of(config)


def first_position_of(config: Mapping[str, Any]) -> int:
    """The position of a row's first token: 0, or behind the padding id as RoBERTa numbers them."""
    if config.get("model_type") not in _OFFSET_POSITIONS:
        return 0
    pad = config.get("pad_token_id")
    return (pad if isinstance(pad, int) else 1) + 1


def _limit(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < NO_LIMIT else None


def states_labels(config: Mapping[str, Any]) -> bool:
    """Whether a config names its labels."""
    return bool(config.get("id2label") or config.get("label2id"))


def id2label_of(config: Mapping[str, Any]) -> dict[int, str]:
    """Label by id; ``LABEL_0``, … as transformers names them where the config does not.

    Raises:
        ValueError: ``id2label`` or ``label2id`` is no mapping between labels and whole numbers,
            gives one id to two labels, or has a label that is neither a text nor a number; or
            ``num_labels`` is above a million.
    """
    name = "id2label" if config.get("id2label") else "label2id"
    given = config.get(name)
    if given:
        if not isinstance(given, Mapping):
            raise ValueError(f"{name} is {given!r}, not a mapping")
        pairs = given.items() if name == "id2label" else ((v, k) for k, v in given.items())
        found = sorted((_id(key, name), _label(label, name)) for key, label in pairs)
        if len(dict(found)) < len(found):
            raise ValueError(f"{name} gives one id to two labels")
        return dict(found)
    count = config.get("num_labels")
    count = count if type(count) is int else 2
    if count > _MOST_LABELS:
        raise ValueError(f"num_labels is {count}, which no model has")
    return {i: f"LABEL_{i}" for i in range(count)}


def _id(key: Any, name: str) -> int:
    try:
        return int(key)
    except (TypeError, ValueError):
        raise ValueError(f"{name} has the id {key!r}, not a whole number") from None


def _label(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name} has the label {value!r}, not a text")
    return str(value)
