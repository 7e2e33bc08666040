"""What an analysis of one trained model is given: the model, held-out samples, their latents and random streams.

Axes: S samples, Z latents, K components of order parameters, C channels, H rows, W columns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.latent_space import mmd
from analysis.phases import Phases
from workflow.analyze.held_out import HeldOutSamples, held_out_samples, phases_of, subset, training_rows
from workflow.dataset.inputs import is_staggered, signs
from workflow.dataset.origins import ShardTask
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_table
from workflow.study.blocks import AnalyzeBlock
from workflow.train.result import TrainingResult, read_result
from workflow.train.trained import load_model

if TYPE_CHECKING:
    from models.inference import Model

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class ModelJob(NamedTuple):
    """One trained model to analyze."""

    model: ModelPlan
    tasks: tuple[ShardTask, ...]
    """Every shard that it can read."""
    settings: AnalyzeBlock
    seed: int
    """Of the study."""
    input_space: str
    """Name of the analysis of the same data without a model."""
    is_first_seed: bool = False
    """Whether it stands for all seeds where a result is the same for all."""


class Posteriors(NamedTuple):
    """What a model makes of samples; a posterior is a normal distribution of each latent."""

    mean_SZ: NDArray[np.float64]
    std_SZ: NDArray[np.float64]
    loss_S: NDArray[np.float64]
    """Reconstruction loss at the mean, in nats."""

    def rows(self, keep: NDArray[Any]) -> Posteriors:
        """Those of chosen samples."""
        return Posteriors(self.mean_SZ[keep], self.std_SZ[keep], self.loss_S[keep])


class Analysis(Protocol[R_co]):
    """As much of a part as its context knows (``workflow.analyze.part.Part``)."""

    @property
    def name(self) -> str: ...

    @property
    def analyze(self) -> Callable[[ModelContext], R_co | None]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelContext:
    """One trained model with the samples that it is analyzed on, which training never saw."""

    run: RunDirectory
    model: ModelPlan
    tasks: tuple[ShardTask, ...]
    """Every shard that the model can read, also those it was not trained on."""
    settings: AnalyzeBlock
    seed: int
    input_space: str
    is_first_seed: bool
    readable: HeldOutSamples
    """Held-out samples of all these shards."""
    readable_posteriors: Posteriors
    samples: HeldOutSamples
    """Held-out samples of the shards that the model was trained on."""
    posteriors: Posteriors
    """Of ``samples``."""
    phases: Phases
    """Of ``samples``."""
    training_result: TrainingResult
    _results: dict[str, Any] = field(default_factory=dict)
    _streams: dict[str, np.random.Generator] = field(default_factory=dict)

    @property
    def mean_SZ(self) -> NDArray[np.float64]:
        """Latents of ``samples``: the means of their posteriors."""
        return self.posteriors.mean_SZ

    @property
    def resamples(self) -> int:
        """Of every bootstrap."""
        return self.settings.resamples

    @cached_property
    def network(self) -> Model:
        """The trained network, in evaluation mode."""
        return load_model(self.run, self.model)

    @property
    def sign_HW(self) -> NDArray[np.int8]:
        """Signs of the sites: network inputs times these are the stored configurations, and the reverse.

        (H, W), +1 and -1 in a checkerboard, for an input that is staggered; else (1, 1), which is +1. Energies and
        order parameters are those of stored configurations.
        """
        return (
            signs(self.model.network_input.shape[1:])
            if is_staggered(self.model.input_name)
            else np.ones((1, 1), dtype=np.int8)
        )

    @cached_property
    def trained_rows(self) -> NDArray[np.intp]:
        """Rows of the training samples, in ``samples.labelled``."""
        return training_rows(self.samples, self.model.task_ids)

    @cached_property
    def training_posteriors(self) -> Posteriors:
        """Of the training samples."""
        return read_posteriors(self.run, self.model, self.tasks, self.trained_rows)

    @cached_property
    def training_phases(self) -> Phases:
        """Of the training samples."""
        return phases_of(self.samples, self.settings.ordered_above, self.trained_rows)

    @cached_property
    def phase_sums(self) -> mmd.GroupSums:
        """Sums of the latents of each phase by chain."""
        return mmd.group_sums(self.mean_SZ, self.phases.label_S, self.samples.chains)

    def generator(self, name: str) -> np.random.Generator:
        """A random stream of its own for every name, so that none depends on which others are used or in what order."""
        return generator(self.seed, f"{self.model.train_id}-{name}")

    def stream(self, name: str, *, after: Analysis[Any] | None = None, begins: str = "") -> np.random.Generator:
        """The stream of the part called ``name``, which goes on where that of another part ended.

        This keeps the numbers of parts that shared one stream once; whichever is asked for first, those before it are
        carried out, so that the order of lines decides nothing. A new part takes ``generator``.

        Args:
            name: of the part.
            after: the part before it; None: the stream begins here.
            begins: what the stream is called then; without, it is that of the model's id.
        """
        if after is not None:
            self.result(after)
            self._streams[name] = copy.deepcopy(self._streams[after.name])
        else:
            own = f"{self.model.train_id}-{begins}" if begins else self.model.train_id
            self._streams[name] = generator(self.seed, own)
        return self._streams[name]

    def result(self, part: Analysis[R]) -> R | None:
        """The result of a part, made when it is first asked for."""
        if part.name not in self._results:
            self._results[part.name] = part.analyze(self)
        result: R | None = self._results[part.name]
        return result


def generator(seed: int, name: str) -> np.random.Generator:
    """A random stream by a study's seed and a name."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))


def context_of(job: ModelJob, run: RunDirectory) -> ModelContext:
    """Read what the analyses of one model need."""
    model = job.model
    readable = held_out_samples(run, job.tasks, set(model.task_ids), model["held_out"], model.input_name)
    posteriors = read_posteriors(run, model, job.tasks, readable.rows)
    is_trained_on = np.isin(np.array(readable.labelled.task_ids), model.task_ids)
    keep = is_trained_on[readable.labelled.shard[readable.rows]]
    samples = subset(readable, keep)
    return ModelContext(
        run=run,
        model=model,
        tasks=job.tasks,
        settings=job.settings,
        seed=job.seed,
        input_space=job.input_space,
        is_first_seed=job.is_first_seed,
        readable=readable,
        readable_posteriors=posteriors,
        samples=samples,
        posteriors=posteriors.rows(keep),
        phases=phases_of(samples, job.settings.ordered_above),
        training_result=read_result(run.training(model.train_id).result),
    )


def read_posteriors(
    run: RunDirectory, model: ModelPlan, tasks: Iterable[ShardTask], rows: NDArray[np.intp]
) -> Posteriors:
    """Posteriors of chosen rows of these shards, counted over all of them."""
    folder = run.latents(model.train_id)
    table = pa.concat_tables([read_table(folder / f"{task.task_id}.parquet") for task in tasks])
    units = range(int(model["latent"]))

    def values(kind: str) -> NDArray[np.float64]:
        return np.stack([table.column(f"{kind}_{unit}").to_numpy()[rows] for unit in units], axis=1).astype(float)

    return Posteriors(values("mean"), values("std"), table.column("reconstruction").to_numpy()[rows])
