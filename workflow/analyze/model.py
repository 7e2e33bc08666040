"""Analysis of one trained model: information first, then correlation, separation, distances, generated phases."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis import phases, scans
from analysis.errors import bootstrap
from analysis.latent_space import correlation, mmd, separation
from analysis.latent_space import information as latents
from analysis.orders import columns, split
from workflow.analyze.decoder import Decoder
from workflow.analyze.fluctuations import Curves
from workflow.analyze.held_out import (
    Samples,
    branches,
    held_out_samples,
    isometries,
    neighbours,
    pairs,
    phases_of,
    subset,
    temperatures,
    training_rows,
)
from workflow.analyze.ideal import ideal
from workflow.analyze.latents import Latents, describe
from workflow.analyze.measured import measured
from workflow.analyze.pictures import generate
from workflow.analyze.results import generator, plain
from workflow.analyze.squares import squares
from workflow.dataset.origins import ShardTask
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_table, write_table
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import AnalyzeBlock
from workflow.train.trained import load_model

if TYPE_CHECKING:
    pass


class ModelJob(NamedTuple):
    """One trained model to analyze."""

    model: ModelPlan
    tasks: tuple[ShardTask, ...]
    settings: AnalyzeBlock
    seed: int
    input_space: str
    """Name of the analysis of the same data without a model."""
    ideal: bool = False
    """Whether to look for the arrangements of latents that a perfect decoder would prefer."""


def analyze_model(job: ModelJob, root: str) -> float:
    """Analyze one trained model and write its results; returns the seconds it took."""
    import torch

    torch.set_num_threads(1)
    start = time.monotonic()
    model, run = job.model, RunDirectory.at(root)
    rng = generator(job.seed, model.train_id)
    everything = held_out_samples(run, job.tasks, set(model.task_ids), model["held_out"], model.given_as)
    mean_SZ, std_SZ, loss_S = _read_latents(run, model, job.tasks, everything.rows)
    selected = np.isin(np.array(everything.labelled.task_ids), model.task_ids)
    keep = selected[everything.labelled.shard[everything.rows]]
    samples = subset(everything, keep)
    found = phases_of(samples, job.settings.ordered_above)
    result = json.loads(run.training(model.train_id).result.read_text())
    content = {
        "train_id": model.train_id,
        "result": result,
        "input": model.given_as,
        "input_space": job.input_space,
        "sign": average_signs(samples, job.settings.resamples, generator(job.seed, f"{model.train_id}-sign")),
        "order_parameters": list(columns(samples.orders)),
        "phases": list(found.names),
        "present": list(found.present),
        **_on_selected(mean_SZ[keep], std_SZ[keep], loss_S[keep], found, samples, job.settings, rng),
        "thermal": thermal_curves(mean_SZ, everything, job.settings, rng),
    }
    network = load_model(run, model)
    content["generated"] = generate(run, model, network, samples.physics, job.settings, rng)
    seen = training_rows(samples, model.task_ids)
    training = Latents(
        *_read_latents(run, model, job.tasks, seen)[:2], phases_of(samples, job.settings.ordered_above, seen)
    )
    held_out = Latents(mean_SZ[keep], std_SZ[keep], found)
    content |= describe(held_out, samples, training, content["units"], job.settings.resamples, job.seed, model.train_id)
    content["measured"] = measured(
        run, job.tasks[0], samples, mean_SZ[keep], content["units"], job.settings.resamples, job.seed, model.train_id
    )
    content["squares"] = squares(
        run, model, job.tasks, samples, seen, mean_SZ[keep], content["units"], job.settings.resamples, job.seed
    )
    content["fluctuations"] = Curves(
        run, model, network, job.tasks, samples, mean_SZ[keep], content["units"], job.settings.resamples, job.seed
    ).all()
    # A stream of its own, so that what is drawn here changes no result above.
    draws = generator(job.seed, f"{model.train_id}-decoder")
    decoder = Decoder(network, model, samples, mean_SZ[keep], std_SZ[keep], job.settings, draws)
    content["energies"] = decoder.energies(run)
    content["local_temperatures"] = decoder.local_temperatures()
    content["readings"] = decoder.readings(matched_pairs(content))
    content["ideal"] = ideal(run, model, samples, found, float(result["beta"]), job.seed) if job.ideal else None
    write_whole(run.analysis / f"{model.train_id}.json", json.dumps(plain(content), indent=1) + "\n")
    _write_scatter(run, model, mean_SZ[keep], samples, found, rng)
    return time.monotonic() - start


def average_signs(samples: Samples, resamples: int, rng: np.random.Generator) -> list[dict[str, Any]] | None:
    """<sign> at every parameter point, in whose errors it says what averages there are worth; None where all weights
    are positive."""
    sign = samples.labelled.sign
    if sign is None:
        return None
    sign_S, shard_S = sign[samples.rows], samples.labelled.shard[samples.rows]
    content = []
    for point in np.unique(shard_S):
        some = subset(samples, shard_S == point)
        (found,) = bootstrap(lambda mean: mean, sign_S[shard_S == point, None], some.chains, rng, resamples)
        content.append({"point": some.labelled.points[int(point)], "average": found})
    return content


def _read_latents(
    run: RunDirectory, model: ModelPlan, tasks: Iterable[ShardTask], rows: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Means (S, Z), standard deviations (S, Z) and reconstruction losses (S,) of the chosen rows."""
    folder = run.latents(model.train_id)
    table = pa.concat_tables([read_table(folder / f"{task.task_id}.parquet") for task in tasks])
    units = range(int(model["latent"]))

    def values(kind: str) -> NDArray[np.float64]:
        return np.stack([table.column(f"{kind}_{unit}").to_numpy()[rows] for unit in units], axis=1).astype(float)

    return values("mean"), values("std"), table.column("reconstruction").to_numpy()[rows]


