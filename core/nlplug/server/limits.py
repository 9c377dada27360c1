"""The limits of a request, checked before any work for the request begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from nlplug.errors import OptionError, RequestTooLarge

_MARKS = (b",", b"[", b"{")
_STRING_OR_MARK = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*+"?|[,\[{]', re.DOTALL)
_VALUES_PER_INPUT = 16
_TOKENS, _WIDTHS = ("max_new_tokens", "max_length"), ("num_beams", "num_return_sequences")


@dataclass(frozen=True)
class Limits:
    """The limits of one client.

    Attributes:
        max_batch: Largest number of inputs answered in one batch.
        max_queue: Largest number of requests that wait for one model.
        max_body: Largest body of a request to a model, in bytes, compressed or not.
        timeout: Seconds within which a request is answered or refused; of a streamed answer, each
            of its pieces.
        max_streams: Largest number of streamed answers of one model decoded at the same time.
        max_inputs: Largest number of inputs in one request.
        max_characters: Largest number of characters in the inputs of one request.
        max_generated: Largest number of new tokens that one request may ask for, over all inputs
            and beams.
        max_upload: Largest body of any other request (pages, routes of plugins), in bytes.
        max_connections: Largest number of open connections; fewer where the process may not open
            as many files.
        head_timeout: Seconds within which a client has to send the head of a request.

    Raises:
        OptionError: A limit is not a finite number above 0; ``max_queue`` may be 0.
    """

    max_batch: int = 32
    max_queue: int = 128
    max_body: int = 4 * 1024 * 1024
    timeout: float = 60.0
    max_streams: int = 8
    max_inputs: int = 20_000
    max_characters: int = 2_000_000
    max_generated: int = 65_536
    max_upload: int = 256 * 1024 * 1024
    max_connections: int = 1000
    head_timeout: float = 10.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if limit.name == "max_queue" and value == 0:
                continue
            if not (isfinite(value) and value > 0):
                raise OptionError(f"{limit.name} is {value}.", hint="Give a number above 0.")

    def check_body(self, body: bytes | bytearray) -> None:
        """Refuse JSON with more values than any request needs, before parsing it.

        Raises:
            RequestTooLarge: It holds more than 16 values for each input that is allowed.
        """
        most = self.max_inputs * _VALUES_PER_INPUT
        if sum(body.count(mark) for mark in _MARKS) <= most:
            return
        found = 0
        for match in _STRING_OR_MARK.finditer(body):  # the same marks may be part of a text
            found += match.end() - match.start() == 1 and match[0] in _MARKS
            if found > most:
                raise RequestTooLarge(
                    f"The body has more than {most} values.",
                    hint="Send fewer inputs per request.",
                )

    def check_inputs(self, inputs: Any) -> None:
        """Refuse too many inputs or characters, before any input is created.

        Args:
            inputs: The value of ``inputs`` as JSON gave it.

        Raises:
            RequestTooLarge: There are too many.
        """
        count = len(inputs) if isinstance(inputs, list) else 1
        if count > self.max_inputs:
            raise RequestTooLarge(
                f"inputs: {count} inputs are more than {self.max_inputs}.",
                hint="Send fewer inputs per request, or start the server with a larger "
                "--max-inputs.",
            )
        characters = _characters(inputs)
        if characters > self.max_characters:
            raise RequestTooLarge(
                f"inputs: {characters} characters are more than {self.max_characters}.",
                hint="Send shorter or fewer inputs, or start the server with a larger "
                "--max-characters.",
            )

    def check_options(
        self, options: Mapping[str, Any], inputs: int, defaults: Mapping[str, Any]
    ) -> None:
        """Refuse a request for too many new tokens: those of each beam, or text, of each input.

        Without ``max_new_tokens`` or ``max_length`` many inputs are bounded by their characters;
        beams and texts that are asked for are counted with the default for one input.

        Args:
            options: The checked options.
            inputs: Number of inputs.
            defaults: Values of options that the request does not state. Without
                ``max_new_tokens`` the task generates no text, and nothing is refused.

        Raises:
            RequestTooLarge: They are too many.
        """
        if _TOKENS[0] not in defaults:
            return
        stated = next((one for name in _TOKENS if (one := options.get(name))), 0)
        if not stated and all((options.get(name) or 1) == 1 for name in _WIDTHS):
            return
        known = {**defaults, **{name: one for name, one in options.items() if one}}
        widths = [known.get(name) or 1 for name in _WIDTHS]
        tokens = stated or known[_TOKENS[0]] or 1
        width, count = max(widths), max(inputs, 1) if stated else 1
        total = tokens * width * count
        if total > self.max_generated:
            what = "beam" if width == widths[0] else "text"
            raise RequestTooLarge(
                f"parameters: {total} new tokens are more than {self.max_generated} per request: "
                f"{tokens} for each of {_counted(width, what)} of each of "
                f"{_counted(count, 'input')}.",
                hint="Ask for fewer tokens or beams, send fewer inputs, or start the server with a "
                "larger --max-generated.",
            )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _characters(value: Any) -> int:
    """Number of characters of all strings in a JSON value, without recursion, which may be deep."""
    total = 0
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, list):
            left.extend(one)
        elif isinstance(one, dict):
            left.extend(one.values())
    return total
