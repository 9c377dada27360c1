"""The languages that a model translates, and how they are selected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nlplug.errors import OptionError
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import Tokenizer, load_tokenizer
from nlplug.text.language_codes import base
from nlplug_translation.invisible import INVISIBLE

# Marian, then NLLB, mBART and M2M: how their tokens name a language.
_MARK = re.compile(r"\A>>(\S+)<<")
_MARKED = re.compile(rf"\A[\s{INVISIBLE}]*>>(\S+?)<<[\s{INVISIBLE}]*")
# Quotation marks may be written so as well: >>Ja<<, said he.
_CODE = re.compile(r"[a-z]{2,3}(?:[_-]\w+)*")
_CODES = (
    re.compile(r"([a-z]{3}_[A-Z][a-z]{3})"),
    re.compile(r"([a-z]{2}_[A-Z]{2})"),
    re.compile(r"__([a-z]{2,3})__"),
)
_TASK = re.compile(r"translation_([A-Za-z-]+)_to_([A-Za-z-]+)")


@dataclass(frozen=True)
class Route:
    """What goes around a source so that a model translates it from one language to another.

    Attributes:
        prefix: Text before it.
        before: Special tokens before that.
        behind: Special tokens behind it.
    """

    prefix: str
    before: tuple[int, ...]
    behind: tuple[int, ...]


@dataclass(frozen=True)
class Languages:
    """The languages of one model, by the codes that it uses itself.

    Attributes:
        name: Of the model.
        sources: Those it translates from; empty where it does not say.
        targets: Those it translates to; likewise.
        frame: The special tokens that the tokenizer puts before and behind a text.
        marks: For models that select the target by a token before the text: its id.
        codes: For models whose sources hold the token of their own language, and whose answers
            begin with that of the target: its id.
        prefixes: For models that select it by words before the text: these, by source and target.
        pairs: The sources and targets that belong together; empty: all of them do.
    """

    name: str
    sources: Sequence[str]
    targets: Sequence[str]
    frame: tuple[tuple[int, ...], tuple[int, ...]]
    marks: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    prefixes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    pairs: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(cls, bundle: Bundle, tokenizer: Tokenizer) -> Languages:
        """Those of a bundle: from its tokens, its config, or its options and file names."""
        before, behind = tokenizer.text_frame
        frame = tuple(before), tuple(behind)
        marks, codes = _tokens(bundle, tokenizer)
        source, target = _stated(bundle)
        if codes:
            return cls(bundle.name, tuple(codes), tuple(codes), frame, codes=codes)
        params = _params(bundle.config)
        if marks:
            pairs = tuple(pair for pair in params if pair[1] in marks)
            source = tuple(dict.fromkeys(pair[0] for pair in pairs)) or source
            return cls(bundle.name, source, tuple(marks), frame, marks=marks, pairs=pairs)
        prefixes = {
            pair: own["prefix"]
            for pair, own in params.items()
            if isinstance(own.get("prefix"), str)
        }
        if prefixes:
            sources = tuple(dict.fromkeys(pair[0] for pair in prefixes))
            targets = tuple(dict.fromkeys(pair[1] for pair in prefixes))
            return cls(
                bundle.name, sources, targets, frame, prefixes=prefixes, pairs=tuple(prefixes)
            )
        return cls(bundle.name, source, target, frame)

    @property
    def needs_source(self) -> bool:
        """Whether the source language must be given."""
        return len(self.codes) > 0

    def source(self, code: str) -> str:
        """The model's own code of a language to translate from.

        Raises:
            OptionError: It translates from others; the hint lists them.
        """
        return self._known(code, self.sources, "src_lang", "from")

    def sources_of(self, code: str | None) -> Sequence[str]:
        """The languages that it translates to a target; all of them if none is named.

        Args:
            code: The target; None, or one that it does not have: no target is named.
        """
        target = self._own(code, self.targets) if code else None
        return [source for source, other in self.pairs if other == target] or self.sources

    def target(self, code: str | None, source: str | None = None) -> str | None:
        """The model's own code of a language to translate to; None where there is but one way.

        Args:
            code: The language, if it is named.
            source: The language of the text, if it is named.

        Raises:
            OptionError: It translates to others, or to several and none is named.
        """
        if code is not None:
            return self._known(code, self.targets, "tgt_lang", "to")
        own = self._own(source, self.sources) if source else None
        known = [other for first, other in self.pairs if first == own] or self.targets
        if len(known) <= 1:
            return next(iter(known), None)
        raise OptionError(
            f"The model {self.name!r} translates to several languages, and tgt_lang names none.",
            hint=f"Set tgt_lang to one of: {', '.join(self.targets)}.",
        )

    def forced(self, target: str | None) -> int | None:
        """The token that an answer has to begin with, for models of `codes`."""
        return self.codes.get(target or "")

    def route(self, source: str | None, target: str | None) -> Route:
        """What goes around a source.

        Raises:
            OptionError: The model does not translate between these two.
        """
        before, behind = self.frame
        if self.codes and source is not None:
            own = self.codes[source]
            known = set(self.codes.values())
            if known.isdisjoint((*before, *behind)):
                return Route("", (own, *before), behind)
            before, behind = (
                tuple(own if token in known else token for token in part)
                for part in (before, behind)
            )
        elif self.marks and target is not None:
            if self.pairs:
                self._pair(source, target)
            before = (*before, self.marks[target])
        elif self.prefixes:
            return Route(self.prefixes[self._pair(source, target)], before, behind)
        return Route("", before, behind)

    def marked(self, text: str, target: str | None = None) -> tuple[str | None, str]:
        """The target that a text names itself, as in ``>>fr<< Hello``, and the rest of it.

        Args:
            text: Any text.
            target: That of a text which names none.

        Raises:
            OptionError: A target that the model does not have, or that is not selected in this way.
        """
        target = target and self.target(target)
        found = _MARKED.match(text)
        if found is None:
            return target, text
        code, rest = found[1], text[found.end() :]
        if code in self.marks:
            return code, rest
        quoted = found[0].endswith("<") and rest != "" and not rest[0].isalnum()
        if quoted or not _CODE.fullmatch(code) or base(code) is None:
            return target, text
        own = self._own(code, self.targets)
        if own is None or (self.codes and target != own):
            known = ", ".join(self.targets)
            advice = "Set tgt_lang to one of" if self.codes else "It translates to"
            raise OptionError(
                f"The text names its target with >>{code}<<; the model {self.name!r} "
                + ("does not translate to it." if own is None else "accepts it only as tgt_lang."),
                hint=f"{advice}: {known}." if known else f"Leave >>{code}<< out.",
            )
        return own, rest

    def _pair(self, source: str | None, target: str | None) -> tuple[str, str]:
        """The first of the pairs with a target, and with a source if it is named."""
        for pair in self.pairs:
            if source in (None, pair[0]) and pair[1] == target:
                return pair
        pairs = ", ".join(f"{known} to {other}" for known, other in self.pairs)
        raise OptionError(
            f"The model {self.name!r} does not translate from {source!r} to {target!r}.",
            hint=f"It translates {pairs}.",
        )

    @staticmethod
    def _own(code: str, known: Sequence[str]) -> str | None:
        """The one of the known codes that is meant."""
        if code in known:
            return code
        near = [own for own in known if own.lower() == code.lower()]
        near += [own for own in known if base(own) is not None and base(own) == base(code)]
        return next(iter(near), None)

    def _known(self, code: str, known: Sequence[str], option: str, way: str) -> str:
        own = self._own(code, known)
        if own is not None:
            return own
        listed = ", ".join(known)
        raise OptionError(
            f"{option} is {code!r}; the model {self.name!r} "
            + (f"does not translate {way} it." if known else "does not say what it translates."),
            hint=f"It translates {way}: {listed}." if known else f"Leave {option} out.",
        )


def languages_of(bundle: Bundle) -> Languages:
    """The languages of a bundle.

    Raises:
        BundleError: Its tokenizer cannot be used.
    """
    return Languages.of(bundle, load_tokenizer(bundle, offsets=False))


def _tokens(bundle: Bundle, tokenizer: Tokenizer) -> tuple[dict[str, int], dict[str, int]]:
    """Language → token, of tokens that mark targets, and of those that name languages."""
    texts = [token.text for token in bundle.repository.listed_tokens]
    if bundle.config.get("model_type") == "marian":
        texts += sorted(text for text in tokenizer.vocabulary() if text.startswith(">>"))
    marks = _matching(texts, _MARK, tokenizer)
    if marks:
        return marks, {}
    found = (_matching(texts, pattern, tokenizer) for pattern in _CODES)
    return {}, next((codes for codes in found if len(codes) > 1), {})


def _matching(
    texts: Iterable[str], pattern: re.Pattern[str], tokenizer: Tokenizer
) -> dict[str, int]:
    codes = {}
    for text in texts:
        match = pattern.fullmatch(text)
        token = tokenizer.token_id(text) if match else None
        if match and token is not None:
            codes[match[1]] = token
    return codes


def _params(config: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What a config says of translating from one language to another."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    params = config.get("task_specific_params")
    for task, own in (params if isinstance(params, dict) else {}).items():
        match = _TASK.fullmatch(task)
        if match and isinstance(own, dict):
            found[match[1], match[2]] = own
    return found


def _stated(bundle: Bundle) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The one language on each side, if it is known; a group such as "mul" names none."""
    named = re.search(r"-([A-Za-z]{2,3})-([A-Za-z]{2,3})$", bundle.name)
    sides = []
    for number, (option, entry) in enumerate(
        (("src_lang", "source_lang"), ("tgt_lang", "target_lang"))
    ):
        candidates = (
            bundle.options.get(option),
            bundle.repository.tokenizer_config.get(entry),
            named[number + 1] if named else None,
        )
        codes = [code for code in candidates if isinstance(code, str) and base(code) is not None]
        sides.append(tuple(codes[:1]))
    return sides[0], sides[1]
