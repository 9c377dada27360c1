"""From the files of a repository to a Rust tokenizer, read as transformers reads them."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from hashlib import sha256
from pathlib import Path

from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer

from nlplug.errors import BundleError
from nlplug.json_text import parse_json
from nlplug.models.encryption import decrypted, is_encrypted
from nlplug.models.files import hint_of
from nlplug.models.layout import MERGES_FILE, PAIRS_FILE, VOCABULARY_FILE
from nlplug.models.repository import Repository
from nlplug.runtime.shared import SharedValues

_BERT_TOKENS = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_MPNET_TOKENS = {"unk": "[UNK]", "sep": "</s>", "pad": "<pad>", "cls": "<s>", "mask": "<mask>"}
# The options of BertNormalizer, by their name in tokenizer_config.json; with their defaults there.
_NORMALIZER = {
    "do_lower_case": ("lowercase", True),
    "strip_accents": ("strip_accents", None),
    "tokenize_chinese_chars": ("handle_chinese_chars", True),
}
_ROBERTA_TOKENS = {
    **{"bos": "<s>", "eos": "</s>", "unk": "<unk>", "sep": "</s>"},
    **{"pad": "<pad>", "cls": "<s>", "mask": "<mask>"},
}
_GPT2_TOKENS = dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>")
_BETWEEN = b"\0"
"""Between the content of vocab.json and that of merges.txt."""
_READ = (
    *("tokenizer_class", "add_prefix_space", "add_bos_token", "add_eos_token"),
    *_NORMALIZER,
)
"""What is read of tokenizer_config.json here, in addition to the tokens that it lists."""
# Whether a class puts its bos token before a text where tokenizer_config.json does not say so. All
# of them replace the template of tokenizer.json.
_BEGINS = {
    "LlamaTokenizer": True,
    "CodeLlamaTokenizer": True,
    "GemmaTokenizer": True,
    "CohereTokenizer": True,
    "GPTNeoXTokenizer": False,
}


class SharedTokenizer:
    """A tokenizer of which all models with the same files use one copy; nobody may change it.

    Args:
        rust: The tokenizer. Its padding and truncation are switched off.

    Attributes:
        padding: The text of the token with which its file pads rows.
        size: Number of tokens in its vocabulary, with those that were added.
    """

    def __init__(self, rust: RustTokenizer) -> None:
        self.padding: str | None = (rust.padding or {}).get("pad_token")
        rust.no_padding()
        rust.no_truncation()
        self.rust = rust
        self.size = _size_of(rust)


_SHARED: SharedValues[SharedTokenizer] = SharedValues()


def read_tokenizer(file: Path, repository: Repository) -> SharedTokenizer:
    """Read a tokenizer, or take the one that another model read from equal files.

    Args:
        file: ``tokenizer.json`` in any version, a ``vocab.txt`` of word pieces, or a ``vocab.json``
            of byte pairs with its ``merges.txt``.
        repository: Names the special tokens and overrides casing, accents and the prefix space.

    Raises:
        BundleError: The file is not a tokenizer.
        BundleLocked: The file is encrypted, and the key is missing or another one.
    """
    try:
        content = _content(file)
        if file.name == PAIRS_FILE:
            content += _BETWEEN + _content(file.with_name(MERGES_FILE))
    except OSError as error:
        raise _unreadable(file, error) from error
    read = {VOCABULARY_FILE: _from_vocabulary, PAIRS_FILE: _from_pairs}.get(file.name, _from_json)
    config = repository.tokenizer_config
    settings = (
        {name: config[name] for name in _READ if name in config},
        repository.special_tokens,
        [(token.text, token.properties, token.number) for token in repository.listed_tokens],
        [repository.config.get(name) for name in ("model_type", "vocab_size")],
    )
    key = (read, sha256(content).digest(), json.dumps(settings, sort_keys=True, default=dict))
    return _SHARED.get(key, lambda: SharedTokenizer(read(content, file, repository)))


def _size_of(tokenizer: RustTokenizer) -> int:
    # get_vocab_size() copies the whole vocabulary to count its tokens with the added ones.
    model, added = tokenizer.model, tokenizer.get_added_tokens_decoder().values()
    more = {token.content for token in added if model.token_to_id(token.content) is None}
    return int(tokenizer.get_vocab_size(with_added_tokens=False)) + len(more)


def _content(file: Path) -> bytes:
    return decrypted(file) if is_encrypted(file) else file.read_bytes()


def _from_json(content: bytes, file: Path, repository: Repository) -> RustTokenizer:
    try:
        tokenizer = RustTokenizer.from_buffer(content.removeprefix(BOM_UTF8))
    except Exception as error:  # tokenizers raises bare Exception
        raise _unreadable(file, error) from error
    _override(tokenizer, repository)
    _add_listed(tokenizer, repository)
    return tokenizer


def _unreadable(file: Path, error: Exception) -> BundleError:
    usual = "Export the model again, or fetch it again with `nlplug models pull`."
    return BundleError(
        f"{file} is not a tokenizer that this version of `tokenizers` reads: {error}",
        hint=hint_of(file, usual),
    )


def padding_id(shared: SharedTokenizer, repository: Repository) -> int | None:
    """The token that rows are padded with; None where no file names one.

    An id that ``config.json`` states comes first, as graphs that look for the last token of a row
    compare with that one. Then the tokenizer's files, and at last the customary names.
    """
    tokenizer = shared.rust
    stated = [token for token in repository.token_ids("pad") if token < shared.size]
    if stated:
        return stated[0]
    texts = (repository.special_tokens.get("pad"), shared.padding, "[PAD]", "<pad>")
    found = (tokenizer.token_to_id(text) for text in texts if text)
    return next((token for token in found if token is not None), None)


def unknown_id(tokenizer: RustTokenizer, repository: Repository) -> int | None:
    """The token for what the vocabulary lacks; None where there is none."""
    texts = (repository.special_tokens.get("unk"), _unknown_of(tokenizer.model), "[UNK]", "<unk>")
    found = (tokenizer.token_to_id(text) for text in texts if text)
    return next((token for token in found if token is not None), None)


def _unknown_of(model: models.Model) -> str | None:
    if isinstance(model, models.WordPiece | models.WordLevel | models.BPE):
        text: str | None = model.unk_token
        return text
    return None


def _override(tokenizer: RustTokenizer, repository: Repository) -> None:
    """What ``tokenizer_config.json`` says otherwise than ``tokenizer.json``.

    As in transformers 4.57, where a value that is missing there has the default of the class; but
    only where the file names the class.
    """
    config = repository.tokenizer_config
    named = isinstance(config.get("tokenizer_class"), str)
    if repository.cuts_word_pieces and isinstance(tokenizer.normalizer, normalizers.BertNormalizer):
        values = {
            name: config.get(key, default)
            for key, (name, default) in _NORMALIZER.items()
            if key in config or named
        }
        for name, value in values.items():
            setattr(tokenizer.normalizer, name, value)
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel) and (
        "add_prefix_space" in config or named
    ):
        tokenizer.pre_tokenizer.add_prefix_space = bool(config.get("add_prefix_space", False))
    if named:
        _override_frame(tokenizer, repository)


def _override_frame(tokenizer: RustTokenizer, repository: Repository) -> None:
    """Whether bos and eos tokens are put around texts, for the classes that decide it."""
    config = repository.tokenizer_config
    begins = _BEGINS.get(str(config["tokenizer_class"]).removesuffix("Fast"))
    if begins is None:
        return
    used = {"bos": config.get("add_bos_token", begins), "eos": config.get("add_eos_token")}
    texts = {role: repository.special_tokens.get(role) for role, adds in used.items() if adds}
    ids = {text: tokenizer.token_to_id(text) for text in texts.values() if text is not None}
    if len(ids) < len(set(texts.values())) or None in ids.values():
        return
    parts = [
        " ".join(
            f"{part}:{number}"
            for part in (texts.get("bos"), f"${name}", texts.get("eos"))
            if part is not None
        )
        for number, name in enumerate("AB")
    ]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=parts[0], pair=" ".join(parts), special_tokens=list(ids.items())
    )


def _add_listed(tokenizer: RustTokenizer, repository: Repository) -> None:
    """Add the tokens that the other files list and ``tokenizer.json`` lacks or has otherwise.

    As in transformers 4.57: first the tokens that are listed with their ids, then the special
    tokens. A token that the vocabulary lacks gets the next id; it is left out if the files state
    another id, or if the model has no such token.
    """
    stated = repository.config.get("vocab_size")
    following = _size_of(tokenizer)
    room = max(stated if type(stated) is int else 0, following)
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    added = []
    for listed in repository.listed_tokens:
        if listed.plain and listed.text in known:
            continue
        if tokenizer.token_to_id(listed.text) is None and listed.text not in known:
            if following >= room if listed.number is None else following != listed.number:
                continue
            following += 1
        known.add(listed.text)
        added.append(AddedToken(listed.text, **listed.properties))
    if added:
        tokenizer.add_tokens(added)


def _from_vocabulary(content: bytes, file: Path, repository: Repository) -> RustTokenizer:
    """The tokenizer of BERT and similar models from ``vocab.txt``, as transformers converts it."""
    try:
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise BundleError(
            f"{file} is not a vocabulary: {error}.", hint="Save the tokenizer as tokenizer.json."
        ) from None
    vocabulary = {line.rstrip("\r"): number for number, line in enumerate(lines)}
    if lines and not lines[-1]:
        vocabulary.pop("", None)
    double = "MPNet" in str(repository.tokenizer_config.get("tokenizer_class")) or (
        repository.config.get("model_type") == "mpnet"
    )
    tokens = {**(_MPNET_TOKENS if double else _BERT_TOKENS), **repository.special_tokens}
    missing = [tokens[role] for role in ("unk", "cls", "sep") if tokens[role] not in vocabulary]
    if missing:
        raise BundleError(
            f"{file} lacks the special tokens {', '.join(missing)}.",
            hint="Save the tokenizer as tokenizer.json, or name its tokens in "
            "tokenizer_config.json.",
        )
    config = repository.tokenizer_config
    tokenizer = RustTokenizer(models.WordPiece(vocabulary, unk_token=tokens["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        **{name: config.get(key, default) for key, (name, default) in _NORMALIZER.items()}
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = tokens["cls"], tokens["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0{f' {sep}:0' if double else ''} $B:1 {sep}:1",
        special_tokens=[(text, vocabulary[text]) for text in (cls, sep)],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([text for text in tokens.values() if text in vocabulary])
    _add_listed(tokenizer, repository)
    return tokenizer


def _from_pairs(content: bytes, file: Path, repository: Repository) -> RustTokenizer:
    """The tokenizer of GPT-2 or RoBERTa, as transformers converts it."""
    vocabulary, _, merges = content.partition(_BETWEEN)
    try:
        known = dict(parse_json(vocabulary))
        lines = merges.decode("utf-8").split("\n")[1:]  # the first one is the version
        model = models.BPE(known, [tuple(line.split()) for line in lines if line.strip()])
    except Exception as error:  # tokenizers raises bare Exception
        raise _unreadable(file, error) from error
    config = repository.tokenizer_config
    kind = f"{config.get('tokenizer_class')} {repository.config.get('model_type')}"
    plain = "GPT2" in kind or (kind.startswith("None") and "gpt2" in kind)
    tokens = {**(_GPT2_TOKENS if plain else _ROBERTA_TOKENS), **repository.special_tokens}
    space = config.get("add_prefix_space") is True
    tokenizer = RustTokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    tokenizer.decoder = decoders.ByteLevel()
    ids = {role: known.get(text) for role, text in tokens.items()}
    if not plain and None not in (ids["sep"], ids["cls"]):
        tokenizer.post_processor = processors.RobertaProcessing(
            sep=(tokens["sep"], ids["sep"]), cls=(tokens["cls"], ids["cls"]), add_prefix_space=space
        )
    elif plain and config.get("add_bos_token") is True and ids["bos"] is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens['bos']}:0 $A:0",
            pair=f"{tokens['bos']}:0 $A:0 $B:1",
            special_tokens=[(tokens["bos"], ids["bos"])],
        )
    tokenizer.add_tokens(
        [
            AddedToken(text, lstrip=role == "mask", special=True, normalized=False)
            for role, text in tokens.items()
            if text in known
        ]
    )
    _add_listed(tokenizer, repository)
    return tokenizer
