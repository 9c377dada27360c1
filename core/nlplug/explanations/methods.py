"""The methods: from the values of a target with words replaced to the weights of the words.

``occlusion`` is the mean of two differences: of all words and all but this one (leave-one-out,
Li et al. 2016), and of this word alone and none. The second one finds words whose content other
words repeat: without any one of them the output hardly changes.

``shapley`` estimates Shapley values by sampling permutations (Castro et al. 2009; Strumbelj and
Kononenko 2010) in pairs of an order and its reverse, which halves the variance for outputs that are
nearly additive (Mitchell et al. 2022). The weights add up to the value minus the baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nlplug.explanations.options import Method
    from nlplug.explanations.passes import Passes

_FEWEST_ORDERS = 8
_SEED = 0


def cost(method: Method, readings: int) -> int:
    """Number of passes for weights of all units, without those for the baseline.

    Args:
        method: The method.
        readings: See `Units.readings`.
    """
    return readings * (2 if method == "occlusion" else _FEWEST_ORDERS)


def occlusion(passes: Passes, units: int) -> np.ndarray:
    """The weights by occlusion, (units,)."""
    one = np.eye(units, dtype=bool)
    none = np.zeros((1, units), dtype=bool)
    values = passes.values(np.concatenate((one, ~one, none, ~none)))
    without, alone, (value, baseline) = values[:units], values[units:-2], values[-2:]
    weights: np.ndarray = ((value - without) + (alone - baseline)) / 2
    return weights


def shapley(passes: Passes, units: int, orders: int) -> np.ndarray:
    """The weights by sampling, (units,).

    Args:
        passes: Gives the values.
        units: Number of units.
        orders: Number of orders, even.
    """
    random = np.random.default_rng(_SEED)
    drawn = [random.permutation(units) for _ in range(orders // 2)]
    every = np.array([order for one in drawn for order in (one, one[::-1])])
    places = np.argsort(every, axis=1)
    # Set k of an order replaces the first k of its words.
    replaced = places[:, None, :] < np.arange(units + 1)[:, None]
    values = passes.values(replaced.reshape(-1, units)).reshape(orders, units + 1)
    shares = np.take_along_axis(values[:, :-1] - values[:, 1:], places, axis=1)
    weights: np.ndarray = shares.mean(axis=0)
    return weights


def orders_within(passes: int, readings: int) -> int:
    """The largest even number of orders that takes at most so many passes."""
    return max(_FEWEST_ORDERS, passes // max(1, readings) // 2 * 2)
