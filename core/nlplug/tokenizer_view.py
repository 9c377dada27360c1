"""The tokenizer of a pipeline, under the names that transformers uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.argument_rules import adapt, is_number
from nlplug.errors import InputError, MissingAttribute, OptionError
from nlplug.models.repository import ROLES
from nlplug.runtime.chat_template import chat_template_of
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.text.characters import without_spaces
from nlplug.tokenizer_inputs import (
    check_text_type,
    cut_parts,
    no_ids,
    padding_of,
    read_ids,
    read_limit,
    read_pairs,
    strategy_of,
)

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle


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
        self._bundle = bundle
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
        self._made = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the padding token or its side, which change no answer; others cannot be set."""
        if not self.__dict__.get("_made"):
            super().__setattr__(name, value)
        elif name == "pad_token":
            self._special |= {name: value, "pad_token_id": self._tokenizer.token_id(value)}
        elif name == "pad_token_id":
            self._special |= {name: value, "pad_token": self._tokenizer.token_text(value)}
        elif name == "padding_side" or value == getattr(self, name, None):
            super().__setattr__(name, value)
        elif name != "model_max_length" or value < self.model_max_length:
            hint = "Save it with the checkpoint, and export that."
            if name == "model_max_length":
                hint = f"Give truncation=True, max_length={value} to the call or to pipeline()."
            raise MissingAttribute(f"{name} of a pipeline's tokenizer cannot be set.", hint=hint)

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
                hint="It has encode, decode, batch_decode, tokenize, get_vocab, "
                "apply_chat_template and the special tokens. For other uses load tokenizer.json "
                "from its name_or_path with tokenizers.Tokenizer; the pipeline's "
                "save_pretrained() copies all files.",
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

    @property
    def vocab(self) -> dict[str, int]:
        """As `get_vocab`."""
        return self.get_vocab()

    @property
    def chat_template(self) -> str | None:
        """The source of the template for chats; None: the model has none."""
        return self._bundle.repository.chat_template()

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]] | Sequence[Sequence[Mapping[str, Any]]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        return_dict: bool = False,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        **variables: Any,
    ) -> Any:
        """A chat as one text, or as the ids of its tokens.

        Args:
            conversation: The messages, each with ``role`` and ``content``, or a list of chats.
            tools: The tools that the model may call, as JSON schemas.
            documents: A variable of some templates.
            add_generation_prompt: Whether the beginning of a message of the assistant follows.
            continue_final_message: Whether the last message stays open.
            tokenize: Whether to return ids instead of the text.
            return_dict: With ids: return all columns, as a call does.
            padding: As for a call.
            truncation: As for a call.
            max_length: As for a call.
            return_tensors: As for a call.
            **variables: Other variables of the template.

        Raises:
            InputError: The model has no template, or its template refuses the messages.
            MissingExtra: Jinja is not installed.
        """
        if add_generation_prompt and continue_final_message:
            raise OptionError(
                "add_generation_prompt and continue_final_message exclude each other.",
                hint="Give one of the two.",
            )
        template = chat_template_of(self._bundle, tools=bool(tools))
        if template is None:
            raise InputError(
                f"The model {self._bundle.name!r} has no chat template.",
                hint="Write the chat as one text, or use a model for chats.",
            )
        single = not conversation or isinstance(conversation[0], Mapping)
        chats: Any = [conversation] if single else conversation
        texts = [
            template.render(
                chat,
                continue_final=continue_final_message,
                opens=add_generation_prompt,
                tools=tools,
                variables={"documents": documents, **variables},
            )
            for chat in chats
        ]
        given: Any = texts[0] if single else texts
        if not tokenize:
            return given
        found = self(
            given,
            add_special_tokens=False,  # the template writes them
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
        )
        return found if return_dict else found["input_ids"]

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Number of special tokens of a text, or of a pair."""
        return self._tokenizer.special_tokens(pair=pair)

    def tokenize(
        self, text: str, pair: str | None = None, *, add_special_tokens: bool = False
    ) -> list[str]:
        """The tokens of a text, or of a pair.

        Raises:
            InputError: ``text`` is not a text.
        """
        if add_special_tokens:
            tokens: list[str] = self.convert_ids_to_tokens(self.encode(text, pair))
            return tokens
        check_text_type("tokenize", text)
        rows = self._tokenizer.pieces([text] if pair is None else [text, pair])
        return [token for row in rows for token in row.tokens]

    def encode(self, text: str, text_pair: str | None = None, **options: Any) -> list[int]:
        """The ids of a text or of a pair; options as for a call.

        Raises:
            InputError: ``text`` is not a text.
        """
        check_text_type("encode", text)
        ids: list[int] = self(text, text_pair, **options)["input_ids"]
        return ids

    def decode(
        self,
        token_ids: int | Sequence[int],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """The text of a token or of some tokens.

        Args:
            token_ids: Ids, also an array of numpy or a tensor.
            skip_special_tokens: Whether to leave out special tokens.
            clean_up_tokenization_spaces: Whether to remove spaces before marks; None: as the
                tokenizer does it by itself.

        Raises:
            InputError: ``token_ids`` are no ids.
        """
        ids = read_ids("decode", token_ids)
        text = self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        return without_spaces(text) if clean_up_tokenization_spaces else text

    def batch_decode(
        self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = False
    ) -> list[str]:
        """The texts of several lists of tokens; raises as `decode`."""
        if not isinstance(sequences, Iterable):
            raise no_ids("batch_decode", sequences)
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    def convert_ids_to_tokens(
        self, ids: int | Sequence[int], skip_special_tokens: bool = False
    ) -> Any:
        """The token of an id, or those of several, of which special ones may be left out.

        Raises:
            InputError: ``ids`` are no ids.
        """
        given = read_ids("convert_ids_to_tokens", ids)
        if is_number(ids):
            return self._tokenizer.token_text(given[0])
        left_out = set(self.all_special_ids) if skip_special_tokens else set()
        return [self._tokenizer.token_text(one) for one in given if one not in left_out]

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:
        """The id of a token, or those of several; the unknown token for others.

        Raises:
            InputError: A token is not a text.
        """
        tokens = tokens.tolist() if hasattr(tokens, "tolist") else tokens
        if not isinstance(tokens, str) and isinstance(tokens, Iterable):
            return [self.convert_tokens_to_ids(one) for one in tokens]
        check_text_type("convert_tokens_to_ids", tokens)
        found = self._tokenizer.token_id(tokens)
        return self._special["unk_token_id"] if found is None else found

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
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        **others: Any,
    ) -> Encodings:
        """The ids of texts, as transformers returns them.

        Args:
            text: A text, or a list of texts or of pairs.
            text_pair: The second text of each pair.
            add_special_tokens: Whether to add those of the model.
            padding: Whether to make all rows of a list as long as the longest; ``max_length``: as
                long as ``max_length``.
            truncation: Whether to remove the end of a text if the row is too long: of a pair that
                of the longer text, or as ``only_first`` and ``only_second`` say.
            max_length: Number of tokens to keep, or to pad to. None: the model's window.
            return_tensors: ``np`` for arrays of numpy; None for lists.
            return_token_type_ids: Whether they are returned; None: if the model has them.
            return_attention_mask: Whether it is returned; None: yes.
            **others: Only values that change nothing, such as ``verbose=False``.

        Returns:
            ``input_ids``, ``attention_mask`` and, if the model has them, ``token_type_ids``: a
            list of numbers for one text, a list of lists for a list of texts.

        Raises:
            InputError: A text is not valid Unicode, or the texts are no texts or pairs.
            OptionError: ``return_tensors``, ``truncation``, ``padding`` or ``max_length`` has
                another value, or an argument is not available.
        """
        if not isinstance(return_tensors, str | None) or return_tensors not in (None, "np"):
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
        given = read_pairs(text, text_pair)
        size = self.model_max_length if max_length is None else read_limit(max_length)
        strategy = strategy_of(truncation)
        limit = None if strategy is None else size
        rows = [
            self._row(one, pair, add_special_tokens, limit, strategy or "") for one, pair in given
        ]
        longest = max((len(ids) for ids, _ in rows), default=0)
        pads = padding_of(padding)
        if pads != "longest":
            longest = size if pads == "max_length" else 0
        pad = self._special["pad_token_id"] or 0
        columns: dict[str, list[list[int]]] = {"input_ids": []}
        if return_attention_mask is not False:
            columns["attention_mask"] = []
        if self._type_ids if return_token_type_ids is None else return_token_type_ids:
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

    encode_plus = batch_encode_plus = __call__
    """As a call, under the old names."""

    def _row(
        self, text: str, pair: str | None, special: bool, limit: int | None, strategy: str
    ) -> tuple[list[int], list[int]]:
        """The ids and the type ids of one text or pair."""
        parts = [self._tokenizer.ids(one) for one in (text, pair) if one is not None]
        frame = self._tokenizer.pair_frame() if pair is not None and special else None
        before, behind = self._tokenizer.text_frame if special else ([], [])
        added = len(before) + len(behind)
        if frame is not None:
            added = len(frame.before) + len(frame.between) + len(frame.after)
        if limit is not None:
            parts = cut_parts(parts, max(limit - added, 0), strategy)
        if frame is not None:
            window = frame.join(*parts)
            return window.ids, window.type_ids or [0] * len(window.ids)
        ids = [*before, *(token for part in parts for token in part), *behind]
        second = len(parts[1]) if pair is not None else 0
        return ids, [0] * (len(ids) - second) + [1] * second
