"""All that is known of one trained model: ``analysis/<train_id>.json``, as typed results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from workflow.analyze.context import Analysis
from workflow.train.result import TrainingResult

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class ModelAnalysis:
    """The results of one trained model: what was analyzed, and a result of every part."""

    train_id: str
    training: TrainingResult
    input: str
    """What the network was given of a configuration."""
    input_space: str
    """Name of the analysis of the same data without a model."""
    order_parameters: tuple[str, ...]
    """Columns of the order parameters."""
    phases: tuple[str, ...]
    """Names of all phases that there may be; the disordered one, if any, is among them."""
    present: tuple[int, ...]
    """Those that some sample is in."""
    held_out_samples: int
    units: tuple[int, ...]
    """Latents that correlations are made with."""
    orders: tuple[int, ...]
    """Order parameters that change sign and are present, as indices into ``order_parameters``."""
    results: Mapping[str, Any]
    """By the names of the parts; None of one that does not apply."""

    def __getitem__(self, part: Analysis[R]) -> R | None:
        """The result of a part."""
        result: R | None = self.results.get(part.name)
        return result

    def with_results(self, results: Mapping[str, Any]) -> ModelAnalysis:
        """The same with these results."""
        return replace(self, results=results)

    def components(self, order: str) -> list[str]:
        """Columns of one order parameter."""
        return [name for name in self.order_parameters if name == order or name.startswith(f"{order}_")]
