"""What a pipeline shows of its model and its tokenizer, under the names that transformers uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.argument_rules import adapt
from nlplug.errors import MissingAttribute, OptionError
from nlplug.models.repository import ROLES
from nlplug.runtime.device import parse_device
from nlplug.runtime.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

_DTYPES = {"fp32": "float32", "fp16": "float16"}


class DeviceName(str):
    """The name of a device, with the attributes of a ``torch.device``."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """``cpu`` or ``cuda``."""
        return parse_device(str(self)).kind

    @property
    def index(self) -> int | None:  # type: ignore[override] # as torch.device has it
        """Number of the GPU; None for the CPU."""
        device = parse_device(str(self))
        return None if device.kind == "cpu" else device.index


def dtype_of(precision: str) -> str:
    """The type of the numbers of a precision, such as ``float32``."""
    return _DTYPES.get(precision, precision)


class ConfigView:
    """Values by attribute, such as those of ``config.json``.

    Args:
        values: The values by name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    @property
    def problem_type(self) -> str | None:
        """What the labels are for, or None."""
        found: str | None = self._values.get("problem_type")
        return found

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model writes a text for a text."""
        return bool(self._values.get("is_encoder_decoder"))

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name not in values:
            raise MissingAttribute(
                f"The config of this model has no {name!r}.",
                hint=f"It has: {', '.join(sorted(values)) or 'nothing'}.",
            )
        return values[name]

    def __repr__(self) -> str:
        return f"ConfigView({self._values!r})"

    def to_dict(self) -> dict[str, Any]:
        """All values by name."""
        return dict(self._values)


class ModelView:
    """The model of a pipeline: its config, its name, and where and how it runs.

    Attributes:
        config: See `ConfigView`.
        generation_config: The decoding settings of the model.
        name_or_path: Its folder.
        dtype: The type of its numbers, such as ``float32``, or ``int8``.
        device: Where it runs.
    """

    def __init__(self, bundle: Bundle, precision: str, device: str) -> None:
        self.config = ConfigView(_config_of(bundle))
        self.generation_config = ConfigView(bundle.repository.generation)
        self.name_or_path = str(bundle.path)
        self.dtype = dtype_of(precision)
        self.device = DeviceName(device)

    if not TYPE_CHECKING:  # else type checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            raise MissingAttribute(
                f"The model of a pipeline has no {name!r}: it is an ONNX graph, not a module of "
                "PyTorch.",
                hint="It has config, generation_config, name_or_path, dtype and device. Call the "
                "pipeline to run it.",
            )

    def __repr__(self) -> str:
        return f"ModelView({self.name_or_path!r}, dtype={self.dtype!r}, device={self.device!r})"


class Encodings(dict[str, Any]):
    """The columns of encoded texts, also by attribute: ``encodings.input_ids``."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise MissingAttribute(
                f"Encoded texts have no {name!r}.", hint=f"They have: {', '.join(self)}."
            )
        return self[name]


