"""XY model on the periodic square lattice, H = -J sum_<ij> cos(theta_i - theta_j), angles in (-pi, pi].

Each bond counts once per (site, +x) and (site, +y), x along a row and y along a column; P ~ exp(-H / T), k_B = 1.

* ``metropolis``: rotations by random angles, site by site, the largest angle fixed by the temperature.
* ``over-relaxation``: after each such pass REFLECTIONS passes that reflect every spin in its local field.  These keep
  the energy (Creutz, Phys. Rev. D 36, 515 (1987)) and are deterministic, so that they would not be ergodic alone.
* ``swendsen-wang``, ``wolff``: clusters of the Ising spins embedded along a random direction, see
  ``simulators.clusters.embedding``.

Measured beside the magnetizations, per site: the vorticity, sum_p |n_p| / N over plaquettes of winding n_p (for J < 0
of the angles turned by pi on one sublattice); and the means of cos and sin(theta_(i + x) - theta_i), called
``helicity_cosine_x`` and ``helicity_sine_x``, likewise for y.  Of these the helicity modulus is
Upsilon_x = J <cosine_x> - (J^2 N / T) <sine_x^2>, N = L^2 (Teitel and Jayaprakash, Phys. Rev. B 27, 598 (1983)).

Axes: R chains, I rows, J columns, C the two components of a spin, G groups of K lanes.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.chains import ChainSimulation, Lanes, RowMajor, cut, few_chains
from simulators.clusters.single import SITES_PER_CALL, SingleClusters
from simulators.continuous import angles, planar
from simulators.contract import require, rules
from simulators.rng.continuous import LANES, UPDATES_PER_CALL

VERSION = 1
ENCODING = "float32"
LIKELIHOOD = "von-mises"
ORDER_PARAMETERS, MEASURED, JUDGED = angles.order_parameters, angles.measured, angles.judged
ORDERS = partial(angles.orders, directions=1, staggered_directions=1)

WIDTH = 0.8
"""Of the rotations, times sqrt(T / |J|): at low T, where a spin turns by about sqrt(T / 4 |J|), half are taken."""
WIDEST = 2.33
"""Here the mean cosine of a rotation is zero, so that at infinite temperature a sweep forgets all."""
REFLECTIONS = 4
"""Passes of reflections that follow a pass of Metropolis moves."""
RELAXATION = 64
"""Cluster updates of a start.  Each dissolves a wall or a twist along the lattice with a probability near 1/2."""
LARGEST_ANGLE = float(np.nextafter(np.float32(math.pi), np.float32(0)))
"""The last float32 below pi; float32(pi) itself is above it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One parameter point."""

    size: int
    """Rows, and columns, L of the lattice, at least 2; even for an antiferromagnet."""
    coupling: float
    """J; positive is a ferromagnet, negative an antiferromagnet."""
    temperature: float
    """T, in the units of J / k_B; vortices unbind at 0.893 |J|."""

    def __post_init__(self) -> None:
        require(
            rules.at_least("size", self.size, 2),
            rules.two_sublattices(self.size, self.coupling),
            rules.not_zero("coupling", self.coupling),
            rules.positive("temperature", self.temperature),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return 1, self.size, self.size


EXAMPLE = Spec(size=6, coupling=1.0, temperature=0.9)
SYMMETRIES = ("translations", "point-group", "flip")


def refuse(spec: Spec, algorithm: str) -> str | None:
    """None: ``Spec`` refuses frustration, and everything else suits every algorithm."""
    return None


def expected_tau(spec: Spec, algorithm: str) -> float:
    """Rough autocorrelation time, in sweeps; below the transition all lengths up to L are critical."""
    reduced = spec.temperature / abs(spec.coupling)
    length = min(spec.size, math.exp(min(7.0, 1.5 / math.sqrt(max(reduced - 0.89, 0.02)))))
    local = {"metropolis": 1.0 + 0.09 * length**2, "over-relaxation": 4.0 + 0.17 * length}
    return local.get(algorithm, 6.0 if algorithm == "swendsen-wang" else 4.0)


def vectors(angles_RIJ: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Unit vectors x + i y."""
    spins_RIJ: NDArray[np.complex128] = np.cos(angles_RIJ) + 1j * np.sin(angles_RIJ)
    return spins_RIJ


