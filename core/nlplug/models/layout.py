"""How model repositories are laid out: names of ONNX files, the model's window, its labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
TARGET_TOKENIZER_FILE = "target_tokenizer.json"
"""Of a translator whose two languages have a vocabulary each: that of the answers."""

MODEL_GRAPH = "model"
ENCODER_GRAPH = "encoder_model"
DECODER_GRAPH = "decoder_model_merged"

SIDE_FILES = frozenset(
    {
        CONFIG_FILE,
        TOKENIZER_FILE,
        TOKENIZER_CONFIG_FILE,
        "special_tokens_map.json",
        "added_tokens.json",
        "generation_config.json",
        "chat_template.jinja",
        TARGET_TOKENIZER_FILE,
    }
)
"""What the runtime reads beside the graphs; other files of a repository are not fetched."""

_SUFFIXES = ("q4f16", "fp16", "int8", "uint8", "quantized", "q4", "bnb4")
_SUFFIXED = re.compile(rf"^(?P<stem>.+?)_(?P<suffix>{'|'.join(_SUFFIXES)})$")
# Any other ending of the plain graph is a precision of its own (model_O3, model_qint8_avx512);
# for other graphs it cannot be told from the name (decoder_model_merged).
_PLAIN = re.compile(r"^model_(?P<suffix>.+)$")

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
_DEFAULT_WINDOW = 512
_NO_LIMIT = 1_000_000  # transformers writes 1e30 for "none"


def graph_of(name: str) -> tuple[str, str] | None:
    """The graph and precision that a file holds: ``onnx/model_fp16.onnx`` → (model, fp16).

    Returns:
        None when it is no ONNX file of a known layout (at the root or in ``onnx/``).
    """
    folder, _, file = name.rpartition("/")
    if folder not in ("", "onnx") or not file.endswith(".onnx"):
        return None
    stem = file.removesuffix(".onnx")
    match = _SUFFIXED.match(stem)
    if match:
        precision = match["suffix"]
        return match["stem"], "int8" if precision == "quantized" else precision
    match = _PLAIN.match(stem)
    return ("model", match["suffix"]) if match else (stem, "fp32")


def find_graphs(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """All ONNX files of a repository: graph → precision → name.

    Where two files hold the same, ``onnx/`` wins over the root and an explicit name
    (``model_int8``) over ``model_quantized``.
    """

    def rank(name: str) -> tuple[bool, bool, str]:
        return not name.startswith("onnx/"), "quantized" in name, name

    found: dict[str, dict[str, str]] = {}
    for name in sorted(names, key=rank):
        graph = graph_of(name)
        if graph:
            found.setdefault(graph[0], {}).setdefault(graph[1], name)
    return found


def run_together(graphs: Collection[str]) -> tuple[str, ...]:
    """Which of a model's graphs are run to answer: the one that answers first, then its encoder.

    Repositories hold further ones beside them, such as the same decoder without its cache.

    Returns:
        Nothing where none of the known sets is whole.
    """
    if ENCODER_GRAPH in graphs and DECODER_GRAPH in graphs:
        return DECODER_GRAPH, ENCODER_GRAPH
    return next(((name,) for name in (MODEL_GRAPH, DECODER_GRAPH) if name in graphs), ())


def external_data_of(name: str, names: Iterable[str]) -> list[str]:
    """The files that hold the weights of the ONNX file ``name`` outside it."""
    stem = name.removesuffix(".onnx")
    mine = re.compile(rf"^{re.escape(stem)}\.onnx[._]data(_\d+)?$")
    return sorted(other for other in names if mine.match(other))


def window_of(config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> int:
    """The model's window in tokens, special tokens included: the smallest limit that is stated."""
    limits = [_limit(tokenizer_config.get("model_max_length"))]
    if config.get("model_type") not in RELATIVE_POSITIONS:
        positions = _limit(config.get("max_position_embeddings") or config.get("n_positions"))
        if positions and config.get("model_type") in _OFFSET_POSITIONS:
            pad = config.get("pad_token_id")
            positions -= (pad if isinstance(pad, int) else 1) + 1
        limits.append(positions)
    return min((limit for limit in limits if limit and limit > 0), default=_DEFAULT_WINDOW)


def _limit(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < _NO_LIMIT else None


def id2label_of(config: Mapping[str, Any]) -> dict[int, str]:
    """Label by id; ``LABEL_0``, … as transformers names them where the config does not.

    Raises:
        ValueError: ``id2label`` is not a mapping from whole numbers.
    """
    given = config.get("id2label")
    if given:
        if not isinstance(given, Mapping):
            raise ValueError(f"id2label is {given!r}, not a mapping")
        return dict(sorted((int(key), str(label)) for key, label in given.items()))
    count = config.get("num_labels")
    return {i: f"LABEL_{i}" for i in range(count if isinstance(count, int) else 2)}
