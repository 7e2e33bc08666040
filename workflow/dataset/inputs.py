"""What a network is given of a stored configuration: the transforms that ``input`` of a ``[[train]]`` block names.

Shards stay as they are; whoever reads one for a model asks here.

* ``raw``: as stored; the slices of an auxiliary field are channels.
* ``tau-average``: the mean over the channels, which for an auxiliary field is that over imaginary time.
* ``staggered``: times (-1)^(x + y); states that stand for -s ... s are turned over on one sublattice.
* ``staggered-tau-average``: both.
* ``green``: not the configuration but the second input that ``measure = ["green"]`` stores beside it, a matrix between
  sites, off which no order parameter is read.

Axes: S samples, C channels, H rows, W columns, F channels of features.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.config import Variable
from workflow.dataset.info import DatasetInfo
from workflow.dataset.variables import Stored

Input = Literal["raw", "tau-average", "staggered", "staggered-tau-average", "green"]
SECOND_INPUTS = ("green",)


def words(network: str, name: str) -> str:
    """A network with what it is given, for people; nothing is said of what is stored."""
    return network if name == "raw" else f"{network} on {name}"


def is_averaged(name: Input) -> bool:
    """Whether one channel is left, the mean of all."""
    return name.endswith("tau-average")


def is_staggered(name: Input) -> bool:
    """Whether one sublattice changes its sign."""
    return name.startswith("staggered")


def is_second(name: Input) -> bool:
    """Whether it is stored beside the configuration, instead of made of it."""
    return name in SECOND_INPUTS


def objection(info: DatasetInfo, name: Input) -> str | None:
    """Why configurations cannot be transformed so; None if they can."""
    if is_second(name) and name not in dict(info.further):
        return (
            f"is not stored beside every selected configuration, only where a system measures it; take raw, or a "
            f'simulated block with measure = ["{name}"]'
        )
    if is_averaged(name) and info.variable not in ("spins", "values"):
        return f"averages numbers, which {info.variable} are not; take raw or staggered"
    if is_staggered(name) and not _has_signs(info.stored):
        return f"changes the sign of spins and values, which {info.variable} do not have; take raw"
    if is_staggered(name) and any(side % 2 for side in info.shape[1:]):
        return f"needs even rows and columns for two sublattices, got {info.shape[1:]}; take raw or tau-average"
    return None


def _has_signs(stored: Stored) -> bool:
    """Whether -x is a possible value of every x."""
    is_odd_in_zero = stored.lowest < 0 and 2 * stored.lowest + stored.states == 1
    return stored.variable in ("spins", "values") or (stored.variable == "states" and is_odd_in_zero)


def seen(info: DatasetInfo, name: Input) -> DatasetInfo:
    """What the network is given, where ``info`` is stored.

    Raises:
        ValueError: these configurations cannot be transformed so.
    """
    if (text := objection(info, name)) is not None:
        raise ValueError(f"input = {name!r} {text}")
    if not is_averaged(name) and not is_second(name):
        return info
    shape = dict(info.further)[name] if is_second(name) else (1, *info.shape[1:])
    values: Variable = "values"
    return replace(info, shape=shape, encoding="float32", variable=values, states=2, lowest=0)


def transformed(stored_SCHW: NDArray[Any], name: Input) -> NDArray[Any]:
    """Configurations as stored (spins -1 and 1, states, values) as the network is given them; averages are float32."""
    given = stored_SCHW
    if is_averaged(name):
        given = given.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    return given * signs(given.shape[2:]).astype(given.dtype) if is_staggered(name) else given


def signs(shape: tuple[int, ...]) -> NDArray[np.int8]:
    """(H, W) of 1 where row + column is even, else -1."""
    rows, columns = np.indices(shape)
    return (1 - 2 * ((rows + columns) % 2)).astype(np.int8)


def restored(mean_NFHW: NDArray[Any], stored: Stored, name: Input) -> NDArray[Any]:
    """What a decoder of transformed input says, in the frame of what is stored; an average over channels stays one.

    Args:
        mean_NFHW: means of features as ``models.inference.decode`` gives them: of spins the probability of +1, of
            states that of each, else mean values.
        stored: what the numbers are that the model sees.
        name: the transform.
    """
    if not is_staggered(name):
        return mean_NFHW
    is_even_HW = signs(mean_NFHW.shape[2:]) > 0
    if stored.variable == "spins":
        turned = 1 - mean_NFHW
    elif stored.variable == "states":
        by_state = mean_NFHW.reshape(len(mean_NFHW), -1, stored.states, *mean_NFHW.shape[2:])
        turned = by_state[:, :, ::-1].reshape(mean_NFHW.shape)
    else:
        turned = -mean_NFHW
    return np.where(is_even_HW, mean_NFHW, turned)
