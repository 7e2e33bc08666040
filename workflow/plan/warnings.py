"""What a sweep over beta should be told before it starts: which of its trainings will not align, or will collapse."""

from __future__ import annotations

from collections.abc import Sequence

from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow.plan.tasks import ModelPlan


def is_multiple(model: ModelPlan) -> bool:
    """Whether beta / lam is known before there are data."""
    return model.beta.relative and model.beta.eigenvalue == 1


def warnings_of(ratios: Sequence[tuple[ModelPlan, float]], verb: str = "is") -> list[str]:
    """What to say of values of beta / lam that are too large."""
    texts: dict[str, None] = {}
    for model, ratio in ratios:
        where = f"{model.name}: beta = {model.beta} at L = {model.size} {verb} {ratio:.3g} lam"
        if ratio >= COLLAPSE_FRACTION:
            texts[f"  {where}: the latents are expected to collapse (from {COLLAPSE_FRACTION:g} lam)"] = None
        elif ratio >= WARN_FRACTION:
            texts[f"  {where}: the axes align too slowly (from {WARN_FRACTION:g} lam)"] = None
    return list(texts)


def expected_warnings(models: Sequence[ModelPlan]) -> list[str]:
    """What to say of values of beta before there are data: of multiples all, of numbers that lam is at most N for
    spins, as the covariance of N of them has the trace N."""
    numbers = [model for model in models if not model.beta.relative and model["likelihood"] == "bernoulli"]
    return [
        *warnings_of([(model, model.beta.value) for model in models if is_multiple(model)]),
        *warnings_of([(model, model.beta.value / model.size**2) for model in numbers], "is at least"),
    ]
