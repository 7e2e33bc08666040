"""Ising model on the periodic square lattice, H = -J sum_<ij> s_i s_j + h sum_i s_i with s = +-1.

Each bond counts once; P ~ exp(-H / T), so a positive field favours s = -1.  k_B = 1.

``metropolis`` turns over 64 replicas per machine word: one sweep proposes every even site, then every odd site,
and takes a move that costs dH > 0 with probability exp(-dH / T), exact to 2^-64.  Turning s_i over costs
dH = 2 s_i (J n_i - h), n_i the sum of its neighbours.  ``swendsen-wang`` updates all clusters of every chain.

Axes as in ``simulators.checkerboard``: W words, R chains, I rows, J columns, H columns of one colour.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators import checkerboard, clusters, metropolis, multispin
from simulators.contract import require

VERSION = 1
ALGORITHMS = ("metropolis", "swendsen-wang")
ORDER_PARAMETERS = ("magnetization", "staggered_magnetization")
ENCODING = "bits"
LIKELIHOOD = "bernoulli"

RELAXATION = 48
"""Swendsen-Wang updates of a start.  The number of domains of a random lattice falls by a factor of two or more per
update, so about 2 log2(L) of them leave at most a stripe, which each further update dissolves with probability 1/2
or more: fewer than one start in 10^8 keeps one at L = 512.  At T_c it is ten autocorrelation times."""
FLIPS_PER_CALL = 2**31
SPINS_PER_CALL = 2**23
"""What one kernel call is given at most, well below a second of work: between calls Python can be interrupted."""


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
            (math.isfinite(self.coupling), "coupling", f"must be finite, got {self.coupling}"),
            (self.coupling != 0, "coupling", f"must not be zero, got {self.coupling}"),
            (math.isfinite(self.field), "field", f"must be finite, got {self.field}"),
            (self.temperature > 0, "temperature", f"must be positive, got {self.temperature}"),
            (not math.isinf(self.temperature), "temperature", f"must be finite, got {self.temperature}"),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return 1, self.size, self.size


UPDATES_PER_SECOND = 4e9
"""Of the Metropolis kernel, on one core."""


def expected_tau(spec: Spec) -> float:
    """Rough autocorrelation time in Metropolis sweeps, for cost estimates only: L^2.17 / 39 at the transition (43.8 at
    L = 32), cut off by a correlation length that falls with the distance from it.
    """
    distance = abs(spec.temperature / abs(spec.coupling) - 2.27) / 2.27
    return 0.5 + min(spec.size, 1.0 / max(distance, 1e-3)) ** 2.17 / 39


EXAMPLE = Spec(size=6, coupling=1.0, field=0.1, temperature=2.5)


class Simulation:
    """Independent chains of one spec, advanced by one of ``ALGORITHMS``.

    Raises:
        ValueError: an algorithm that is not offered, or no chains.
    """

    def __init__(self, spec: Spec, hot: NDArray[np.bool_], algorithm: str, rng: np.random.Generator) -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
        if hot.ndim != 1 or len(hot) == 0:
            raise ValueError(f"hot must be a vector with one entry per chain, got shape {hot.shape}")
        self.spec = spec
        self._chains = len(hot)
        spins_RIJ = start(spec, hot, rng)
        kind = Metropolis if algorithm == "metropolis" else SwendsenWang
        self._updates: Metropolis | SwendsenWang = kind(spec, spins_RIJ, rng)

    def advance(self, sweeps: int) -> None:
        """Sweep every chain; a run cut in two is the same run, bit for bit."""
        if sweeps < 0:
            raise ValueError(f"sweeps must not be negative, got {sweeps}")
        self._updates.advance(sweeps)

    def configurations(self) -> NDArray[np.int8]:
        """(chains, 1, L, L) spins +-1."""
        return self._updates.spins()[:, None]

    def measure(self) -> dict[str, NDArray[np.float64]]:
        """Energy, magnetization and staggered magnetization of every chain, (chains,), per site."""
        sites = self.spec.size**2
        counts_3R = checkerboard.count(*self._updates.words())[:, : self._chains]
        even, odd = 2 * counts_3R[:2] - sites // 2
        bonds = 2 * sites - 2 * counts_3R[2]
        energy = -self.spec.coupling * bonds + self.spec.field * (even + odd)
        values = (energy / sites, (even + odd) / sites, (even - odd) / sites)
        return dict(zip(("energy", *ORDER_PARAMETERS), values, strict=True))

    @property
    def acceptance(self) -> float:
        """Share of proposed moves that were taken, counted on every 16th sweep and 0 before the first of them; for
        cluster updates, spins turned per site and update."""
        return self._updates.turned / max(1, self._updates.proposed)


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
    updates = SwendsenWang(spec, spins_RIJ[relaxed], rng)
    updates.advance(RELAXATION)
    spins_RIJ[relaxed] = updates.spins()
    return spins_RIJ


class SwendsenWang:
    """Chains as (R, I, J) spins, every chain with a random stream of its own.

    Offers what ``Metropolis`` does: ``advance``, the chains as ``words`` or ``spins``, and how many spins were
    ``turned`` over of how many ``proposed``.
    """

    def __init__(self, spec: Spec, spins_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        self._spins_RIJ = spins_RIJ.copy()
        self._state_RV = multispin.generators(rng, len(spins_RIJ))
        bond = -math.expm1(-2 * abs(spec.coupling) / spec.temperature)
        self._rule = (bond, int(math.copysign(1, spec.coupling)), float(spec.field), float(spec.temperature))
        self.turned = self.proposed = 0

    def advance(self, sweeps: int) -> None:
        """Update all clusters of every chain, ``sweeps`` times."""
        for part in _cut(sweeps, SPINS_PER_CALL // max(1, self._spins_RIJ.size)):
            self.turned += clusters.swendsen_wang(self._spins_RIJ, self._state_RV, *self._rule, part)
            self.proposed += part * self._spins_RIJ.size

    def words(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Even and odd sites, (W, I, H + 2) each, as ``checkerboard.pack`` lays them out."""
        return checkerboard.pack(self._spins_RIJ)

    def spins(self) -> NDArray[np.int8]:
        """(R, I, J) spins +-1, a copy."""
        return self._spins_RIJ.copy()