class TokenizerView:
    """The tokenizer of a pipeline.

    Each special token is an attribute if the files name it: ``cls_token`` and ``cls_token_id``.

    Args:
        bundle: The model.
        type_ids: Whether encodings have ``token_type_ids``.

    Raises:
        BundleError: The file is not a tokenizer.
    """

    is_fast = True
    truncation_side = "right"

    def __init__(self, bundle: Bundle, *, type_ids: bool) -> None:
        self._tokenizer = load_tokenizer(bundle)
        self._type_ids = type_ids
        self.name_or_path = str(bundle.path)
        self.model_max_length = bundle.max_length
        self.padding_side = bundle.repository.padding_side
        types = ["token_type_ids"] if type_ids else []
        self.model_input_names = ["input_ids", *types, "attention_mask"]
        self._special: dict[str, Any] = {}
        for role in ROLES:
            text = bundle.repository.special_tokens.get(role)
            self._special[f"{role}_token"] = text
            self._special[f"{role}_token_id"] = self._tokenizer.token_id(text)

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by name, such as ``cls_token``."""
        named = {name: text for name, text in self._special.items() if not name.endswith("_id")}
        return {name: text for name, text in named.items() if text is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens."""
        return list(dict.fromkeys(self.special_tokens_map.values()))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens."""
        ids: list[int] = self.convert_tokens_to_ids(self.all_special_tokens)
        return ids

    def __getattr__(self, name: str) -> Any:
        special = self.__dict__.get("_special", {})
        if name not in special:
            raise MissingAttribute(
                f"The tokenizer of a pipeline has no {name!r}.",
                hint="It has encode, decode, batch_decode, tokenize, get_vocab and the special "
                "tokens. For other uses load tokenizer.json from its name_or_path with "
                "tokenizers.Tokenizer.",
            )
        return special[name]

    def __repr__(self) -> str:
        return f"TokenizerView({self.name_or_path!r}, vocab_size={self.vocab_size})"

    def __len__(self) -> int:
        return self._tokenizer.size

    @property
    def vocab_size(self) -> int:
        """Number of tokens without those that were added."""
        return self._tokenizer.base_size

    def get_vocab(self) -> dict[str, int]:
        """Token → id."""
        return self._tokenizer.vocabulary()

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Number of special tokens of a text, or of a pair."""
        return self._tokenizer.special_tokens(pair=pair)

    def tokenize(self, text: str, *, add_special_tokens: bool = False) -> list[str]:
        """The tokens of a text."""
        if add_special_tokens:
            tokens: list[str] = self.convert_ids_to_tokens(self.encode(text))
            return tokens
        return list(self._tokenizer.pieces([text])[0].tokens)

    def encode(self, text: str, text_pair: str | None = None, **options: Any) -> list[int]:
        """The ids of a text or of a pair; options as for a call."""
        ids: list[int] = self(text, text_pair, **options)["input_ids"]
        return ids

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of some tokens."""
        return self._tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)

    def batch_decode(
        self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = False
    ) -> list[str]:
        """The texts of several lists of tokens."""
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> Any:
        """The token of an id, or those of several."""
        if isinstance(ids, int):
            return self._tokenizer.token_text(ids)
        return [self._tokenizer.token_text(one) for one in ids]

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:
        """The id of a token, or those of several; the unknown token for others."""
        if isinstance(tokens, str):
            found = self._tokenizer.token_id(tokens)
            return self._special["unk_token_id"] if found is None else found
        return [self.convert_tokens_to_ids(one) for one in tokens]

    def __call__(
        self,
        text: str | Sequence[str] | Sequence[tuple[str, str]],
        text_pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        **others: Any,
    ) -> Encodings:
        """The ids of texts, as transformers returns them.

        Args:
            text: A text, or a list of texts or of pairs.
            text_pair: The second text of each pair.
            add_special_tokens: Whether to add those of the model.
            padding: Whether to make all rows of a list as long as the longest; ``max_length``: as
                long as ``max_length``.
            truncation: Whether to remove the end of the first text if the row is too long.
            max_length: Number of tokens to keep, or to pad to. None: the model's window.
            return_tensors: ``np`` for arrays of numpy; None for lists.
            **others: Only values that change nothing, such as ``verbose=False``.

        Returns:
            ``input_ids``, ``attention_mask`` and, if the model has them, ``token_type_ids``: a
            list of numbers for one text, a list of lists for a list of texts.

        Raises:
            InputError: A text is not valid Unicode.
            OptionError: ``return_tensors`` has another value, or an argument is not available.
        """
        if return_tensors not in (None, "np"):
            raise OptionError(
                f"return_tensors is {return_tensors!r}.",
                hint="Use 'np' for arrays of numpy, or leave it out.",
            )
        for name in adapt(others, {}, {}):
            raise OptionError(
                f"{name} is not available in the tokenizer of a pipeline.",
                hint="Load tokenizer.json from its name_or_path with tokenizers.Tokenizer.",
            )
        single = isinstance(text, str)
        rows_given = [text] if isinstance(text, str) else list(text)
        texts = [one if isinstance(one, str) else one[0] for one in rows_given]
        pairs = [text_pair] if isinstance(text_pair, str) else list(text_pair or [])
        pairs = pairs or [one[1] for one in rows_given if not isinstance(one, str)]
        size = max_length or self.model_max_length
        limit = size if truncation not in (False, "do_not_truncate") else None
        rows = [
            self._row(one, pairs[place] if pairs else None, add_special_tokens, limit)
            for place, one in enumerate(texts)
        ]
        longest = max((len(ids) for ids, _ in rows), default=0)
        if padding in (False, "do_not_pad"):
            longest = 0
        elif padding == "max_length":
            longest = size
        pad = self._special["pad_token_id"] or 0
        columns: dict[str, list[list[int]]] = {"input_ids": [], "attention_mask": []}
        if self._type_ids:
            columns["token_type_ids"] = []
        for ids, types in rows:
            gap = max(longest - len(ids), 0)
            own = {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": types}
            for name, found in columns.items():
                filled = [pad if name == "input_ids" else 0] * gap
                left = self.padding_side == "left"
                found.append([*filled, *own[name]] if left else [*own[name], *filled])
        if return_tensors == "np":
            arrays = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
            return Encodings(arrays)
        return Encodings((name, rows[0] if single else rows) for name, rows in columns.items())

    def _row(
        self, text: str, pair: str | None, special: bool, limit: int | None
    ) -> tuple[list[int], list[int]]:
        """The ids and the type ids of one text or pair."""
        first = self._tokenizer.ids(text)
        second = [] if pair is None else self._tokenizer.ids(pair)
        if not special:
            first = first if limit is None else first[: max(limit - len(second), 0)]
            return [*first, *second], [0] * len(first) + [1] * len(second)
        if pair is None:
            before, behind = self._tokenizer.text_frame
            room = None if limit is None else max(limit - len(before) - len(behind), 0)
            ids = [*before, *first[:room], *behind]
            return ids, [0] * len(ids)
        frame = self._tokenizer.pair_frame()
        extra = len(frame.before) + len(frame.between) + len(frame.after) + len(second)
        window = frame.join(first if limit is None else first[: max(limit - extra, 0)], second)
        return window.ids, window.type_ids or []


def _config_of(bundle: Bundle) -> dict[str, Any]:
    """``config.json``; ``id2label`` has whole numbers as keys."""
    values = {**bundle.config, "name_or_path": str(bundle.path)}
    if bundle.repository.labels or (bundle.manifest and bundle.manifest.labels):
        labels = bundle.id2label
        values |= {
            "id2label": dict(labels),
            "label2id": {label: number for number, label in labels.items()},
            "num_labels": len(labels),
        }
    return values
