"""PyTorch's part of `attribution.py`, in an environment with torch, transformers and captum.

attribution_peer.py train BASE ROWS FOLDER    trains a classifier of two labels
attribution_peer.py judge FOLDER ORDERS OUT   integrated gradients, and the curves of all methods
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from captum.attr import LayerIntegratedGradients
from transformers import AutoModelForSequenceClassification, AutoTokenizer

SEED = 7
STEPS = 50
_POINTS = 10
_BATCH = 32
Matrix = list[list[bool]]


def train(base: str, rows: str, folder: str) -> None:
    """Train on rows of ``{text, label}`` for one epoch and save the checkpoint."""
    torch.manual_seed(SEED)
    names = {0: "negative", 1: "positive"}
    model = AutoModelForSequenceClassification.from_pretrained(
        base, id2label=names, label2id={name: number for number, name in names.items()}
    )
    tokenizer = AutoTokenizer.from_pretrained(base)
    data = json.loads(Path(rows).read_text(encoding="utf-8"))
    random.Random(SEED).shuffle(data)
    steps = len(data) // _BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 20) * (1 - step / steps)
    )
    model.train()
    for step in range(steps):
        part = data[step * _BATCH : (step + 1) * _BATCH]
        batch = tokenizer(
            [one["text"] for one in part], return_tensors="pt", padding=True, truncation=True
        )
        model(**batch, labels=torch.tensor([one["label"] for one in part])).loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class Judge:
    """The checkpoint: probabilities and log odds of a label with some words left out.

    Args:
        folder: The checkpoint.
    """

    def __init__(self, folder: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def place(self, text: str, spans: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
        """The ids of a text, and the word of each token; -1: special."""
        found = self.tokenizer(text, return_offsets_mapping=True)
        owners = []
        for start, end in found["offset_mapping"]:
            inside = [n for n, span in enumerate(spans) if start < span[1] and end > span[0]]
            owners.append(inside[0] if inside and start < end else -1)
        return found["input_ids"], owners

    def values(
        self, placed: tuple[list[int], list[int]], gone: Matrix, how: str, label: int
    ) -> tuple[list[float], list[float]]:
        """Probabilities and log odds of a label for sets of words left out.

        Args:
            placed: See `place`.
            gone: Sets of words.
            how: ``remove``, or the name of the token that replaces them.
            label: The label.
        """
        ids, owners = placed
        token = None if how == "remove" else getattr(self.tokenizer, f"{how}_token_id")
        rows = []
        for one in gone:
            lost = [owner >= 0 and one[owner] for owner in owners]
            if token is None:
                rows.append([i for i, left in zip(ids, lost, strict=True) if not left])
            else:
                rows.append([token if left else i for i, left in zip(ids, lost, strict=True)])
        probabilities, odds = [], []
        for first in range(0, len(rows), _BATCH):
            batch = self.tokenizer.pad(
                {"input_ids": rows[first : first + _BATCH]}, return_tensors="pt"
            )
            with torch.no_grad():
                logits = self.model(**batch).logits
            probabilities += logits.softmax(-1)[:, label].tolist()
            odds += (2 * logits[:, label] - logits.sum(-1)).tolist()
        return probabilities, odds

    def gradients(
        self, placed: tuple[list[int], list[int]], words: int, label: int, baseline: int
    ) -> list[float]:
        """Captum's integrated gradients of a label's logit, summed over the tokens of a word."""
        ids, owners = placed

        def logits(tokens: torch.Tensor) -> torch.Tensor:
            return self.model(tokens, attention_mask=torch.ones_like(tokens)).logits

        method = LayerIntegratedGradients(logits, self.model.get_input_embeddings())
        given = torch.tensor([ids])
        blank = torch.tensor(
            [[baseline if o >= 0 else i for i, o in zip(ids, owners, strict=True)]]
        )
        shares = method.attribute(given, blank, target=label, n_steps=STEPS).sum(-1)[0].tolist()
        weights = [0.0] * words
        for owner, share in zip(owners, shares, strict=True):
            if owner >= 0:
                weights[owner] += share
        return weights

    def area(
        self,
        placed: tuple[list[int], list[int]],
        weights: Sequence[float],
        label: int,
        how: str,
        *,
        insert: bool,
    ) -> float:
        """Area under the probability while words are left out, or put back, by their weights."""
        order = sorted(range(len(weights)), key=lambda n: -weights[n])
        rank = {word: place for place, word in enumerate(order)}
        points = [round(len(order) * point / _POINTS) for point in range(_POINTS + 1)]
        gone = [[(rank[n] < k) != insert for n in range(len(order))] for k in points]
        found, _ = self.values(placed, gone, how, label)
        return sum((a + b) / 2 for a, b in pairwise(found)) / _POINTS


def occlusion(odds: Callable[[Matrix], list[float]], words: int) -> dict[str, list[float]]:
    """Weights without each word, of each word alone, and their mean."""
    one = [[n == k for n in range(words)] for k in range(words)]
    rest = [[n != k for n in range(words)] for k in range(words)]
    found = odds([*one, *rest, [False] * words, [True] * words])
    whole, none = found[-2:]
    without = [whole - value for value in found[:words]]
    alone = [value - none for value in found[words : 2 * words]]
    both = [(a + b) / 2 for a, b in zip(without, alone, strict=True)]
    return {"without": without, "alone": alone, "mean": both}


def judge(folder: str, given: str, output: str, variants: str) -> None:
    """Write the mean areas of each method, and the CPU seconds of integrated gradients per text.

    ``variants`` is "yes" to judge other ways of occlusion too, by PyTorch.
    """
    judged = Judge(folder)
    texts: list[dict[str, Any]] = json.loads(Path(given).read_text(encoding="utf-8"))
    areas: dict[str, dict[str, list[float]]] = {}
    seconds: list[float] = []
    for text in texts:
        placed = judged.place(text["text"], text["spans"])
        words, label = len(text["spans"]), text["label"]
        methods = dict(text["weights"])
        for name in ("pad", "mask"):
            start = time.process_time()
            methods[f"integrated gradients, {name}"] = judged.gradients(
                placed, words, label, getattr(judged.tokenizer, f"{name}_token_id")
            )
            seconds.append(time.process_time() - start)
        for how in ("mask", "unk", "pad", "remove") if variants == "yes" else ():

            def odds(
                gone: Matrix, how: str = how, at: Any = placed, of: int = label
            ) -> list[float]:
                return judged.values(at, gone, how, of)[1]

            for kind, weights in occlusion(odds, words).items():
                methods[f"occlusion by {how}, {kind}"] = weights
        methods["random"] = random.Random(text["text"]).sample(range(words), words)
        for name, weights in methods.items():
            own = areas.setdefault(name, {})
            for how in ("mask", "remove"):
                for insert in (False, True):
                    key = f"{'insertion' if insert else 'deletion'}, {how}"
                    own.setdefault(key, []).append(
                        judged.area(placed, weights, label, how, insert=insert)
                    )
    means = {
        name: {key: sum(values) / len(values) for key, values in own.items()}
        for name, own in areas.items()
    }
    result = {"areas": means, "seconds": sum(seconds) / len(seconds)}
    Path(output).write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"train": train, "judge": judge}[sys.argv[1]](*sys.argv[2:])