class Metropolis:
    """Chains as the bits of words, every word with a random stream of its own."""

    def __init__(self, spec: Spec, spins_RIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        self._chains = len(spins_RIJ)
        self._even_WIH, self._odd_WIH = checkerboard.pack(spins_RIJ)
        self._stream_WS = multispin.streams(rng, len(self._even_WIH))
        self._rule = metropolis.acceptance(spec.coupling, spec.field, spec.temperature)
        self._sweeps = 0
        self.turned = self.proposed = 0

    def advance(self, sweeps: int) -> None:
        """Propose every site of every chain, ``sweeps`` times."""
        words, size, _ = self._even_WIH.shape
        for part in _cut(sweeps, FLIPS_PER_CALL // (words * multispin.LANES * size**2)):
            self.turned += metropolis.sweep(
                self._even_WIH, self._odd_WIH, self._stream_WS, *self._rule, self._chains, self._sweeps, part
            )
            self._sweeps += part
        counted = self._sweeps // metropolis.ACCEPTANCE_PERIOD
        self.proposed = counted * self._chains * size**2

    def words(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Even and odd sites, (W, I, H + 2) each, as ``checkerboard.pack`` lays them out."""
        return self._even_WIH, self._odd_WIH

    def spins(self) -> NDArray[np.int8]:
        """(R, I, J) spins +-1, a copy."""
        return checkerboard.unpack(self._even_WIH, self._odd_WIH, self._chains)


def _cut(sweeps: int, limit: int) -> Iterator[int]:
    """Parts of at most ``limit`` sweeps, at least one each, that add up to ``sweeps``."""
    while sweeps > 0:
        part = min(sweeps, max(1, limit))
        yield part
        sweeps -= part