class Metropolis(Lanes):
    """Local rotations of LANES chains side by side.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    lanes: ClassVar[int] = LANES
    nanoseconds: ClassVar[float] = 4.6
    reflections: ClassVar[int] = 0
    """Passes of reflections after each pass of rotations."""

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.float64], rng: np.random.Generator) -> None:
        spins_RIJ = vectors(states_RIJ)
        spins_RIJC = np.stack([spins_RIJ.real, spins_RIJ.imag], axis=-1)
        super().__init__(spec, spins_RIJC, rng)
        self._rule = (
            spec.coupling / spec.temperature,
            min(WIDEST, WIDTH * math.sqrt(spec.temperature / abs(spec.coupling))),
            self.reflections,
        )

    def _spins(self) -> NDArray[np.float64]:
        """(G, I, J, C K) the spins as the kernels read them; the same memory as the base class's (G, I, J, C, K)."""
        return self.states_GIJK.reshape(*self.states_GIJK.shape[:3], -1)

    def advance(self, sweeps: int) -> None:
        """Sweep every chain ``sweeps`` times."""
        spins_GIJX = self._spins()
        sites = self.spec.size**2
        passes = (1 + self.reflections) * sites * LANES
        for g, (spins_IJX, stream_S) in enumerate(zip(spins_GIJX, self.stream_GS, strict=True)):
            held = min(LANES, self.chains - g * LANES)
            for part in cut(sweeps, UPDATES_PER_CALL // passes):
                accepted_K = planar.metropolis(spins_IJX, stream_S, *self._rule, part)
                self.counts_2 += (int(accepted_K[:held].sum()), part * held * sites)

    def states(self) -> NDArray[np.float64]:
        """(R, I, J) angles."""
        x_GIJK, y_GIJK = self.states_GIJK[..., 0, :], self.states_GIJK[..., 1, :]
        angles_GKIJ = np.moveaxis(np.arctan2(y_GIJK, x_GIJK), -1, 1)
        return angles_GKIJ.reshape(-1, self.spec.size, self.spec.size)[: self.chains]

    def sums(self) -> NDArray[np.float64]:
        """(planar.SUMS, R)."""
        return planar.lane_sums(self._spins(), math.copysign(1.0, self.spec.coupling))[:, : self.chains]

    @property
    def cost(self) -> float:
        return self.nanoseconds * (self.states_GIJK.size // 2)


class OverRelaxation(Metropolis):
    """A pass of rotations and REFLECTIONS passes of reflections make a sweep.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 10.0
    reflections: ClassVar[int] = REFLECTIONS


class SwendsenWang(RowMajor):
    """A sweep updates all clusters along one random direction per chain.  States are unit vectors x + i y.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 60.0

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.float64], rng: np.random.Generator) -> None:
        super().__init__(spec, vectors(states_RIJ), rng)

    def advance(self, sweeps: int) -> None:
        """Update all clusters of every chain, ``sweeps`` times."""
        strength, sites = self.spec.coupling / self.spec.temperature, self.spec.size**2
        for spins_RIJ, state_RV in few_chains(self.states_RIJ, self.state_RV, SITES_PER_CALL):
            for part in cut(sweeps, SITES_PER_CALL // (len(spins_RIJ) * sites)):
                self.counts_2[0] += planar.swendsen_wang(pairs(spins_RIJ), state_RV, strength, part)
        self.counts_2[1] += sweeps * self.states_RIJ.size

    def states(self) -> NDArray[np.float64]:
        """(R, I, J) angles."""
        return np.angle(self.states_RIJ)

    def sums(self) -> NDArray[np.float64]:
        """(planar.SUMS, R)."""
        return planar.pair_sums(
            self.states_RIJ.view(np.float64).reshape(*self.states_RIJ.shape, 2), math.copysign(1.0, self.spec.coupling)
        )


class Wolff(SingleClusters):
    """Single clusters, each along a random direction of its own.  States are unit vectors x + i y.

    ``latentphase bench --only simulators`` measures ``nanoseconds``.
    """

    nanoseconds: ClassVar[float] = 53.0
    states = SwendsenWang.states
    sums = SwendsenWang.sums

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.float64], rng: np.random.Generator) -> None:
        super().__init__(spec, vectors(states_RIJ), rng)

    def grow(self, states_RIJ: NDArray[Any], state_RV: NDArray[np.uint64], clusters: int) -> tuple[int, int]:
        """Reflect ``clusters`` clusters of every chain, in place; returns their sites, which are those reflected."""
        strength = self.spec.coupling / self.spec.temperature
        reflected = int(planar.wolff(pairs(states_RIJ), state_RV, strength, clusters))
        return reflected, reflected


