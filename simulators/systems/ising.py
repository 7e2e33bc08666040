"""Ising model on the periodic square lattice, H = -J sum_<ij> s_i s_j + h sum_i s_i with s = +-1.

Each bond counts once; P ~ exp(-H / T), so a positive field favours s = -1.  k_B = 1.

``metropolis`` turns over 64 replicas per machine word: one sweep proposes every even site, then every odd site,
and takes a move that costs dH > 0 with probability exp(-dH / T), exact to 2^-64.  Turning s_i over costs
dH = 2 s_i (J n_i - h), n_i the sum of its neighbours.  ``swendsen-wang`` updates all clusters of every chain, where
in a field each takes its direction by heat bath.  ``wolff`` grows single clusters and turns them over; in a field
only with the Metropolis probability of its cost, which is what a ghost spin does that all spins are bound to.

Axes as in ``simulators.discrete.checkerboard``: W words, R chains, I rows, J columns, H columns of one colour.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from simulators.chains import Arrays, ChainSimulation, RowMajor, cut, few_chains
from simulators.clusters import swendsen_wang as clusters
from simulators.clusters import wolff
from simulators.contract import BondSum, ExactEnergy, require, rules
from simulators.discrete import checkerboard, multispin
from simulators.discrete import ising_metropolis as metropolis
from simulators.reference import exact
from simulators.rng import lanes

VERSION = 2
ORDER_PARAMETERS = ("magnetization", "staggered_magnetization")
ENCODING = "bits"
LIKELIHOOD = "bernoulli"

FLIPS_PER_CALL = 2**31
SPINS_PER_CALL = 2**23
"""Limit of one kernel call, well below a second of work: between calls Python can be interrupted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One parameter point."""

    size: int
    """Rows, and columns, L of the lattice; even, so that the antiferromagnet fits."""
    coupling: float
    """J; positive is a ferromagnet, negative an antiferromagnet."""
    field: float = 0.0
    """h, in the units of J."""
    temperature: float
    """T, in the units of J / k_B; without a field the infinite lattice orders below 2 |J| / ln(1 + sqrt 2)."""

    def __post_init__(self) -> None:
        require(
            (self.size >= 4 and self.size % 2 == 0, "size", f"must be even and at least 4, got {self.size}"),
            rules.not_zero("coupling", self.coupling),
            rules.finite("field", self.field),
            rules.positive("temperature", self.temperature),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return 1, self.size, self.size


EXAMPLE = Spec(size=6, coupling=1.0, field=0.1, temperature=2.5)


def SYMMETRIES(spec: Spec) -> tuple[str, ...]:
    """A field tells the two directions of a spin apart."""
    return ("translations", "point-group") if spec.field else ("translations", "point-group", "flip")


def EXACT_ENERGY(spec: Spec) -> ExactEnergy | None:
    """Of the finite lattice, where there is no field."""
    return None if spec.field else exact.ising(spec.size, spec.size, float(spec.temperature), float(spec.coupling))


def CRITICAL_TEMPERATURE(spec: Spec) -> float | None:
    """A field leaves no transition of the ferromagnet, and moves that of the antiferromagnet."""
    return None if spec.field else exact.ISING_CRITICAL_TEMPERATURE * abs(spec.coupling)


def BOND_SUM(spec: Spec) -> BondSum | None:
    """A field is no bond."""
    return None if spec.field else BondSum(float(spec.coupling), product_bonds)


def product_bonds(spin_SCHW: NDArray[Any]) -> NDArray[np.float64]:
    """(S,) mean over sites of s_i s_(i + x) + s_i s_(i + y): -energy per site over J.

    Axes: S samples, C one feature, H rows, W columns.
    """
    spin = np.asarray(spin_SCHW, dtype=float)
    pairs = spin * (np.roll(spin, -1, -1) + np.roll(spin, -1, -2))
    return np.asarray(pairs.mean(axis=(1, 2, 3)))


def refuse(spec: Spec, algorithm: str) -> str | None:
    """Clusters of an antiferromagnet need the order that they turn over: a strong field leaves none, and cold chains
    keep the clusters that formed on the way."""
    if algorithm != "metropolis" and spec.coupling < 0 and abs(spec.field) >= 4 * abs(spec.coupling):
        return f"clusters of an antiferromagnet need |h| < 4 |J|, got h = {spec.field}; take metropolis"
    return None


def expected_tau(spec: Spec, algorithm: str = "metropolis") -> float:
    """Rough autocorrelation time in sweeps, for estimates of cost only.

    Metropolis: L^2.17 / 39 at the transition (43.8 at L = 32), cut off by a correlation length that falls with the
    distance from it.  Clusters: nearly constant, but slowed down where the field acts on whole clusters.
    """
    distance = abs(spec.temperature / abs(spec.coupling) - 2.27) / 2.27
    length = min(spec.size, 1.0 / max(distance, 1e-3))
    if algorithm == "metropolis":
        return 0.5 + length**2.17 / 39
    slowdown = 1 + abs(spec.field) * length**1.875 / spec.temperature
    return (0.5 + (1.3 if algorithm == "swendsen-wang" else 0.5) * length**0.22) * slowdown


class Metropolis:
    """Chains as the bits of words, every word with a random stream of its own."""

    nanoseconds = 0.15
    """Cost of one site and sweep, as ``latentphase bench --only simulators`` measures it; all 64 lanes of a word cost
    it, in use or not."""

    def __init__(self, spec: Spec, states_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        self.chains = len(states_RIJ)
        self.even_WIH, self.odd_WIH = checkerboard.pack(states_RIJ)
        self.stream_WS = multispin.streams(rng, len(self.even_WIH))
        self.rule = metropolis.acceptance(spec.coupling, spec.field, spec.temperature)
        self.progress_2 = np.zeros(2, dtype=np.int64)

    def advance(self, sweeps: int) -> None:
        """Propose every site of every chain, ``sweeps`` times."""
        for part in cut(sweeps, FLIPS_PER_CALL // self._lane_sites):
            self.progress_2[1] += metropolis.sweep(
                self.even_WIH, self.odd_WIH, self.stream_WS, *self.rule, self.chains, int(self.progress_2[0]), part
            )
            self.progress_2[0] += part

    def counts(self) -> NDArray[np.int64]:
        """(3, R) as ``checkerboard.count`` has them."""
        return checkerboard.count(self.even_WIH, self.odd_WIH)[:, : self.chains]

    def states(self) -> NDArray[np.int8]:
        """(R, I, J) spins +-1, a copy."""
        return checkerboard.unpack(self.even_WIH, self.odd_WIH, self.chains)

    def arrays(self) -> Arrays:
        """All that a sweep changes; ``done`` are the sweeps, and the moves accepted in those that are counted."""
        return {"even": self.even_WIH, "odd": self.odd_WIH, "streams": self.stream_WS, "done": self.progress_2}

    def exchange(self, other: Self, chosen_R: NDArray[np.bool_]) -> None:
        """Swap the chosen chains' bits with those of ``other``."""
        padded_WR = np.zeros((len(self.even_WIH), lanes.LANES), dtype=np.uint64)
        padded_WR.reshape(-1)[: self.chains] = chosen_R
        mask_W = np.bitwise_or.reduce(padded_WR << np.arange(lanes.LANES, dtype=np.uint64), axis=1)
        for own_WIH, other_WIH in ((self.even_WIH, other.even_WIH), (self.odd_WIH, other.odd_WIH)):
            differing_WIH = (own_WIH ^ other_WIH) & mask_W[:, None, None]
            own_WIH ^= differing_WIH
            other_WIH ^= differing_WIH

    @property
    def acceptance(self) -> float:
        """Moves taken over moves proposed, counted on every 16th sweep and 0 before the first of them."""
        counted = int(self.progress_2[0]) // metropolis.ACCEPTANCE_PERIOD
        return int(self.progress_2[1]) / max(1, counted * self.chains * self.even_WIH.shape[1] ** 2)

    @property
    def cost(self) -> float:
        """Expected nanoseconds of one sweep of all chains."""
        return self.nanoseconds * self._lane_sites

    @property
    def _lane_sites(self) -> int:
        words, size, _ = self.even_WIH.shape
        return words * lanes.LANES * size**2


