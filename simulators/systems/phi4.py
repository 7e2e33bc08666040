"""Scalar field with a quartic term on the periodic square lattice, weight exp(-S) with

S = sum_i [ -2 kappa sum_mu phi_i phi_(i + mu) + (1 - 2 lambda) phi_i^2 + lambda phi_i^4 ].

Each bond counts once per (site, +x) and (site, +y).  There is no temperature: ``energy`` is S per site, and parallel
tempering runs over kappa.  lambda -> infinity is the Ising model with J / T = 2 kappa.

* ``metropolis``: two proposals per site, one near phi and one near -phi, at a distance that kappa and lambda fix.
* ``swendsen-wang``, ``wolff``: clusters of the embedded Ising spins sign(phi), followed by a Metropolis pass, since
  clusters leave |phi| as it is (Brower and Tamayo, Phys. Rev. Lett. 62, 1087 (1989)).

Measured beside the magnetizations, means over sites: ``square`` phi_i^2 and ``hopping_term`` sum_mu phi_i phi_(i + mu).

Axes: R chains, I rows, J columns.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.chains import ChainSimulation, Lanes, RowMajor, cut, few_chains
from simulators.clusters.single import SITES_PER_CALL, SingleClusters
from simulators.continuous import scalar_field
from simulators.continuous.scalar_field import HITS, Rule
from simulators.continuous.single_site import alone, site
from simulators.contract import require, rules
from simulators.rng.continuous import LANES, UPDATES_PER_CALL

VERSION = 1
ENCODING = "float32"
LIKELIHOOD = "gaussian"
LADDER = "hopping"
MEASURED = ("square", "hopping_term")

WIDTH = 4.0
"""Of the proposals, in standard deviations of |phi| at one site: about half of those near phi are taken."""
RELAXATION = 64
"""Sweeps that relax a start.  Each one of clusters dissolves a wall around the lattice with a probability near 1/2."""
LARGEST_HOPPING, LEAST_QUARTIC, LARGEST_QUARTIC = 1e6, 1e-12, 1e9
"""Beyond these a double cannot hold the terms of S together; lambda = 10^9 is the Ising model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One parameter point."""

    size: int
    """Rows, and columns, L of the lattice, at least 2; even where kappa is negative."""
    hopping: float
    """kappa; without a quartic term below 1/4 in magnitude."""
    quartic: float
    """lambda, from 0 to 10^9."""

    def __post_init__(self) -> None:
        # The Gaussian model's modes cost 1 - 2 kappa (cos p_x + cos p_y), least 1 - 4 |kappa|; on L = 2 as well, where
        # p = 0, pi and each pair of neighbours has two bonds.
        bounded = self.quartic >= LEAST_QUARTIC or 4 * abs(self.hopping) < 1
        require(
            rules.at_least("size", self.size, 2),
            rules.two_sublattices(self.size, self.hopping, "hopping"),
            (
                abs(self.hopping) <= LARGEST_HOPPING,
                "hopping",
                f"must be at most {LARGEST_HOPPING:g} in magnitude, got {self.hopping}",
            ),
            (
                bounded,
                "hopping",
                "must be between -1/4 and 1/4 without a quartic term (of 1e-12 at least), or the weight is unbounded, "
                f"got {self.hopping}",
            ),
            (
                0 <= self.quartic <= LARGEST_QUARTIC,
                "quartic",
                f"must not be negative, or the weight is unbounded, and at most {LARGEST_QUARTIC:g}, "
                f"got {self.quartic}",
            ),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return 1, self.size, self.size


EXAMPLE = Spec(size=6, hopping=0.25, quartic=0.5)
SYMMETRIES = ("translations", "point-group", "flip")


def ORDER_PARAMETERS(spec: Spec) -> tuple[str, ...]:
    """<phi>, and the staggered one where the lattice has sublattices."""
    return ("magnetization",) if spec.size % 2 else ("magnetization", "staggered_magnetization")


def JUDGED(spec: Spec) -> tuple[str, ...]:
    """What phi -> -phi leaves as it is."""
    return ("energy", *(f"abs_{name}" for name in ORDER_PARAMETERS(spec)), "square")


def refuse(spec: Spec, algorithm: str) -> str | None:
    """None: ``Spec`` refuses frustration and unbounded weights, and everything else suits every algorithm."""
    return None


def expected_tau(spec: Spec, algorithm: str) -> float:
    """Rough autocorrelation time, in sweeps; the transition is at |kappa| between 0.22 and 0.31."""
    distance = max(1e-3, abs(abs(spec.hopping) - 0.27) - 0.05)
    return 2.0 + 0.2 * min(spec.size, 0.3 / distance) ** 2 if algorithm == "metropolis" else 8.0


def ordered_value(spec: Spec) -> float:
    """|phi| of the constant field of least S, but no less than at kappa = 0."""
    excess = 4 * abs(spec.hopping) - (1 - 2 * spec.quartic)
    least = excess / (2 * spec.quartic) if spec.quartic > 0 and excess > 0 else 0.0
    return math.sqrt(max(least, alone(spec.quartic).mean(2)))


def rule(spec: Spec) -> Rule:
    """What the kernels read; the width fits |phi| of a site whose neighbours are ordered."""
    value = ordered_value(spec)
    in_field = site(spec.quartic, 8 * abs(spec.hopping) * value, 2 * value + 10.0)
    deviation = math.sqrt(max(in_field.mean(2) - in_field.mean(1) ** 2, 1e-30 * value**2))
    return Rule(float(spec.hopping), float(spec.quartic), WIDTH * deviation)


class Metropolis(Lanes):
    """Local proposals for LANES chains side by side, HITS of them per site.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    lanes: ClassVar[int] = LANES
    nanoseconds: ClassVar[float] = 7.5

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.float64], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        self._rule = rule(spec)

    def advance(self, sweeps: int) -> None:
        """Sweep every chain ``sweeps`` times."""
        proposals = HITS * self.spec.size**2
        for g, (phi_IJK, stream_S) in enumerate(zip(self.states_GIJK, self.stream_GS, strict=True)):
            held = min(LANES, self.chains - g * LANES)
            for part in cut(sweeps, UPDATES_PER_CALL // (proposals * LANES)):
                accepted_K = scalar_field.metropolis(phi_IJK, stream_S, self._rule, part)
                self.counts_2 += (int(accepted_K[:held].sum()), part * held * proposals)

    def sums(self) -> NDArray[np.float64]:
        """(scalar_field.SUMS, R)."""
        return scalar_field.lane_sums(self.states_GIJK)[:, : self.chains]


class SwendsenWang(RowMajor):
    """A sweep turns all clusters with probability 1/2 each, then makes a Metropolis pass.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 84.0

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.float64], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        self._rule = rule(spec)

    def advance(self, sweeps: int) -> None:
        """Sweep every chain ``sweeps`` times."""
        self.counts_2 += sweep_clusters(self.states_RIJ, self.state_RV, self._rule, 0, sweeps)

    def sums(self) -> NDArray[np.float64]:
        """(scalar_field.SUMS, R)."""
        return scalar_field.row_sums(self.states_RIJ)


class Wolff(SingleClusters):
    """A sweep turns a fixed number of single clusters, then makes a Metropolis pass.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 108.0
    sums = SwendsenWang.sums

    def prepare(self, spec: Spec) -> None:
        """The rule of clusters and Metropolis pass."""
        self._rule = rule(spec)

    def grow(self, states_RIJ: NDArray[Any], state_RV: NDArray[np.uint64], clusters: int) -> tuple[int, int]:
        """Turn ``clusters`` clusters of every chain and make a pass, in place; returns the clusters' sites, twice."""
        turned = scalar_field.cluster_sweeps(states_RIJ, state_RV, self._rule, clusters, 1)
        return int(turned), int(turned)

    def advance(self, sweeps: int) -> None:
        """Sweep every chain ``sweeps`` times."""
        each = int(self.clusters_1[0])
        self.counts_2 += sweep_clusters(self.states_RIJ, self.state_RV, self._rule, each, sweeps)


def sweep_clusters(
    states_RIJ: NDArray[np.float64], state_RV: NDArray[np.uint64], rule: Rule, single: int, sweeps: int
) -> tuple[int, int]:
    """``scalar_field.cluster_sweeps`` in short calls; returns the sites turned by clusters, and sites times sweeps."""
    turned = 0
    for few_RIJ, few_RV in few_chains(states_RIJ, state_RV, SITES_PER_CALL):
        for part in cut(sweeps, SITES_PER_CALL // few_RIJ.size):
            turned += scalar_field.cluster_sweeps(few_RIJ, few_RV, rule, single, part)
    return turned, sweeps * states_RIJ.size


class Simulation(ChainSimulation):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``.

    Raises:
        ValueError: an algorithm that is not offered, or no chains.
    """

    kinds: ClassVar[dict[str, Any]] = {"metropolis": Metropolis, "swendsen-wang": SwendsenWang, "wolff": Wolff}

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
        """(R, I, J) fields.

        Hot chains are sites as at kappa = 0, relaxed by clusters, or else some would keep stripes.  Ordered ones are a
        constant of either sign, staggered for a negative kappa, relaxed by local moves: fluctuations lower |phi| from
        its mean-field value, and single clusters would be huge until then.
        """
        chains, size = len(hot), spec.size
        free = alone(spec.quartic)
        shares_RIJ = rng.random((chains, size, size))
        phi_RIJ = np.interp(shares_RIJ, np.cumsum(free.weights_X), free.values_X) * signs(rng, shares_RIJ.shape)
        parity_IJ = np.indices((size, size)).sum(axis=0) % 2
        ordered_IJ = ordered_value(spec) * np.where((parity_IJ == 1) & (spec.hopping < 0), -1.0, 1.0)
        phi_RIJ[~hot] = (signs(rng, (chains, 1, 1)) * ordered_IJ)[~hot]
        for kind, chosen in ((SwendsenWang, hot), (Metropolis, ~hot)):
            if chosen.any():
                updates = kind(spec, phi_RIJ[chosen], rng)
                updates.advance(RELAXATION)
                phi_RIJ[chosen] = updates.states()
        return phi_RIJ

    def configurations(self) -> NDArray[np.float32]:
        """(R, 1, I, J) fields."""
        return self.updates.states().astype(np.float32)[:, None]

    def _sums(self) -> NDArray[np.float64]:
        """(scalar_field.SUMS, R)."""
        updates: Any = self.updates
        sums_QR: NDArray[np.float64] = updates.sums()
        return sums_QR

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """What ``ORDER_PARAMETERS`` and ``MEASURED`` name, beside the energy; (R,) each and per site."""
        means_QR = self._sums() / self.spec.size**2
        values = {
            "energy": action(self.spec, means_QR),
            "magnetization": means_QR[0],
            "staggered_magnetization": means_QR[1],
            "square": means_QR[2],
            "hopping_term": means_QR[4],
        }
        return {name: values[name] for name in ("energy", *ORDER_PARAMETERS(self.spec), *MEASURED)}

    def reduced_energy(self, spec: Spec) -> NDArray[np.float64]:
        """(R,) S of the current states with the kappa and lambda of ``spec``."""
        return action(spec, self._sums())


def action(spec: Spec, sums_QR: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) S of states that have these sums; S per site from means."""
    _, _, square_R, fourth_R, hopping_R = sums_QR
    onsite_R = (1 - 2 * spec.quartic) * square_R + spec.quartic * fourth_R
    return np.asarray(onsite_R - 2 * spec.hopping * hopping_R)


ALGORITHMS = tuple(Simulation.kinds)


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """1 or -1."""
    return rng.choice(np.array([-1.0, 1.0]), size=shape)