def pairs(spins_RIJ: NDArray[np.complex128]) -> NDArray[np.float64]:
    """(R, N, 2) the same memory as pairs x, y."""
    return spins_RIJ.view(np.float64).reshape(len(spins_RIJ), -1, 2)


class Simulation(ChainSimulation):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``.

    Raises:
        ValueError: an algorithm that is not offered, or no chains.
    """

    kinds: ClassVar[dict[str, Any]] = {
        "metropolis": Metropolis,
        "over-relaxation": OverRelaxation,
        "swendsen-wang": SwendsenWang,
        "wolff": Wolff,
    }

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
        """(R, I, J) angles.

        Hot chains are relaxed by clusters, or else some would stay twisted at low temperatures: turning once on the
        way around the lattice.  Ordered ones have one angle, opposite on the sublattices of an antiferromagnet.
        """
        chains, size = len(hot), spec.size
        angles_RIJ = rng.uniform(-math.pi, math.pi, (chains, size, size))
        turned_IJ = np.indices((size, size)).sum(axis=0) % 2 if spec.coupling < 0 else np.zeros((size, size))
        angles_RIJ[~hot] = angles_RIJ[~hot, :1, :1] + math.pi * turned_IJ
        if hot.any():
            updates = SwendsenWang(spec, angles_RIJ[hot], rng)
            updates.advance(RELAXATION)
            angles_RIJ[hot] = updates.states()
        return angles_RIJ

    def configurations(self) -> NDArray[np.float32]:
        """(R, 1, I, J) angles in (-pi, pi]."""
        angles_RIJ = self.updates.states().astype(np.float32)
        return np.clip(angles_RIJ, -LARGEST_ANGLE, LARGEST_ANGLE, out=angles_RIJ)[:, None]

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """What ``ORDER_PARAMETERS`` and ``MEASURED`` name, beside the energy; (R,) each and per site."""
        updates: Any = self.updates
        mx, my, sx, sy, cosine_x, sine_x, cosine_y, sine_y, vortices = updates.sums() / self.spec.size**2
        values = {
            "energy": -self.spec.coupling * (cosine_x + cosine_y),
            "magnetization_x": mx,
            "magnetization_y": my,
            "staggered_magnetization_x": sx,
            "staggered_magnetization_y": sy,
            "magnetization": np.hypot(mx, my),
            "staggered_magnetization": np.hypot(sx, sy),
            "vorticity": vortices,
        } | dict(zip(angles.HELICITY, (cosine_x, sine_x, cosine_y, sine_y), strict=True))
        return {name: values[name] for name in ("energy", *ORDER_PARAMETERS(self.spec), *MEASURED(self.spec))}


ALGORITHMS = tuple(Simulation.kinds)
