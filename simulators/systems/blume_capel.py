"""Blume-Capel model on the periodic square lattice, H = -J sum_<ij> s_i s_j + D sum_i s_i^2 with s in {-1, 0, 1}.

Each bond counts once; P ~ exp(-H / T), so a positive crystal field D favours vacancies, s = 0.  k_B = 1.

With D the transition to the magnet moves from T = 2.269 |J| at D = -infinity, where no site is vacant and the model
is Ising's, to 1.694 |J| at D = 0.  Beyond a tricritical point near D = 1.966 |J|, T = 0.609 |J| it is of first order,
up to D = 2 |J| at T = 0: there both phases live long, and hot and ordered starts may disagree for as long as one can
wait.  Clusters turn magnets over; they don't make vacancies, and don't help across this line.

``metropolis`` and ``heat-bath`` update 64 chains per instruction, site by site.  ``swendsen-wang`` and ``wolff`` turn
clusters of the Ising spins on the sites that are not vacant, then sweep once by heat bath, which makes the vacancies.

Axes: R chains, I rows, J columns; G groups of K lanes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators.chains import ChainSimulation, RowMajor, few_chains
from simulators.clusters import swendsen_wang as clusters
from simulators.clusters import wolff
from simulators.contract import require, rules
from simulators.discrete import spin_one
from simulators.discrete.local import Local

VERSION = 1
MEASURED = ("quadrupole",)
ENCODING = "int8"
LIKELIHOOD = "multinomial"
STATES = range(-1, 2)

CLUSTER_SITES_PER_CALL = 2**23
"""Limit of one kernel call, well below a second of work: between calls Python can be interrupted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One parameter point."""

    size: int
    """Rows, and columns, L of the lattice; even for an antiferromagnet, which no odd one fits."""
    coupling: float
    """J; positive is a ferromagnet, negative an antiferromagnet."""
    crystal_field: float = 0.0
    """D, in the units of J: the energy of a site that is not vacant."""
    temperature: float
    """T, in the units of J / k_B."""

    def __post_init__(self) -> None:
        require(
            rules.at_least("size", self.size, 2),
            rules.two_sublattices(self.size, self.coupling),
            rules.not_zero("coupling", self.coupling),
            rules.finite("crystal_field", self.crystal_field),
            rules.positive("temperature", self.temperature),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return 1, self.size, self.size


EXAMPLE = Spec(size=6, coupling=1.0, crystal_field=0.5, temperature=1.6)
SYMMETRIES = ("translations", "point-group", "flip")


def ORDER_PARAMETERS(spec: Spec) -> tuple[str, ...]:
    """The staggered magnetization is one where the lattice has two sublattices."""
    return ("magnetization", "staggered_magnetization") if spec.size % 2 == 0 else ("magnetization",)


def JUDGED(spec: Spec) -> tuple[str, ...]:
    """Energy, magnitudes of the order parameters, and the share of sites that are not vacant."""
    return ("energy", *(f"abs_{name}" for name in ORDER_PARAMETERS(spec)), "quadrupole")


def expected_tau(spec: Spec, algorithm: str = "metropolis") -> float:
    """Rough autocorrelation time in sweeps, for estimates of cost only: as the Ising model's, with a transition that
    is put at T = 1.7 |J| sqrt(1 - D / 2 |J|), but not beyond 2.27 |J|."""
    unit = abs(spec.coupling)
    critical = min(2.27, 1.7 * math.sqrt(max(0.03, 1 - spec.crystal_field / (2 * unit))))
    distance = abs(spec.temperature / unit - critical) / critical
    length = min(spec.size, 1.0 / max(distance, 1e-3))
    if algorithm == "metropolis":
        return 0.5 + length**2.17 / 25
    if algorithm == "heat-bath":
        return 0.5 + length**2.17 / 30
    return 0.5 + (1.3 if algorithm == "swendsen-wang" else 0.8) * length**0.22


class SingleSites(Local):
    """Updates of single sites, in 64 chains at a time; a subclass defines the ``table`` of its rule."""

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        thresholds_T2 = self.table(spec)
        self.rule = (thresholds_T2, spin_one.packed(thresholds_T2), spec.size)

    @staticmethod
    def table(spec: Spec) -> NDArray[np.uint64]:
        """(27, 2) as ``spin_one.thresholds`` makes it."""
        raise NotImplementedError

    def sweep(self, states_GX: NDArray[np.uint8], stream_GS: NDArray[np.uint64], sweeps: int) -> None:
        spin_one.sweep_lanes(states_GX.view(np.int8), stream_GS, *self.rule, sweeps)

    def sums(self) -> NDArray[np.int64]:
        """(4, R) as ``spin_one.sums`` has them."""
        return spin_one.sums(self.states_GIJK).reshape(4, -1)[:, : self.chains]


class Metropolis(SingleSites):
    """Each site is proposed either of the other two values; acceptance is the share of sites that change."""

    nanoseconds = 1.0
    """Cost of one site and sweep, as ``latentphase bench --only simulators`` measures it; all 64 lanes of a group cost
    it, in use or not."""

    @staticmethod
    def table(spec: Spec) -> NDArray[np.uint64]:
        return spin_one.metropolis(spec.coupling, spec.crystal_field, spec.temperature)


class HeatBath(SingleSites):
    """Each site takes a value with its Boltzmann weight; acceptance is the share of sites that change."""

    nanoseconds = 1.0
    """As that of ``Metropolis``, whose kernel it shares."""

    @staticmethod
    def table(spec: Spec) -> NDArray[np.uint64]:
        return spin_one.heat_bath(spec.coupling, spec.crystal_field, spec.temperature)


class SwendsenWang(RowMajor):
    """All clusters of every chain, then a heat-bath sweep; as acceptance, spins turned per site and update."""

    nanoseconds = 23.0
    """Cost of one site and sweep, as ``latentphase bench --only simulators`` measures it."""

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        super().__init__(spec, states_RIJ, rng)
        self.table_T2 = HeatBath.table(spec)

    def advance(self, sweeps: int) -> None:
        """Update every chain, ``sweeps`` times."""
        spec = self.spec
        bond = clusters.bond_threshold(2 * abs(spec.coupling) / spec.temperature)
        rule = (bond, int(math.copysign(1, spec.coupling)), 0.0, 1.0, 1)
        for states_RIJ, state_RV in few_chains(self.states_RIJ, self.state_RV, CLUSTER_SITES_PER_CALL):
            for _ in range(sweeps):
                self.counts_2[0] += clusters.swendsen_wang(states_RIJ, state_RV, *rule)
                spin_one.sweep_rows(states_RIJ, state_RV, self.table_T2)
        self.counts_2[1] += sweeps * self.states_RIJ.size

    def sums(self) -> NDArray[np.int64]:
        """As those of ``SingleSites``."""
        return spin_one.sums(self.states_RIJ[..., None])[..., 0]


class Wolff(wolff.TableClusters):
    """About as many single clusters per sweep as visit every site once, then a heat-bath sweep."""

    nanoseconds = 19.0
    """Cost of one site and sweep, as ``latentphase bench --only simulators`` measures it."""

    @staticmethod
    def reflections(spec: Spec) -> wolff.Reflections:
        """The one reflection s -> -s."""
        s_S = np.array(spin_one.VALUES, dtype=np.float64)
        turned_KS = np.array([[1, 0, -1]], dtype=np.int8)
        return wolff.reflections(-spec.coupling * np.outer(s_S, s_S), turned_KS, spec.temperature, -1)

    def prepare(self, spec: Spec) -> None:
        super().prepare(spec)
        self.table_T2 = HeatBath.table(spec)

    def grow(self, states_RIJ: NDArray[np.int8], state_RV: NDArray[np.uint64], clusters: int) -> tuple[int, int]:
        grown = super().grow(states_RIJ, state_RV, clusters)
        spin_one.sweep_rows(states_RIJ, state_RV, self.table_T2)
        return grown

    def advance(self, sweeps: int) -> None:
        """Grow ``sweeps`` times the fixed number of clusters in every chain, with a heat-bath sweep after each."""
        for states_RIJ, state_RV in few_chains(self.states_RIJ, self.state_RV, CLUSTER_SITES_PER_CALL):
            for _ in range(sweeps):
                self.counts_2[0] += self.grow(states_RIJ, state_RV, int(self.clusters_1[0]))[1]
        self.counts_2[1] += sweeps * self.states_RIJ.size

    def sums(self) -> NDArray[np.int64]:
        """As those of ``SingleSites``."""
        return spin_one.sums(self.states_RIJ[..., None])[..., 0]


class Simulation(ChainSimulation):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``."""

    kinds: ClassVar[Mapping[str, type[Any]]] = {
        "metropolis": Metropolis,
        "heat-bath": HeatBath,
        "swendsen-wang": SwendsenWang,
        "wolff": Wolff,
    }
    updates: Metropolis | HeatBath | SwendsenWang | Wolff

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
        """(R, I, J) starts; hot ones have all values alike, relaxed by clusters so that no stripes are left.

        The others are in a ground state: either magnet, drawn at random, where D <= 2 |J|, all sites vacant beyond.
        """
        chains, size = len(hot), spec.size
        states_RIJ = rng.integers(-1, 2, (chains, size, size), dtype=np.int8)
        sign_R = np.where(rng.integers(0, 2, chains, dtype=np.int8) > 0, 1, -1).astype(np.int8)
        parity_IJ = np.indices((size, size)).sum(axis=0) % 2
        magnet_IJ = np.ones_like(parity_IJ) if spec.coupling > 0 else 1 - 2 * parity_IJ
        occupied = spec.crystal_field <= 2 * abs(spec.coupling)
        states_RIJ[~hot] = occupied * sign_R[~hot, None, None] * magnet_IJ
        if hot.any():
            updates = SwendsenWang(spec, states_RIJ[hot], rng)
            # As in ``ising.relaxation``: each update halves the number of domains, and dissolves half of the stripes.
            updates.advance(math.ceil(2 * math.log2(size)) + 20)
            states_RIJ[hot] = updates.states()
        return states_RIJ

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """(R,) energy, magnetizations and quadrupole <s^2>, per site."""
        bonds_R, spin_R, staggered_R, square_R = self.updates.sums() / self.spec.size**2
        energy_R = -self.spec.coupling * bonds_R + self.spec.crystal_field * square_R
        values = {"energy": energy_R, "magnetization": spin_R, "staggered_magnetization": staggered_R}
        return {name: values[name] for name in ("energy", *ORDER_PARAMETERS(self.spec))} | {"quadrupole": square_R}


ALGORITHMS = tuple(Simulation.kinds)
