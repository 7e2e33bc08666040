"""Certificates: evidence that samples can be trusted, and the rules that judge it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from simulators.contract import SIGN
from simulators.sampling import autocorrelation

LARGEST_R_HAT = 1.05
FEWEST_EFFECTIVE_SAMPLES = 100
LARGEST_START_Z = 5.0
"""False alarm of a sampler that has mixed: 5.7e-7 per quantity, see ``autocorrelation.start_z``."""
FEWEST_SIGN_ERRORS = 5.0
"""Average sign in units of its error below which ratios with it mean nothing."""


class Summary(NamedTuple):
    """One observable over all chains and measurements."""

    mean: float
    error: float
    """Standard error from the spread of the chains' means."""
    tau_int: float
    """Integrated autocorrelation time, in sweeps; 1/2 of the interval between measurements at least."""
    effective_samples: float
    r_hat: float
    start_z: float
    """Hot against ordered starts, in standard deviations."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """How the samples of one spec were made and whether they can be trusted."""

    observables: dict[str, Summary]
    """``energy``, every order parameter, and ``abs_`` its magnitude, which mixes where the sign cannot."""
    acceptance: float
    """As the simulation defines it."""
    thermalization: int
    """Sweeps before the first measurement counted from."""
    spacing: int
    """Sweeps between measurements."""
    attempts: int
    """How often the samples were measured: 1, or more where automatic lengths had to be doubled."""
    algorithm: str
    choice: str
    """Why this algorithm; empty if the study named it."""
    tempering: dict[str, Any] | None
    """Share of exchanges taken between each point of the ladder and the next, and round trips; None without."""
    chains: int
    measurements: int
    """Measurements of each chain; the kept samples are a part of them."""
    converged: bool
    """False if an automatic length hit its cap before the autocorrelation time was known."""
    certified: bool
    reasons: list[str]
    """Why not certified; empty if it is."""
    numerics: dict[str, float] = field(default_factory=dict)
    """The simulation's numbers on rounding and the like; left out of the JSON if empty."""

    def to_json(self) -> dict[str, Any]:
        """Plain finite numbers, strings, lists and dictionaries."""
        values = asdict(self)
        values["observables"] = {name: summary._asdict() for name, summary in self.observables.items()}
        if not self.numerics:
            del values["numerics"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``."""
        observables = {name: Summary(**summary) for name, summary in values["observables"].items()}
        return cls(**{**values, "observables": observables})


def summaries(
    series: Mapping[str, NDArray[np.float64]], hot_R: NDArray[np.bool_], tau_int: Mapping[str, float], signed: bool
) -> dict[str, Summary]:
    """Summaries of all observables, with the sign of the weights where one is negative.

    Args:
        series: x_RT of each observable, R >= 4 chains with T >= 2 measurements each.
        hot_R: which chains started at infinite temperature.
        tau_int: of each observable, in sweeps.
        signed: whether weights may be negative; the column ``sign`` then tells.
    """
    sign_RT = series[SIGN] if signed else np.ones(1)
    if (sign_RT == 1).all():
        return {name: summarize(x_RT, hot_R, tau_int[name]) for name, x_RT in series.items()}
    return {
        name: summarize(x_RT, hot_R, tau_int[name])
        if name == SIGN
        else summarize_signed(x_RT, sign_RT, hot_R, tau_int[name])
        for name, x_RT in series.items()
    }


def summarize(x_RT: NDArray[np.float64], hot_R: NDArray[np.bool_], tau_int: float) -> Summary:
    """Summary of R >= 4 chains with T >= 2 measurements each; ``tau_int`` in sweeps."""
    mean = autocorrelation.mean_over_chains(x_RT)
    return Summary(
        mean=mean.mean,
        error=mean.error,
        tau_int=tau_int,
        effective_samples=mean.effective_samples,
        r_hat=autocorrelation.r_hat(x_RT),
        start_z=autocorrelation.start_z(x_RT, hot_R),
    )


def summarize_signed(
    x_RT: NDArray[np.float64], sign_RT: NDArray[np.float64], hot_R: NDArray[np.bool_], tau_int: float
) -> Summary:
    """The same of <x sign> / <sign>, with the jackknife's error over the chains.

    The rest is that of the series mean + (x - mean) sign / <sign>, whose mean is the ratio, and whose chains scatter
    as the ratio does.
    """
    signed_R, sign_R = (x_RT * sign_RT).mean(axis=1), sign_RT.mean(axis=1)
    # A sign that cancels altogether leaves no average; the certificate says so, and its numbers stay finite.
    least = 1.0 / sign_RT.size
    total = _away_from_zero(sign_R.sum(), least)
    mean = float(signed_R.sum() / total)
    without_R = (signed_R.sum() - signed_R) / _away_from_zero(sign_R.sum() - sign_R, least)
    chains = len(without_R)
    error = float(np.sqrt((chains - 1) / chains * ((without_R - without_R.mean()) ** 2).sum()))
    linear = summarize(mean + (x_RT - mean) * sign_RT * (chains / total), hot_R, tau_int)
    return linear._replace(mean=mean, error=error)


def _away_from_zero(x: Any, least: float) -> Any:
    return np.where(np.abs(x) < least, least, x)


def objections(observables: Mapping[str, Summary], judged: tuple[str, ...], converged: bool) -> list[str]:
    """Everything that speaks against the samples; ``judged`` names the observables that must have mixed."""
    texts = []
    sign = observables.get(SIGN)
    if sign is not None and abs(sign.mean) < FEWEST_SIGN_ERRORS * sign.error:
        texts.append(
            f"the average sign is {sign.mean:.2g} +- {sign.error:.1g}, less than {FEWEST_SIGN_ERRORS:g} errors: no "
            "average over it means anything"
        )
    if not converged:
        texts.append("the run hit its cap before it was 20 autocorrelation times long")
    for name in judged:
        summary = observables[name]
        if summary.r_hat > LARGEST_R_HAT:
            texts.append(f"R-hat of {name} is {summary.r_hat:.3g}, above {LARGEST_R_HAT}")
        if summary.effective_samples < FEWEST_EFFECTIVE_SAMPLES:
            texts.append(
                f"{name} has {summary.effective_samples:.0f} effective samples, fewer than {FEWEST_EFFECTIVE_SAMPLES}"
            )
        if abs(summary.start_z) > LARGEST_START_Z:
            texts.append(f"hot and ordered starts differ in {name} by {summary.start_z:+.1f} standard deviations")
    return texts
