"""The input of a network, made from a stored configuration as ``input`` of a ``[[train]]`` block says.

Shards stay as they are: all code that reads one for a model transforms its configurations here.

* ``raw``: as stored; the slices of an auxiliary field are channels.
* ``tau-average``: the mean over the channels, which for an auxiliary field is that over imaginary time.
* ``staggered``: times (-1)^(x + y); of states that stand for -s ... s, the order is reversed on one sublattice.
* ``staggered-tau-average``: both.
* ``green``: not the configuration, but the second input that ``measure = ["green"]`` stores beside it: a matrix between
  sites. No order parameter can be read off it.

Axes: S samples, C channels, H rows, W columns, F channels of features.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.config import Variable
from workflow.dataset.info import DatasetInfo
from workflow.dataset.variables import SiteValues

Input = Literal["raw", "tau-average", "staggered", "staggered-tau-average", "green"]
SECOND_INPUTS = ("green",)


def words(network: str, name: str) -> str:
    """A network with its input, for people; without it where that is the configuration as stored."""
    return network if name == "raw" else f"{network} on {name}"


def is_averaged(name: Input) -> bool:
    """Whether the input is one channel, the mean of all."""
    return name.endswith("tau-average")


def is_staggered(name: Input) -> bool:
    """Whether the input has the sign of one sublattice changed."""
    return name.startswith("staggered")


def is_second(name: Input) -> bool:
    """Whether the input is stored beside the configuration, instead of made from it."""
    return name in SECOND_INPUTS


def objection(info: DatasetInfo, name: Input) -> str | None:
    """Why these configurations do not have this input; None if they have it."""
    if is_second(name) and name not in dict(info.second_inputs):
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


def _has_signs(stored: SiteValues) -> bool:
    """Whether -x is a possible value of every x."""
    is_odd_in_zero = stored.lowest < 0 and 2 * stored.lowest + stored.states == 1
    return stored.variable in ("spins", "values") or (stored.variable == "states" and is_odd_in_zero)


def network_input(info: DatasetInfo, name: Input) -> DatasetInfo:
    """The network's input, for configurations that are stored as ``info`` says.

    Raises:
        ValueError: these configurations do not have this input.
    """
    if (text := objection(info, name)) is not None:
        raise ValueError(f"input = {name!r} {text}")
    if not is_averaged(name) and not is_second(name):
        return info
    shape = dict(info.second_inputs)[name] if is_second(name) else (1, *info.shape[1:])
    values: Variable = "values"
    return replace(info, shape=shape, encoding="float32", variable=values, states=2, lowest=0)


def transform(stored_SCHW: NDArray[Any], name: Input) -> NDArray[Any]:
    """The network's input, (S, C, H, W), made from stored configurations (spins -1 and 1, states, values).

    Averages are taken in float64 and returned as float32; all else keeps its type.
    """
    input_SCHW = stored_SCHW
    if is_averaged(name):
        input_SCHW = input_SCHW.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    if is_staggered(name):
        input_SCHW = input_SCHW * signs(input_SCHW.shape[2:]).astype(input_SCHW.dtype)
    return input_SCHW


def signs(shape: tuple[int, ...]) -> NDArray[np.int8]:
    """(H, W) of 1 where row + column is even, else -1."""
    rows, columns = np.indices(shape)
    return (1 - 2 * ((rows + columns) % 2)).astype(np.int8)


def as_stored(mean_NFHW: NDArray[Any], stored: SiteValues, name: Input) -> NDArray[Any]:
    """A decoder's means in the frame of the stored configurations: a staggered input is turned back.

    An average over channels stays an average.

    Args:
        mean_NFHW: means of features as ``models.inference.decode`` gives them: of spins the probability of +1, of
            states that of each, else mean values.
        stored: what the numbers of the network's input are.
        name: which input it is.
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
