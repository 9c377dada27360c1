"""What the files of a model repository say about tokens, labels and lengths, read once.

Repositories state the same fact in different files. The padding token, for example, is in
``tokenizer_config.json``, ``special_tokens_map.json``, ``config.json`` or
``generation_config.json``. No other module reads these files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nlplug.errors import BundleCorrupt, BundleIncomplete
from nlplug.models.files import (
    AGAIN,
    card_facts,
    read_list,
    read_object,
    read_text,
    stated_languages,
)
from nlplug.models.layout import (
    ADDED_TOKENS_FILE,
    CARD_FILE,
    CHAT_TEMPLATE_FILE,
    CONFIDENCE_FILE,
    CONFIG_FILE,
    FOLDERS,
    GENERATION_CONFIG_FILE,
    MERGES_FILE,
    MODULES_FILE,
    PAIRS_FILE,
    POOLING_FILE,
    READS_PADDING,
    SENTENCE_CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TOOL_TEMPLATE_FILE,
    VOCABULARY_FILE,
    first_position_of,
    id2label_of,
    poolings_of,
    positions_of,
    states_labels,
    window_of,
)

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
"""The special tokens that the files name, as transformers calls them."""

# Families whose vocab.txt holds WordPieces, cut as BERT cuts them. Others (PhoBERT, Japanese BERT,
# ESM) have a file of the same name with another meaning.
_WORDPIECE_MODELS = frozenset(
    {"bert", "distilbert", "electra", "mobilebert", "mpnet", "convbert", "squeezebert", "layoutlm"}
)
_WORDPIECE_CLASSES = frozenset(
    {
        f"{name}Tokenizer{fast}"
        for name in (
            "Bert",
            "DistilBert",
            "Electra",
            "MobileBert",
            "MPNet",
            "ConvBert",
            "SqueezeBert",
            "LayoutLM",
        )
        for fast in ("", "Fast")
    }
)
# Likewise families whose vocab.json and merges.txt hold byte pairs without any other step.
_BYTE_PAIR_MODELS = frozenset({"roberta", "bart", "longformer", "gpt2"})
_BYTE_PAIR_CLASSES = frozenset(
    f"{name}Tokenizer{fast}"
    for name in ("Roberta", "Bart", "Longformer", "GPT2")
    for fast in ("", "Fast")
)

# Families whose tokenizers give no token types, though their templates may have some.
_UNTYPED_MODELS = {
    "bart": "Bart",
    "big_bird": "BigBird",
    "camembert": "Camembert",
    "distilbert": "DistilBert",
    "longformer": "Longformer",
    "mpnet": "MPNet",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
}
_UNTYPED_CLASSES = {
    f"{name}Tokenizer{fast}" for name in _UNTYPED_MODELS.values() for fast in ("", "Fast")
}
_POOLED = {"Transformer", "Pooling", "Normalize"}
"""Modules of sentence-transformers after which a vector of a text is its pooled tokens."""


@dataclass(frozen=True)
class ListedToken:
    """A token that a file beside ``tokenizer.json`` lists.

    Attributes:
        text: The text.
        properties: ``special`` and, where the file states them, ``lstrip`` and so on.
        number: The id that the file states; None where it states none.
    """

    text: str
    properties: Mapping[str, bool]
    number: int | None = None

    @property
    def plain(self) -> bool:
        """Whether the file states only the text."""
        return self.number is None and len(self.properties) == 1


@dataclass(frozen=True)
class Repository:
    """The settings of one model repository.

    Attributes:
        folder: Where its files are.
        config: ``config.json``; empty when there is none.
        tokenizer_config: ``tokenizer_config.json``; likewise.
        generation_config: ``generation_config.json``; None when there is none.
        special_tokens_map: ``special_tokens_map.json``; empty when there is none.
        added_tokens: ``added_tokens.json``: token → id; likewise.
        sentence_config: ``sentence_bert_config.json``; likewise.
        confidence: ``confidence.json``; likewise.
    """

    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tokenizer_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    generation_config: Mapping[str, Any] | None = field(default=None, repr=False)
    special_tokens_map: Mapping[str, Any] = field(default_factory=dict, repr=False)
    added_tokens: Mapping[str, int] = field(default_factory=dict, repr=False)
    sentence_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    confidence: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, folder: Path) -> Repository:
        """Read the files of a folder, each at its root, in ``onnx/`` or in ``tokenizer/``.

        Raises:
            BundleCorrupt: A file is broken JSON, or ``model_type`` is not a text.
        """

        def found(name: str) -> dict[str, Any] | None:
            path = find_file(folder, name)
            return None if path is None else read_object(path)

        added = found(ADDED_TOKENS_FILE) or {}
        config = found(CONFIG_FILE) or {}
        if not isinstance(kind := config.get("model_type"), str | None):
            path = find_file(folder, CONFIG_FILE)
            raise BundleCorrupt(f"{path}: model_type is {kind!r}, not a text.", hint=AGAIN)
        return cls(
            folder=folder,
            config=config,
            tokenizer_config=found(TOKENIZER_CONFIG_FILE) or {},
            generation_config=found(GENERATION_CONFIG_FILE),
            special_tokens_map=found(SPECIAL_TOKENS_FILE) or {},
            added_tokens={text: token for text, token in added.items() if type(token) is int},
            sentence_config=found(SENTENCE_CONFIG_FILE) or {},
            confidence=found(CONFIDENCE_FILE) or {},
        )

    @cached_property
    def special_tokens(self) -> Mapping[str, str]:
        """The text of each special token that a tokenizer file names, by role (``pad``, ``cls``).

        As in transformers 4.57, ``special_tokens_map.json`` wins where ``tokenizer_config.json`` is
        of the old form, which does not list the added tokens.
        """
        found = {}
        for role in ROLES:
            token = self._by_role(role)
            text = token.get("content") if isinstance(token, Mapping) else token
            if isinstance(text, str):
                found[role] = text
        return found

    def _by_role(self, role: str) -> Any:
        """What the files say of a special token: its text, its properties, or None."""
        files = [self.tokenizer_config, self.special_tokens_map]
        if "added_tokens_decoder" not in self.tokenizer_config:
            files.reverse()
        for values in files:
            token = values.get(f"{role}_token")
            text = token.get("content") if isinstance(token, Mapping) else token
            if isinstance(text, str):
                return token
        return None

    @cached_property
    def listed_tokens(self) -> list[ListedToken]:
        """The tokens that the files beside ``tokenizer.json`` list: by id, then by name."""
        roles = set(self.special_tokens.values())
        found = []
        for number, values in self._numbered():
            text = values.get("content")
            if isinstance(text, str) and text:
                special = values.get("special") is True or text in roles
                found.append(ListedToken(text, {**_properties(values), "special": special}, number))
        named = [
            *(self._by_role(role) for role in ROLES),
            *_list(self.tokenizer_config.get("additional_special_tokens")),
            *_list(self.special_tokens_map.get("additional_special_tokens")),
            # What transformers 5 lists; before, a mapping named further roles here.
            *_list(self.tokenizer_config.get("extra_special_tokens")),
        ]
        for token in named:
            text = token.get("content") if isinstance(token, Mapping) else token
            if isinstance(text, str) and text:
                values = _properties(token) if isinstance(token, Mapping) else {}
                found.append(ListedToken(text, {**values, "special": True}))
        return found

    def _numbered(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Ids and properties in ``added_tokens_decoder``, else in ``added_tokens.json``."""
        decoder = self.tokenizer_config.get("added_tokens_decoder")
        if isinstance(decoder, Mapping):
            pairs = [(int(key), one) for key, one in decoder.items() if key.isdecimal()]
        else:
            pairs = [(number, {"content": text}) for text, number in self.added_tokens.items()]
        return sorted(
            ((number, one) for number, one in pairs if isinstance(one, Mapping)),
            key=lambda pair: pair[0],
        )

    def token_ids(self, role: str) -> tuple[int, ...]:
        """The ids that ``config.json`` and ``generation_config.json`` state for a role."""
        values = (files.get(f"{role}_token_id") for files in (self.config, self.generation))
        return tuple(value for value in values if type(value) is int and value >= 0)

    @property
    def generation(self) -> Mapping[str, Any]:
        """``generation_config.json``, else ``config.json``."""
        return self.config if self.generation_config is None else self.generation_config

    def chat_template(self, *, tools: bool = False) -> str | None:
        """The template that turns a chat into a prompt; None when there is none.

        Args:
            tools: Whether the chat has tools; some repositories have a template for that.

        Raises:
            BundleCorrupt: Its file is not in UTF-8.
        """
        path = find_file(self.folder, TOOL_TEMPLATE_FILE) if tools else None
        path = path or find_file(self.folder, CHAT_TEMPLATE_FILE)
        source = self.tokenizer_config.get("chat_template")
        if path is not None:
            source = read_text(path)
        if isinstance(source, list):  # several, by name
            parts = [item for item in source if isinstance(item, Mapping)]
            named = {item.get("name"): item.get("template") for item in parts}
            source = (named.get("tool_use") if tools else None) or named.get("default")
        return source if isinstance(source, str) else None

    @cached_property
    def card_languages(self) -> list[str]:
        """The languages in the front matter of the model's card, ``README.md``; empty without."""
        return stated_languages(card_facts(self.folder / CARD_FILE))

    @cached_property
    def pooling(self) -> str | None:
        """How sentence-transformers makes the vector of a text: ``mean``, ``cls`` or another way.

        Several ways and further layers are joined by ``+``. None: its files are not there.

        Raises:
            BundleCorrupt: A file is broken JSON.
        """
        file = find_file(self.folder, POOLING_FILE)
        if file is None:
            return None
        modules = find_file(self.folder, MODULES_FILE)
        listed = [one for one in _list(modules and read_list(modules)) if isinstance(one, Mapping)]
        names = [str(one.get("type")).rpartition(".")[2] for one in listed]
        return "+".join([*poolings_of(read_object(file)), *(set(names) - _POOLED)])

    @property
    def padding_side(self) -> str:
        """``right``, or ``left`` for a tokenizer that pads on the left."""
        return str(self.tokenizer_config.get("padding_side") or "right")

    @property
    def gives_types(self) -> bool:
        """Whether a model is told which of two texts a token belongs to, as in transformers."""
        names = self.tokenizer_config.get("model_input_names")
        if isinstance(names, list):
            return "token_type_ids" in names
        name = self.tokenizer_config.get("tokenizer_class")
        if isinstance(name, str):
            return name not in _UNTYPED_CLASSES
        return self.config.get("model_type") not in _UNTYPED_MODELS

    @property
    def cuts_word_pieces(self) -> bool:
        """Whether the tokenizer is BERT's, whose options may be in ``tokenizer_config.json``."""
        name = self.tokenizer_config.get("tokenizer_class")
        if isinstance(name, str):
            return name in _WORDPIECE_CLASSES
        return self.config.get("model_type") in _WORDPIECE_MODELS

    @property
    def cuts_byte_pairs(self) -> bool:
        """Whether the tokenizer is GPT-2's or RoBERTa's."""
        name = self.tokenizer_config.get("tokenizer_class")
        if isinstance(name, str):
            return name in _BYTE_PAIR_CLASSES
        return self.config.get("model_type") in _BYTE_PAIR_MODELS

    @cached_property
    def tokenizer_file(self) -> Path:
        """``tokenizer.json``, else a ``vocab.txt`` of word pieces or a ``vocab.json`` of pairs.

        Raises:
            BundleIncomplete: There is none of them.
        """
        file = find_file(self.folder, TOKENIZER_FILE)
        if file is not None:
            return file
        file = find_file(self.folder, VOCABULARY_FILE)
        if file is not None and self.cuts_word_pieces:
            return file
        pairs = find_file(self.folder, PAIRS_FILE)
        if pairs is not None and self.cuts_byte_pairs and pairs.with_name(MERGES_FILE).is_file():
            return pairs
        other = "" if file is None else f" Its {VOCABULARY_FILE} is not in the form of BERT's."
        raise BundleIncomplete(
            f"{self.folder} holds no {TOKENIZER_FILE}.{other}",
            hint="Save the tokenizer in its fast form, such as with "
            "`AutoTokenizer.from_pretrained(...).save_pretrained(...)`.",
        )

    @cached_property
    def id2label(self) -> dict[int, str]:
        """Label by id, from ``id2label``, else from ``label2id``, else ``LABEL_0``, ….

        Raises:
            BundleCorrupt: They are malformed.
        """
        try:
            return id2label_of(self.config)
        except ValueError as error:
            where = find_file(self.folder, CONFIG_FILE) or self.folder / CONFIG_FILE
            raise BundleCorrupt(f"{where}: {error}.", hint=AGAIN) from None

    @property
    def labels(self) -> list[str]:
        """The labels that the config states, numbered from 0; empty where it does not."""
        if not states_labels(self.config):
            return []
        found = self.id2label
        return list(found.values()) if list(found) == list(range(len(found))) else []

    @cached_property
    def window(self) -> int:
        """The model's window in tokens, special tokens included."""
        return window_of(self.config, self.tokenizer_config, self.sentence_config)

    @property
    def positions(self) -> int | None:
        """Tokens that the model has positions for; None where its config states no limit."""
        return positions_of(self.config)

    @property
    def reads_padding(self) -> bool:
        """Whether the padding behind a text changes its answer, in spite of the mask."""
        return self.config.get("model_type") in READS_PADDING

    @property
    def first_position(self) -> int:
        """The position of a row's first token, for graphs that want ``position_ids``."""
        return first_position_of(self.config)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _properties(values: Mapping[str, Any]) -> dict[str, bool]:
    names = ("lstrip", "rstrip", "single_word", "normalized")
    return {name: values[name] for name in names if isinstance(values.get(name), bool)}


def find_file(folder: Path, name: str) -> Path | None:
    """The file of this name in the first of the known folders that has it."""
    places = (folder / inner / name for inner in FOLDERS)
    return next((path for path in places if path.is_file()), None)
