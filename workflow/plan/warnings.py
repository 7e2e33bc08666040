"""What a sweep over beta should be told before it starts: which of its trainings will not align, or will collapse."""

from __future__ import annotations

from collections.abc import Sequence

from models.config import COLLAPSE_FRACTION, WARN_FRACTION
from workflow.plan.tasks import TrainingRun


def _is_multiple(item: TrainingRun) -> bool:
    """Whether beta / lam is known before there are data."""
    return item.beta.relative and item.beta.eigenvalue == 1


def warnings_of(ratios: Sequence[tuple[TrainingRun, float]], verb: str = "is") -> list[str]:
    """What to say of values of beta / lam that are too large."""
    found: dict[str, None] = {}
    for item, ratio in ratios:
        where = f"{item.name}: beta = {item.beta} at L = {item.size} {verb} {ratio:.3g} lam"
        if ratio >= COLLAPSE_FRACTION:
            found[f"  {where}: the latents are expected to collapse (from {COLLAPSE_FRACTION:g} lam)"] = None
        elif ratio >= WARN_FRACTION:
            found[f"  {where}: the axes align too slowly (from {WARN_FRACTION:g} lam)"] = None
    return list(found)


def expected_warnings(runs: Sequence[TrainingRun]) -> list[str]:
    """What to say of values of beta before there are data: of multiples all, of numbers that lam is at most N for
    spins, as the covariance of N of them has the trace N."""
    numbers = [item for item in runs if not item.beta.relative and item["likelihood"] == "bernoulli"]
    return [
        *warnings_of([(item, item.beta.value) for item in runs if _is_multiple(item)]),
        *warnings_of([(item, item.beta.value / item.size**2) for item in numbers], "is at least"),
    ]
