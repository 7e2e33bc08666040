"""What a trained model is judged by: its subject, and the conditions that go with it.

The subject follows from what is known of the data. KL comes first in every list, since correlations, cosines and
accuracies have no scale: a collapsed network has them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isnan
from typing import NamedTuple

from models.config import THERMAL_BETA, WARN_FRACTION
from workflow.study.blocks import AnalyzeBlock

INFINITY = float("inf")

SIGNS = "order parameters"
"""Order parameters that change sign, each with a latent of its own."""
SPARE = "order parameters and spare latents"
"""The same with latents left over that carry nothing: what those correlate with is left to chance."""
VECTOR = "vector"
"""An order parameter of several components that a discrete symmetry permutes or turns, or any order parameters where
the posterior has one width for all latents."""
CONTINUOUS = "continuous vector"
"""One that turns by any angle."""
CLASSES = "classes"
"""Classes that came with the data, one of them without order."""
LABELS = "labels"
"""Other classes that came with the data: nothing says what latents should be."""
POINT = "one point"
"""A single parameter point: there are no phases to tell apart."""
ENERGIES = "energies"
"""A decoder with correlations, of several parameter points."""
POINT_ENERGIES = "energies of one point"
"""The same of a single point."""
HOT_ENERGIES = "energies and heat of one point"
"""The same above the transition, where the specific heat counts too."""
NOTHING = "unknown"
"""Neither order parameters nor classes."""


class Gate(NamedTuple):
    """One condition of the verdict, on the worst seed."""

    words: str
    quantity: Callable[[str], bool]
    """Which records it judges, by the record's quantity."""
    low: float
    high: float
    judged: bool = True
    """False: shown, the worst seed as seen from these bounds, but nothing is asked of it."""

    def holds(self, value: float) -> bool:
        """Whether ``value`` is within the bounds; one that is not a number is not."""
        return not self.judged or self.low <= value <= self.high

    def badness(self, value: float) -> float:
        """By how much ``value`` is out of bounds; not a number (an undefined ratio) is the worst there is."""
        return INFINITY if isnan(value) else max(self.low - value, value - self.high)

    @property
    def bounds(self) -> str:
        if not self.judged:
            return ""
        if self.low == -INFINITY:
            return f"<= {self.high:g}"
        return f">= {self.low:g}" if self.high == INFINITY else f"{self.low:g} to {self.high:g}"


def _named(*names: str) -> Callable[[str], bool]:
    return lambda quantity: quantity in names


def _begins(start: str) -> Callable[[str], bool]:
    return lambda quantity: quantity.startswith(start)


KL = Gate("KL per unit (nat)", _begins("kl_of_"), 0.3, INFINITY)
OWN = Gate("|corr| on its own axis", _begins("correlation_"), 0.97, INFINITY)
CROSS = Gate("|corr| across", _named("cross_correlation"), -INFINITY, 0.15)
ANGLE = Gate("angle to the axes (deg)", _named("angle"), -INFINITY, 10)
ACCURACY = Gate("cluster accuracy", _named("accuracy"), 0.99, INFINITY)
ISOMETRY = Gate("isometry ratio", _begins("isometry_"), 1.9, 2.1)
PSI4 = Gate("psi4", _named("psi4"), 0.95, INFINITY)
COSINE = Gate("|cos| of the directions", _named("cosine"), -INFINITY, 0.1)
CANONICAL = Gate("smallest canonical corr²", _begins("canonical_"), 0.97, INFINITY)
ALIGNED = Gate("|corr| after the best rotation", _begins("aligned_"), 0.97, INFINITY)
STRONGEST = Gate("KL of the strongest unit (nat)", _named("kl_strongest"), 0.3, INFINITY)
TOTAL = Gate("KL of all units (nat)", _named("kl_total"), 0.3, INFINITY, judged=False)
ACTIVE = Gate("active units", _named("active_units"), 1, INFINITY, judged=False)
PROBE = Gate("linear probe", _named("probe_accuracy_means"), 1.0, INFINITY, judged=False)
POSTERIOR = Gate("energy error (z of the data)", _named("energy_error_posterior"), -INFINITY, 0.08)
PRIOR = Gate("energy error (z of the prior)", _named("energy_error_prior"), -INFINITY, 0.06)
HEAT = Gate("specific heat / that of the data", _named("heat_ratio_prior"), 0.75, 1.25)

