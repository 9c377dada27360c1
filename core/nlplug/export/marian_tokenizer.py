"""The two SentencePiece vocabularies of a Marian checkpoint as tokenizers of `tokenizers`.

Such a checkpoint has ``source.spm``, ``target.spm`` and a ``vocab.json`` that numbers the pieces of
both (or ``target_vocab.json`` for those of the target). transformers has no fast tokenizer for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from nlplug.errors import ExportError
from nlplug.extras import require
from nlplug.json_text import parse_json

_SOURCE = "source.spm"
_TARGET = "target.spm"
_VOCABULARY = "vocab.json"
_PAIR = (_SOURCE, _TARGET, _VOCABULARY)
_FAST = ("tokenizer.json",)
_SETTINGS = ("source_lang", "target_lang", "model_max_length")
_MISSING = ("missing_entries", "connection_errors", "gated_repo")
_TARGET_VOCABULARY = "target_vocab.json"
_PURPOSE = "Reading SentencePiece vocabularies"
_NORMAL, _USER_DEFINED = 1, 4
_UNIGRAM = 1
_SPACE = "▁"


@dataclass(frozen=True)
class MarianTokenizers:
    """The pair.

    Attributes:
        source: For texts to translate: the ids and the normalization of ``MarianTokenizer``.
        target: For translations: from ids to text.
    """

    source: Tokenizer
    target: Tokenizer


def marian_folder(name: str, *, offline: bool) -> Path | None:
    """The folder with the two vocabularies of a checkpoint.

    None if it does not have both, or if it also has a fast tokenizer.

    Args:
        name: A folder or a Hub id.
        offline: Whether the network is switched off.
    """
    if not Path(name).is_dir():
        cached = require("transformers.utils", "train", purpose="Export").cached_file
        missing = {f"_raise_exceptions_for_{kind}": False for kind in _MISSING}
        for file in (*_FAST, *_PAIR):
            path = cached(name, file, local_files_only=offline, **missing)
            if (path is None) != (file in _FAST):
                return None
        return Path(path).parent
    folder = Path(name)
    fast = any((folder / file).is_file() for file in _FAST)
    return folder if not fast and all((folder / file).is_file() for file in _PAIR) else None


def fast_tokenizer(folder: Path, tokenizer: Tokenizer) -> Any:
    """The source's tokenizer as a fast one of transformers, with the checkpoint's settings."""
    transformers = require("transformers", "train", purpose="Export")
    path = folder / "tokenizer_config.json"
    settings = parse_json(path.read_bytes()) if path.is_file() else {}
    kept = {name: settings[name] for name in _SETTINGS if settings.get(name) is not None}
    marks = [token for token in tokenizer.get_vocab() if token.startswith(">>")]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=sorted(marks),
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **{"model_max_length": 512, **kept},
    )


def marian_tokenizers(folder: Path) -> MarianTokenizers:
    """Convert the two vocabularies of a checkpoint.

    A source text gets the ids of ``MarianTokenizer``, with two differences. A language token such
    as ``>>fr<<`` is one token at any position. Characters that no source piece has are unknown;
    ``MarianTokenizer`` uses a target piece of exactly these characters if there is one, which is
    stored here under its name after a space.

    Raises:
        ExportError: The files are broken, or not those of a Marian checkpoint.
        MissingExtra: transformers or protobuf is not installed.
    """
    vocabulary = _vocabulary(folder / _VOCABULARY)
    separate = folder / _TARGET_VOCABULARY
    targets = _vocabulary(separate) if separate.is_file() else vocabulary
    source = _tokenizer(_pieces(folder / _SOURCE), vocabulary, hide=True)
    target = _tokenizer(_pieces(folder / _TARGET), targets, hide=False)
    return MarianTokenizers(source, target)


def _tokenizer(proto: Any, vocabulary: Mapping[str, int], *, hide: bool) -> Tokenizer:
    """A unigram model whose ids are those of the vocabulary.

    Args:
        proto: The SentencePiece model, whose pieces have scores.
        vocabulary: Piece → id, also for the other language.
        hide: Whether pieces of the other language get names that no text can contain.
    """
    scores = {p.piece: p.score for p in proto.pieces if p.type in (_NORMAL, _USER_DEFINED)}
    names = sorted(vocabulary, key=lambda name: vocabulary[name])
    special = [name for name in ("</s>", "<unk>", "<pad>") if name in vocabulary]
    special += [name for name in names if name.startswith(">>") and name.endswith("<<")]
    # No text contains these: spaces in texts are replaced with "▁".
    other = " {}" if hide else "{}"
    lowest = min(scores.values(), default=0.0)
    pieces = [
        (name, scores[name])
        if name in scores
        else (name if name in special else other.format(name), 0.0 if hide else lowest)
        for name in names
    ]
    made = Tokenizer(models.Unigram(pieces, unk_id=vocabulary["<unk>"]))
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    own = [p.piece for p in proto.pieces if p.type == _USER_DEFINED and p.piece in vocabulary]
    made.add_tokens([AddedToken(name, special=False, normalized=False) for name in own])
    made.normalizer = _normalizer(proto)
    # Words can be split apart first, which is faster, if no piece spans two words.
    joined = any(_SPACE in name[1:] for name in scores) or _SPACE not in scores
    made.pre_tokenizer = pre_tokenizers.Metaspace(split=not joined)
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    trim = decoders.Replace(Regex("^ +| +$"), "")
    made.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.Fuse(), trim])
    return made


def _normalizer(proto: Any) -> Any:
    spec = proto.normalizer_spec
    steps = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
        steps.append(normalizers.Replace(Regex("^ | $"), ""))
    return normalizers.Sequence(steps)


def _vocabulary(path: Path) -> dict[str, int]:
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read: {error}.", hint=_WHOLE) from None
    ids = sorted(found.values()) if isinstance(found, dict) else []
    if not ids or ids != list(range(len(ids))) or not {"<unk>", "</s>"} <= found.keys():
        raise ExportError(
            f"{path} is not a vocabulary of Marian: it does not number its tokens from 0, or has "
            "no '<unk>' or '</s>'.",
            hint=_WHOLE,
        )
    return dict(found)


def _pieces(path: Path) -> Any:
    """The ``ModelProto`` of a SentencePiece file."""
    message = require("google.protobuf.message", "train", purpose=_PURPOSE)
    module = require("transformers.utils.sentencepiece_model_pb2_new", "train", purpose=_PURPOSE)
    proto = module.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except (OSError, message.DecodeError) as error:
        raise ExportError(f"{path} cannot be read: {error}.", hint=_WHOLE) from None
    kind, spec = proto.trainer_spec, proto.normalizer_spec
    usual = kind.model_type == _UNIGRAM and not kind.byte_fallback
    if not (usual and spec.add_dummy_prefix and spec.escape_whitespaces):
        raise ExportError(
            f"{path} is not a SentencePiece unigram vocabulary with the default settings.",
            hint="Convert the tokenizer to tokenizer.json in the folder of the weights.",
        )
    return proto


_WHOLE = "Copy all files of the checkpoint again."