def _on_selected(
    mean_SZ: NDArray[np.float64],
    std_SZ: NDArray[np.float64],
    loss_S: NDArray[np.float64],
    found: phases.Phases,
    samples: Samples,
    settings: AnalyzeBlock,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Everything on held-out samples of the shards the model was trained on."""
    chains, resamples = samples.chains, settings.resamples
    information = latents.information(mean_SZ, std_SZ, chains, rng, resamples)
    # Extra units that carry nothing would match an order parameter by chance.
    units = list(information.active) if mean_SZ.shape[1] > 2 and information.active else list(range(mean_SZ.shape[1]))
    # An order parameter of several components has no axis of its own to be matched with.
    names = columns(samples.orders)
    by_sign = [samples.orders[k].components[0] for k in found.orders if samples.orders[k].kind == "sign"]
    orders = [names.index(name) for name in by_sign]
    matched = None
    if orders:
        matched = correlation.correlate(mean_SZ[:, units], samples.order_SK[:, orders], samples.thermal, rng, resamples)
    separated = separation.separation(mean_SZ, found, chains, rng, resamples) if len(found.present) > 1 else None
    sums = mmd.group_sums(mean_SZ, found.label_S, chains)
    return {
        "held_out_samples": len(samples.rows),
        "reconstruction": bootstrap(lambda mean: mean, loss_S[:, None], chains, rng, resamples)[0],
        "information": information,
        "units": units,
        "orders": orders,
        "correlation": matched,
        "separation": separated,
        "isometry": isometries(sums, found, samples.orders, rng, resamples),
        "distances": mmd.distances(sums, pairs(found), rng, resamples),
    }


def thermal_curves(
    mean_SZ: NDArray[np.float64], everything: Samples, settings: AnalyzeBlock, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """|latents| and |order parameters| against temperature, and latent distances of neighbouring temperatures.

    A vector has no sign to fold latents by, how its symmetry acts on them is not known, nor how a sign acts on those of
    what is not on a lattice's sites: then there are no distances. A vector's length and that of the latents are what to
    compare.
    """
    content: list[dict[str, Any]] = []
    orders = everything.orders
    vectors = [k for k, order in enumerate(orders) if order.kind != "sign"]
    for label, mask in branches(everything).items():
        branch = subset(everything, mask)
        temperature_S = temperatures(branch)
        if len(np.unique(temperature_S)) < 2:
            continue
        lengths_SO = branch.lengths()
        values = [mean_SZ[mask], branch.order_SK, lengths_SO[:, vectors]]
        names = [f"latent_{unit}" for unit in range(mean_SZ.shape[1])] + list(columns(orders))
        names += [f"length_{orders[k].name}" for k in vectors]
        if vectors:
            values.append(np.linalg.norm(mean_SZ[mask], axis=1, keepdims=True))
            names.append("length_latent")
        scan = scans.thermal_scan(np.hstack(values), temperature_S, branch.thermal, rng, settings.resamples)
        strongest = int(lengths_SO.mean(axis=0).argmax())
        steps = None
        if orders[strongest].kind == "sign" and everything.physics.on_sites:
            folded_SZ = mmd.folded(mean_SZ[mask], split(branch.order_SK, orders)[strongest][:, 0])
            steps = neighbours(folded_SZ, branch, settings.resamples, rng)
        content.append(
            {
                "branch": label,
                "parameter": everything.physics.parameter,
                "columns": names,
                "scan": scan,
                "order": strongest,
                "neighbours": steps,
            }
        )
    return content


def matched_pairs(content: dict[str, Any]) -> list[tuple[int, str]]:
    """(latent, order parameter) as they were matched by correlation."""
    if (matched := content["correlation"]) is None:
        return []
    names, units, orders = content["order_parameters"], content["units"], content["orders"]
    return [(units[pair.latent], names[orders[pair.order]]) for pair in matched.pairs]


SCATTER = 1500
"""Held-out samples per model that the report's scatter plots show."""


def _write_scatter(
    run: RunDirectory,
    model: ModelPlan,
    mean_SZ: NDArray[np.float64],
    samples: Samples,
    found: phases.Phases,
    rng: np.random.Generator,
) -> None:
    """A random part of the held-out latents with phase and order parameters, for the figures."""
    few = np.sort(rng.permutation(len(mean_SZ))[:SCATTER])
    table = {f"mean_{unit}": mean_SZ[few, unit] for unit in range(mean_SZ.shape[1])}
    table |= {name: samples.order_SK[few, k] for k, name in enumerate(columns(samples.orders))}
    table["phase"] = found.label_S[few]
    write_table(run.analysis / f"{model.train_id}-scatter.parquet", pa.table(table))
