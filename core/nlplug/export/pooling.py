"""Classifiers of texts on the embedding of a sentence encoder.

A sentence encoder (Reimers and Gurevych 2019, arXiv:1908.10084) has an embedding for a text: the
mean of its tokens' vectors, or the vector of its first token. The classifiers of transformers read
another vector, which such an encoder was not trained for. ``sentence_pooling`` in a checkpoint's
``config.json`` names the vector that the linear output layer reads.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from nlplug.extras import require
from nlplug.models.layout import POOLING_FILE, poolings_of

Pooling = Literal["mean", "cls"]
KEY = "sentence_pooling"
"""Key of a checkpoint's ``config.json``: its `Pooling`; missing: the head of transformers."""

_KNOWN: dict[str, Pooling] = {"mean": "mean", "cls": "cls"}


def pooling_of(base: str, *, offline: bool = False) -> Pooling | None:
    """The pooling of a sentence encoder, from the files of sentence-transformers.

    Args:
        base: A folder or a Hub id.
        offline: Whether the network is switched off.

    Returns:
        None if the checkpoint has no such files, or another pooling.
    """
    hub = require("transformers.utils", "train", purpose="Loading a checkpoint")
    try:
        found = hub.cached_file(
            base,
            POOLING_FILE,
            local_files_only=offline,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):  # no folder and no Hub id: an error when the base is loaded
        return None
    if found is None:
        return None
    try:
        values = json.loads(Path(found).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    chosen = poolings_of(values) if isinstance(values, dict) else []
    # The results of several poolings are concatenated, for which there is no classifier here.
    return _KNOWN.get(chosen[0]) if len(chosen) == 1 else None


def pooled_class(kind: Any) -> Any:
    """The classifier on the pooled vectors of an encoder.

    Args:
        kind: A class such as ``transformers.BertForSequenceClassification``.

    Returns:
        A subclass that loads and saves the encoder's weights under the same names, with a linear
        layer ``classifier`` of shape (labels, hidden size). It computes ``logits`` (texts, labels).
    """
    torch = require("torch", "train", purpose="Loading a checkpoint")
    transformers = require("transformers", "train", purpose="Loading a checkpoint")
    outputs = require("transformers.modeling_outputs", "train", purpose="Loading a checkpoint")
    parent = next(base for base in kind.__mro__ if base.__name__.endswith("PreTrainedModel"))

    def build(self: Any, config: Any) -> None:
        parent.__init__(self, config)
        encoder = transformers.MODEL_MAPPING[type(config)]
        try:
            made = encoder(config, add_pooling_layer=False)
        except TypeError:  # only some architectures have a layer that would not be used
            made = encoder(config)
        setattr(self, self.base_model_prefix, made)
        rate = getattr(config, "classifier_dropout", None)
        self.num_labels = config.num_labels
        self.dropout = torch.nn.Dropout(0.1 if rate is None else rate)
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self: Any,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        return_dict: bool = True,
    ) -> Any:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        vectors = self.base_model(
            input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **types
        ).last_hidden_state
        if getattr(self.config, KEY) == "cls":
            pooled = vectors[:, 0]
        else:
            mask = attention_mask.unsqueeze(-1).to(vectors.dtype)
            pooled = (vectors * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return outputs.SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))

    # The exporter recognizes a model of transformers by the module of its class.
    members = {"__init__": build, "forward": forward, "__module__": kind.__module__}
    return type(f"Pooled{kind.__name__}", (parent,), members)
