"""What latents hold of numbers that are no order parameters: energy, and whatever else a system measures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Estimate
from analysis.latent_space.canonical import canonical
from analysis.latent_space.covariance import closest
from analysis.orders import columns
from simulators import contract
from simulators.contract import SIGN
from workflow.analyze.bonds import bond_sums
from workflow.analyze.held_out import Samples
from workflow.analyze.results import generator
from workflow.dataset import shards
from workflow.dataset.origins import DataTask, ShardTask, SimulationTask
from workflow.storage.run_directory import RunDirectory


class Held(NamedTuple):
    """Of one number; squared correlations, free of scale like every correlation: check the KL first."""

    together: Estimate
    """Squared multiple correlation with all latents."""
    alone: Estimate
    """Squared correlation with the latent that correlates most."""
    unit: int
    """Which one that is."""


def measured(
    run: RunDirectory,
    task: ShardTask,
    samples: Samples,
    mean_SZ: NDArray[np.float64],
    units: list[int],
    resamples: int,
    seed: int,
    name: str,
) -> dict[str, Held]:
    """Correlations of the latents with every column of a simulated shard that is not an order parameter.

    Where couplings of several strengths or signs are mixed, also with ``bonds``, -energy / coupling: the sum over
    bonds, per site, that the energy is made of. It is all that a configuration says of coupling / temperature.

    Args:
        run: where the shards are.
        task: one of the shards.
        samples: held-out samples of shards of the same system and size.
        mean_SZ: their latents.
        units: latents that correlations are made with.
        resamples: of the bootstrap.
        seed: of the study.
        name: of the model.
    """
    if isinstance(task, DataTask):
        return {}
    value_SV, names = columns_of(run, task, samples)
    values = dict(zip(names, value_SV.T, strict=True))
    if (coupling_S := _couplings(task, samples)) is not None:
        values["bonds"] = -values["energy"] / coupling_S
    found = {}
    for column, value_S in values.items():
        if np.ptp(value_S) == 0:
            continue
        # The average of a sign is no thermal one.
        chains = samples.chains if column == SIGN else samples.thermal
        unit = units[closest(mean_SZ[:, units], value_S, chains)]
        rng = generator(seed, f"{name}-measured-{column}")
        together, alone = (
            canonical(mean_SZ[:, chosen], value_S[:, None], chains, rng, resamples).smallest
            for chosen in (units, [unit])
        )
        found[column] = Held(together, alone, unit)
    return found


def columns_of(
    run: RunDirectory, task: SimulationTask, samples: Samples
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """(S, V) every column of a simulated shard that is no order parameter, and their names; ``task`` is any of them."""
    known = contract.load(task.system).names(task.point).columns
    wanted = tuple(column for column in known if column not in columns(samples.orders))
    return read_columns(run, task, samples, wanted), wanted


def _couplings(task: ShardTask, samples: Samples) -> NDArray[np.float64] | None:
    """(S,) the coupling of each sample; None where there is only one, or where it is not all of the energy."""
    bonds = bond_sums(task.system, samples.labelled.points)
    if bonds is None:
        return None
    coupling_S = np.array([point.coupling for point in bonds])[samples.labelled.shard[samples.rows]]
    return coupling_S if np.ptp(coupling_S) > 0 and np.all(coupling_S != 0) else None


def read_columns(run: RunDirectory, task: ShardTask, samples: Samples, wanted: tuple[str, ...]) -> NDArray[np.float64]:
    """(S, V) the wanted columns of the samples."""
    labelled, shard_S = samples.labelled, samples.labelled.shard[samples.rows]
    parts = []
    for point in np.unique(shard_S):
        path = run.shard(task.system, task.size, labelled.task_ids[point])
        read = shards.read(path, columns=wanted).columns
        rows = samples.rows[shard_S == point] - labelled.first(point)
        parts.append(np.stack([read[column][rows] for column in wanted], axis=1).astype(float))
    # Shards come in the order of their rows.
    return np.concatenate(parts)