DISENTANGLED = (KL, OWN, CROSS, ANGLE, ACCURACY, ISOMETRY)
"""What "each latent is an order parameter" means; KL first, since a collapsed network still correlates."""
COLLAPSED = (Gate("KL per unit (nat)", lambda q: q.startswith("kl_") and q[3:].isdigit(), -INFINITY, 0.02),)
"""What "collapsed" means."""
RULE = (0.06, WARN_FRACTION)
"""beta / lam from and below which order parameters should be found."""
BEYOND = 1.1
"""beta / lam from which the latents should be collapsed."""

GATES: dict[str, tuple[Gate, ...]] = {
    SIGNS: DISENTANGLED,
    SPARE: tuple(gate for gate in DISENTANGLED if gate is not CROSS),
    VECTOR: (KL, CANONICAL, ACCURACY._replace(judged=False)),
    CONTINUOUS: (KL, CANONICAL, ALIGNED),
    CLASSES: (KL, ACCURACY),
    LABELS: (TOTAL, ACTIVE, PROBE),
    POINT: (STRONGEST._replace(judged=False), POSTERIOR._replace(judged=False), PRIOR._replace(judged=False)),
    ENERGIES: (STRONGEST, POSTERIOR),
    POINT_ENERGIES: (STRONGEST._replace(judged=False), PRIOR, HEAT._replace(judged=False)),
    HOT_ENERGIES: (STRONGEST._replace(judged=False), PRIOR, HEAT),
    NOTHING: (STRONGEST._replace(judged=False), ACTIVE),
}
"""By subject. What is drawn from the prior of a single phase may well need no latents."""


def gates_of(
    subject: str, settings: AnalyzeBlock, further: Mapping[str, tuple[Gate, ...]] | None = None
) -> tuple[Gate, ...]:
    """The conditions of a subject, with what the study asks for in place of the defaults.

    Confidence and perpendicular directions are gates only where a study asks for them.

    Args:
        subject: one of ``GATES``.
        settings: of the study.
        further: conditions besides these, by subject.
    """
    lows = {
        KL.words: settings.kl, STRONGEST.words: settings.kl, OWN.words: settings.correlation,
        ALIGNED.words: settings.correlation, ACCURACY.words: settings.cluster_accuracy,
        CANONICAL.words: settings.canonical,
    }  # fmt: skip
    energy = settings.energy
    highs = {CROSS.words: settings.cross, ANGLE.words: settings.angle, POSTERIOR.words: energy, PRIOR.words: energy}
    gates = []
    for gate in GATES[subject]:
        low, high = lows.get(gate.words), highs.get(gate.words)
        if gate.words == ISOMETRY.words and settings.isometry is not None:
            low, high = 2 - settings.isometry, 2 + settings.isometry
        gates.append(gate._replace(low=gate.low if low is None else low, high=gate.high if high is None else high))
    if subject in (SIGNS, SPARE):
        gates += [PSI4._replace(low=settings.psi4)] if settings.psi4 is not None else []
        gates += [COSINE._replace(high=settings.cosine)] if settings.cosine is not None else []
    return (*gates, *(further or {}).get(subject, ()))


def is_thermal(subject: str) -> bool:
    """Judged by energies; the scale of beta is then not lam."""
    return subject in (ENERGIES, POINT_ENERGIES, HOT_ENERGIES)


def most_beta(subject: str) -> float:
    """Beta up to which a decoder with correlations is asked for energies: one of several phases trades them for order
    parameters as beta grows."""
    return THERMAL_BETA if subject == ENERGIES else INFINITY
