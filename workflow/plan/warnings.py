"""Warnings about a sweep over beta before it starts: trainings whose axes will not align, or that will collapse."""

from __future__ import annotations

from collections.abc import Sequence

from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow.plan.tasks import ModelPlan


def is_multiple(model: ModelPlan) -> bool:
    """Whether beta is a multiple of lam, so that beta / lam is known before there are data."""
    return model.beta.relative and model.beta.eigenvalue == 1


def warnings_of(ratios: Sequence[tuple[ModelPlan, float]], verb: str = "is") -> list[str]:
    """A line for every model whose beta / lam is too large."""
    texts: dict[str, None] = {}
    for model, ratio in ratios:
        where = f"{model.name}: beta = {model.beta} at L = {model.size} {verb} {ratio:.3g} lam"
        if ratio >= COLLAPSE_FRACTION:
            texts[f"  {where}: the latents are expected to collapse (from {COLLAPSE_FRACTION:g} lam)"] = None
        elif ratio >= WARN_FRACTION:
            texts[f"  {where}: the axes align too slowly (from {WARN_FRACTION:g} lam)"] = None
    return list(texts)


def expected_warnings(models: Sequence[ModelPlan]) -> list[str]:
    """The lines that can be said before there are data.

    Of a multiple of lam, beta / lam is known. Of a number, only a bound for spins is: lam is at most N, since the
    covariance of N spins has the trace N.
    """
    numbers = [model for model in models if not model.beta.relative and model["likelihood"] == "bernoulli"]
    return [
        *warnings_of([(model, model.beta.value) for model in models if is_multiple(model)]),
        *warnings_of([(model, model.beta.value / model.size**2) for model in numbers], "is at least"),
    ]
