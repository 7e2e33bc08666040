"""Synthetic held-out data: five phases, many chains, latents that are known functions of the order parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.errors import Chains, index_chains
from analysis.orders import signs
from analysis.phases import Phases, label

ORDERS = ("magnetization", "staggered_magnetization")


class SyntheticSamples(NamedTuple):
    """SyntheticSamples-out samples of one trained model."""

    mean_SZ: NDArray[np.float64]
    order_SK: NDArray[np.float64]
    phases: Phases
    chains: Chains
    temperature_S: NDArray[np.float64]
    stratum_S: NDArray[np.intp]


def diamond(
    rng: np.random.Generator, rows: int = 20, num_chains: int = 8, angle: float = 0.0, width: float = 0.08
) -> SyntheticSamples:
    """FM, AFM (three temperatures each) and PM (three each); frozen signs, slowly changing chains.

    The latents are 1.2 times the order parameters, turned by ``angle`` (in deg), plus noise of ``width``.
    """
    order, strata, chains, temperatures = [], [], [], []
    for kind in (0, 1):
        for step, (size, spread) in enumerate([(0.98, 0.01), (0.95, 0.02), (0.9, 0.04), *[(0.0, 0.08)] * 3]):
            for chain in range(num_chains):
                values = rng.normal(0, 0.01, (rows, 2))
                values[:, kind] = size * rng.choice([-1, 1]) + rng.normal(0, spread) + rng.normal(0, spread, rows)
                order.append(values)
                strata += [6 * kind + step] * rows
                chains += [chain] * rows
                temperatures += [1.0 + 0.5 * step] * rows
    order_SK = np.clip(np.concatenate(order), -1, 1)
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    mean_SZ = 1.2 * order_SK @ rotation.T + rng.normal(0, width, order_SK.shape)
    stratum_S = np.array(strata)
    return SyntheticSamples(
        mean_SZ,
        order_SK,
        label(order_SK, signs(ORDERS), stratum_S),
        index_chains(chains, stratum_S),
        np.array(temperatures),
        stratum_S,
    )


@pytest.fixture
def make_diamond() -> Callable[..., SyntheticSamples]:
    """The function ``diamond``."""
    return diamond
