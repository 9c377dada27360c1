"""Tokens as people read them, and their neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nlplug.inside.embeddings import InputEmbeddings
from nlplug.inside.result import (
    Alternative,
    Neighbor,
    TokenNeighbors,
    TokenProbability,
    TokenText,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nlplug.runtime.tokenizer import Tokenizer

_BROKEN = "\ufffd"


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """The text of a token; its name in the vocabulary where it is not a text of its own."""
    decoded = tokenizer.decode([token], skip_special_tokens=False)
    if decoded.strip() and _BROKEN not in decoded:
        return decoded
    return tokenizer.token_text(token) or str(token)


def token_texts(tokenizer: Tokenizer, ids: Sequence[int]) -> list[TokenText]:
    """The texts of tokens."""
    return [TokenText(token, token_text(tokenizer, token)) for token in ids]


def neighbors(
    path: Path, tokenizer: Tokenizer, ids: Sequence[int], top: int
) -> list[TokenNeighbors]:
    """The neighbors of the different tokens of a text; those of special tokens are left out.

    Args:
        path: The graph with the table of embeddings.
        tokenizer: The tokenizer of the text.
        ids: Its tokens.
        top: Number of neighbors of each.

    Raises:
        BundleError: No table of embeddings was found.
    """
    special = tokenizer.added_tokens
    words = [token for token in dict.fromkeys(ids) if token not in special]
    if not words:
        return []
    vocabulary = sorted(set(tokenizer.vocabulary().values()) - special.keys())
    found = InputEmbeddings(path).nearest(words, vocabulary, top)
    return [
        TokenNeighbors(
            token,
            token_text(tokenizer, token),
            [Neighbor(other, token_text(tokenizer, other), cosine) for other, cosine in near],
        )
        for token, near in zip(words, found, strict=True)
    ]


def probabilities(
    tokenizer: Tokenizer, logits: np.ndarray, ids: Sequence[int], top: int
) -> list[TokenProbability]:
    """The probabilities of generated tokens and of the most likely ones at their places.

    Args:
        tokenizer: The tokenizer of the text.
        logits: (tokens, vocabulary), those that each token was chosen from.
        ids: The tokens.
        top: Number of alternatives.
    """
    found = []
    for row, token in zip(logits, ids, strict=True):
        exponents = np.exp(row.astype(np.float64) - row.max())
        shares = exponents / exponents.sum()
        best = np.argsort(-shares, kind="stable")[:top]
        alternatives = [
            Alternative(int(one), token_text(tokenizer, int(one)), float(shares[one]))
            for one in best
        ]
        text = token_text(tokenizer, token)
        found.append(TokenProbability(int(token), text, float(shares[token]), alternatives))
    return found
