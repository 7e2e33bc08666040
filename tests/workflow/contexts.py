"""Contexts of analyses whose latents a test makes up, in place of those of a trained model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Estimate
from analysis.latent_space.information import Information
from analysis.phases import Phases
from models.config import ModelConfig
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext, Posteriors
from workflow.analyze.held_out import HeldOutSamples
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import AnalyzeBlock
from workflow.train.result import TrainingResult

NOWHERE = RunDirectory(Path("nowhere"))


def posteriors(mean_SZ: NDArray[np.float64], width: float = 0.1) -> Posteriors:
    return Posteriors(mean_SZ, np.full_like(mean_SZ, width), np.zeros(len(mean_SZ)))


def context(
    samples: HeldOutSamples,
    mean_SZ: NDArray[np.float64],
    tasks: Sequence[Any],
    *,
    run: RunDirectory = NOWHERE,
    phases: Phases | None = None,
    units: Sequence[int] | None = None,
    width: float = 0.1,
    model: Any = SimpleNamespace(train_id="test"),  # noqa: B008
    **known: Any,
) -> ModelContext:
    """One of a model that makes ``mean_SZ`` of ``samples``; ``known`` are properties that cannot be read from a run."""
    of_samples = posteriors(mean_SZ, width)
    made = ModelContext(
        run=run,
        model=model,
        tasks=tuple(tasks),
        settings=AnalyzeBlock(resamples=50),
        seed=1,
        input_space="test",
        is_first_seed=True,
        readable=samples,
        readable_posteriors=of_samples,
        samples=samples,
        posteriors=of_samples,
        phases=phases if phases is not None else Phases((), np.zeros(len(mean_SZ), dtype=np.intp), ()),
        training_result=training(),
    )
    if units is not None:
        made._results["information"] = information(units, mean_SZ.shape[1])
    # Where cached properties keep their values.
    vars(made).update(known)
    return made


def information(active: Sequence[int], latents: int = 2) -> Information:
    """Of latents of which some are active."""
    divergence = tuple(number(1.0 if unit in active else 0.0) for unit in range(latents))
    return Information(divergence, tuple(active), None)


def number(value: float, error: float = 0.01) -> Estimate:
    return Estimate(value, error, 100, "made up")


def training(**settings: Any) -> TrainingResult:
    """Of a shallow network on the Ising model; ``settings`` are those of the network."""
    return TrainingResult(
        train_id="0123456789abcdef",
        name="block",
        system="ising",
        size=4,
        seed=0,
        beta=2.0,
        beta_setting="0.2 lam",
        top_eigenvalue=10.0,
        model=ModelConfig(shape=(1, 4, 4), **settings),
        active_units=2,
        rank=2,
        seconds=1.0,
        samples_per_second=1.0,
        loss=1.0,
    )


def analysis(trained: TrainingResult | None = None, **changed: Any) -> ModelAnalysis:
    """A finished analysis; ``changed`` are its fields, and the results of parts by their names."""
    head: dict[str, Any] = {
        "train_id": "0123456789abcdef",
        "input": "raw",
        "input_space": "ising-L=4",
        "order_parameters": ("magnetization", "staggered_magnetization"),
        "phases": ("magnetization+", "magnetization-", "disordered"),
        "present": (0, 1, 2),
        "held_out_samples": 100,
        "units": (0, 1),
        "orders": (0, 1),
    }
    head |= {name: changed.pop(name) for name in list(changed) if name in head}
    return ModelAnalysis(
        **head, training=trained or training(), results={"information": information((0, 1)), **changed}
    )


Latents = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Latents as a function of the order parameters."""