class SwendsenWang(RowMajor):
    """All clusters of every chain; as acceptance, spins turned per spin and update."""

    nanoseconds = 18.0
    """Cost of one site and sweep, as ``latentphase bench --only simulators`` measures it."""

    def advance(self, sweeps: int) -> None:
        """Update all clusters of every chain, ``sweeps`` times."""
        spec = self.spec
        bond = clusters.bond_threshold(2 * abs(spec.coupling) / spec.temperature)
        rule = (bond, int(math.copysign(1, spec.coupling)), float(spec.field), float(spec.temperature))
        for states_RIJ, state_RV in few_chains(self.states_RIJ, self.state_RV, SPINS_PER_CALL):
            for part in cut(sweeps, SPINS_PER_CALL // states_RIJ.size):
                self.counts_2[0] += clusters.swendsen_wang(states_RIJ, state_RV, *rule, part)
        self.counts_2[1] += sweeps * self.states_RIJ.size

    def counts(self) -> NDArray[np.int64]:
        """As those of ``Metropolis``."""
        return checkerboard.count(*checkerboard.pack(self.states_RIJ))[:, : len(self.states_RIJ)]


class Wolff(wolff.TableClusters):
    """Single clusters, about as many per sweep as visit every spin once."""

    nanoseconds = 15.0
    """Cost of one site and sweep, as ``latentphase bench --only simulators`` measures it."""

    @staticmethod
    def reflections(spec: Spec) -> wolff.Reflections:
        """The one reflection s -> -s."""
        # Zero stands in the table because values follow each other, but no spin has it.
        s_S = np.array([-1.0, 0.0, 1.0])
        field_S = spec.field * s_S if spec.field != 0 else None
        turned_KS = np.array([[1, 0, -1]], dtype=np.int8)
        return wolff.reflections(-spec.coupling * np.outer(s_S, s_S), turned_KS, spec.temperature, -1, field_S)

    def counts(self) -> NDArray[np.int64]:
        """As those of ``Metropolis``."""
        return checkerboard.count(*checkerboard.pack(self.states_RIJ))[:, : len(self.states_RIJ)]


class Simulation(ChainSimulation):
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``."""

    kinds: ClassVar[Mapping[str, type[Any]]] = {"metropolis": Metropolis, "swendsen-wang": SwendsenWang, "wolff": Wolff}
    updates: Metropolis | SwendsenWang | Wolff

    @staticmethod
    def start(spec: Spec, hot: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
        """(R, I, J) starts, relaxed by cluster updates where single spins would get stuck.

        Hot chains are: below T_c a third of them would end in stripes.  So are the ordered ones in a field, because
        then the field decides how often each of the two phases occurs, and single spins cannot cross between them.
        """
        chains, size = len(hot), spec.size
        spins_RIJ = np.where(rng.integers(0, 2, (chains, size, size), dtype=np.int8) > 0, 1, -1).astype(np.int8)
        sign_R = np.where(rng.integers(0, 2, chains, dtype=np.int8) > 0, 1, -1).astype(np.int8)
        parity_IJ = np.indices((size, size)).sum(axis=0) % 2
        ordered_IJ = np.ones_like(parity_IJ) if spec.coupling > 0 else 1 - 2 * parity_IJ
        spins_RIJ[~hot] = sign_R[~hot, None, None] * ordered_IJ
        relaxed = hot | (spec.field != 0)
        if relaxed.any():
            updates = SwendsenWang(spec, spins_RIJ[relaxed], rng)
            updates.advance(relaxation(spec))
            spins_RIJ[relaxed] = updates.states()
        return spins_RIJ

    def observables(self) -> dict[str, NDArray[np.float64]]:
        """Energy, magnetization and staggered magnetization of every chain, (R,), per site."""
        sites = self.spec.size**2
        counts_3R = self.updates.counts()
        even, odd = 2 * counts_3R[:2] - sites // 2
        bonds = 2 * sites - 2 * counts_3R[2]
        energy = -self.spec.coupling * bonds + self.spec.field * (even + odd)
        values = (energy / sites, (even + odd) / sites, (even - odd) / sites)
        return dict(zip(("energy", *ORDER_PARAMETERS), values, strict=True))


ALGORITHMS = tuple(Simulation.kinds)


def relaxation(spec: Spec) -> int:
    """Swendsen-Wang updates of a start.

    The number of domains of a random lattice falls by a factor of two or more per update, so about 2 log2(L) of them
    leave at most a stripe, which each further update dissolves with probability 1/2 or more: of 20 more, one start in
    10^6 keeps one.  At T_c these are about seven autocorrelation times.  In a field clusters are slower.
    """
    return 48 if spec.field != 0 else math.ceil(2 * math.log2(spec.size)) + 20
