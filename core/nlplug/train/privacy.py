"""The privacy loss of a run: how much noise a budget needs, and what was spent.

DP-SGD (Abadi et al. 2016, arXiv:1607.00133): each step samples rows independently, clips the
gradient of each row, and adds Gaussian noise to the sum. Opacus computes the loss of all steps with
Renyi differential privacy (Mironov et al. 2019, arXiv:1908.10530).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from nlplug.errors import OptionError
from nlplug.extras import require
from nlplug.train.ways import EXTRA

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig

PURPOSE = "Differentially private training"
_ACCOUNTANT = "rdp"
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Privacy:
    """The mechanism of a run.

    Attributes:
        epsilon: The privacy loss of a row after ``steps``, at most that of the settings.
        delta: The probability with which ``epsilon`` may be exceeded.
        clip: Maximum norm of the gradient of a row.
        noise: Noise multiplier: standard deviation of the noise, as a multiple of ``clip``.
        rows: Number of training rows.
        sample_rate: Probability with which a row is in a step.
        steps: Number of steps.
    """

    epsilon: float
    delta: float
    clip: float
    noise: float
    rows: int
    sample_rate: float
    steps: int

    def __str__(self) -> str:
        return (
            f"Differential privacy: epsilon {self.epsilon:.2f}, delta {self.delta:.2g} after "
            f"{self.steps:,} steps with a noise multiplier of {self.noise:.3f}; a row is in a step "
            f"with a probability of {self.sample_rate:.4g}."
        )

    def after(self, steps: int) -> Privacy:
        """The same mechanism after another number of steps."""
        epsilon = _spent(self.noise, self.sample_rate, steps, self.delta)
        return Privacy(**asdict(self) | {"epsilon": epsilon, "steps": steps})

    def record(self) -> dict[str, Any]:
        """For the record of the run and the manifest of the bundle."""
        return asdict(self) | {
            "accountant": _ACCOUNTANT,
            "opacus": metadata.version("opacus"),
        }


def privacy_of(config: TrainConfig, rows: int) -> Privacy:
    """The mechanism of a run, with the least noise that its budget allows.

    Args:
        config: The settings; ``private_epsilon`` is given.
        rows: Number of training rows.

    Raises:
        OptionError: ``private_delta`` is not below 1 / rows, or the budget is too small.
        MissingExtra: The package opacus is not installed.
    """
    target = config.private_epsilon or 0.0
    delta = config.private_delta or 0.1 / rows
    if delta >= 1 / rows:
        raise OptionError(
            f"private_delta is {delta:g}, but there are {rows:,} training rows.",
            hint=f"Give less than 1 / {rows:,} = {1 / rows:.2g}: with more, a training that "
            "publishes a row at random would be private.",
        )
    per_epoch = math.ceil(rows / config.batch_size)
    rate, steps = 1 / per_epoch, math.ceil(config.epochs * per_epoch)
    utils = require("opacus.accountants.utils", EXTRA, purpose=PURPOSE)
    try:
        with _without_warnings():
            noise: float = utils.get_noise_multiplier(
                target_epsilon=target,
                target_delta=delta,
                sample_rate=rate,
                steps=steps,
                accountant=_ACCOUNTANT,
                epsilon_tolerance=min(_TOLERANCE, target / 100),
            )
    except ValueError:  # the search for the noise has a limit
        raise OptionError(
            f"private_epsilon is {target:g}: no amount of noise reaches it in {steps:,} steps.",
            hint="Give a larger one, or fewer --epochs.",
        ) from None
    return Privacy(0.0, delta, config.private_clip, noise, rows, rate, steps).after(steps)


def _spent(noise: float, rate: float, steps: int, delta: float) -> float:
    """The epsilon of some steps."""
    accountant = require("opacus.accountants", EXTRA, purpose=PURPOSE).RDPAccountant()
    accountant.history = [(noise, rate, steps)] if steps else []
    with _without_warnings():
        return float(accountant.get_epsilon(delta=delta)) if steps else 0.0


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Without the advice to try more orders: any order gives an upper bound."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the")
        yield
