"""What auxiliary fields are measured for on request: S(q), d-wave pairs, imaginary time, the Green's function itself.

All is of the orbitals that have a field, per site, from the Green's functions of both spins by Wick's theorem:

* ``structure-factors``: S(q) = (1/N) sum_ij exp(iq(r_i - r_j)) <S^z_i S^z_j> with S^z = (n_up - n_down) / 2, mean over
  the star of q, for every star of the lattice.
* ``pairs``: P_d = (1/N) sum_ij <D_i D+_j>, D_i = sum_e f_e c_(i+e),down c_i,up / 2, f = 1 for the neighbours along x
  and -1 for those along y; in a field <D_i D+_j> = sum_e,e' f_e f_e' G_up,ij G_down,(i+e)(j+e') / 4.
* ``imaginary-time``: G(tau) = (1/2N) sum_i,s <c_is(tau) c+_is> and C(tau) = (1/N) <m_Q(tau) m_Q> with m_Q = sum_i P_i
  S^z_i at about ``DISTANCES`` distances from 0 to beta, and chi(pi, pi) = integral of C over all slices.
* ``green``: the mean over the slices of G_ij = <c_i c+_j>, as a second input.

Means over all slices; those of ``imaginary-time`` over at most ``ORIGINS`` slices from which tau is counted.

Axes: S spins, C chains, N orbitals with a field, D displacements (numbered as sites), Q stars of momenta.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.contract import RequestedMeasurement
from simulators.fermions.determinants import Matrices
from simulators.fermions.greens_functions import GreensFunctions
from simulators.fermions.hirsch import FieldSpec
from simulators.fermions.tight_binding import is_real, ring, sublattices

DISTANCES = 16
ORIGINS = 4
PASS_SWEEPS, ORIGIN_SWEEPS = 0.8, 1.3
"""Measured cost in sweeps, good to a half: of a pass over all slices, and of all tau from one origin."""


def measurements(spec: FieldSpec) -> dict[str, RequestedMeasurement]:
    """The measurements that are possible at ``spec``, by name.

    Pairs need real twists: a pair carries the twist of both its electrons, so that with a complex one it cannot be
    uniform.
    """
    stars = tuple(f"spin_structure_q_{x}_{y}" for x, y in stars_of(spec.size))
    times = tuple(f"{name}_tau_{t:03d}" for name in ("green", "spin_structure") for t in distances(spec.slices))
    sites = spec.size**2
    structure_factors = RequestedMeasurement(columns=stars, sweeps=PASS_SWEEPS)
    pairs = RequestedMeasurement(columns=("pair_structure",), sweeps=PASS_SWEEPS)
    imaginary_time = RequestedMeasurement((*times, "spin_susceptibility"), sweeps=ORIGIN_SWEEPS * origins(spec))
    green = RequestedMeasurement(shape=(1 if spec.one_species else 2, sites, sites), sweeps=PASS_SWEEPS)
    return {
        "structure-factors": structure_factors,
        **({"pairs": pairs} if real_twists(spec) else {}),
        "imaginary-time": imaginary_time,
        "green": green,
    }


def real_twists(spec: FieldSpec) -> bool:
    """Whether a pair that goes around the lattice is the same again."""
    return is_real(spec.twist_x, spec.twist_y)


def stars_of(size: int) -> list[tuple[int, int]]:
    """(x, y) of q = 2 pi (x, y) / L, one of each set that the point group turns into each other."""
    return [(x, y) for x in range(size // 2 + 1) for y in range(x + 1)]


def distances(slices: int) -> list[int]:
    """In slices: 0, beta, the middle, and others in equal steps."""
    step = -(-slices // DISTANCES)
    return sorted({*range(0, slices, step), slices // 2, slices})


def origins(spec: FieldSpec) -> int:
    """From how many slices tau is counted."""
    return min(ORIGINS, spec.slices)


class Measurement:
    """The requested measurements in the fields of one spec; ``requests`` are keys of ``measurements``."""

    def __init__(self, spec: FieldSpec, requests: Iterable[str]) -> None:
        self.spec, self.sites = spec, spec.size**2
        self.sublattice_N = sublattices(spec.size)
        of_slice: dict[str, Callable[[Matrices], Mapping[str, NDArray[Any]]]] = {
            "structure-factors": self.structure_factors,
            "pairs": self.pairs,
            "green": lambda G_SCNN: {"green": G_SCNN[: 1 if spec.one_species else 2].swapaxes(0, 1)},
        }
        self._of_slice = [of_slice[name] for name in requests if name in of_slice]
        self._imaginary_time = "imaginary-time" in requests
        rows, columns = np.indices((spec.size, spec.size)).reshape(2, -1)
        self._shifted_ND = (rows[:, None] + rows) % spec.size * spec.size + (columns[:, None] + columns) % spec.size
        self._wave_DQ = np.stack([_star(spec.size, x, y) for x, y in stars_of(spec.size)], axis=1)
        if "pairs" in requests:
            self._neighbours_NN = _d_wave(spec)

    def of(self, greens: GreensFunctions) -> dict[str, NDArray[np.float64]]:
        """By column, (C,), and by name of an input, (C, channels, rows, columns)."""
        values: dict[str, NDArray[np.float64]] = {}
        if self._of_slice:
            for G_SCNN in greens.each_slice():
                both_SCNN = self.both_spins(self._with_field(G_SCNN))
                for measure in self._of_slice:
                    _add(values, measure(both_SCNN), 1 / self.spec.slices)
        if self._imaginary_time:
            count = origins(self.spec)
            for number in range(count):
                start = number * self.spec.slices // count
                _add(values, self.imaginary_time(greens.rolled(start)), 1 / count)
        return values

    def _with_field(self, G_SCNN: Matrices) -> Matrices:
        return G_SCNN[..., : self.sites, : self.sites]

    def both_spins(self, G_SCNN: Matrices) -> Matrices:
        """(2, C, N, N), up and down, of one time."""
        if len(G_SCNN) == 2:
            return G_SCNN
        if not self.spec.holes:
            return np.concatenate([G_SCNN, G_SCNN])
        return np.concatenate([G_SCNN, self._staggered(np.eye(self.sites) - _adjoint(G_SCNN))])

    def both_spins_apart(self, later_SCNN: Matrices, earlier_SCNN: Matrices) -> tuple[Matrices, Matrices]:
        """The same of <c(tau) c+> and -<c+(tau) c>: particles of one spin may be holes of the other."""
        if len(later_SCNN) == 2:
            return later_SCNN, earlier_SCNN
        of_down = later_SCNN, earlier_SCNN
        if self.spec.holes:
            of_down = self._staggered(-_adjoint(earlier_SCNN)), self._staggered(-_adjoint(later_SCNN))
        return np.concatenate([later_SCNN, of_down[0]]), np.concatenate([earlier_SCNN, of_down[1]])

    def _staggered(self, G_SCNN: Matrices) -> Matrices:
        return self.sublattice_N[:, None] * G_SCNN * self.sublattice_N

    def structure_factors(self, G_SCNN: Matrices) -> dict[str, NDArray[Any]]:
        """From both spins at one time."""
        moment_CN = _moments(G_SCNN)
        pairs_CNN = moment_CN[:, :, None] * moment_CN[:, None, :]
        pairs_CNN = pairs_CNN + ((np.eye(self.sites) - G_SCNN.swapaxes(-1, -2)) * G_SCNN).sum(axis=0)
        apart_CD = np.take_along_axis(pairs_CNN, self._shifted_ND[None], axis=2).mean(axis=1)
        structure_CQ = apart_CD @ self._wave_DQ / 4
        names = (f"spin_structure_q_{x}_{y}" for x, y in stars_of(self.spec.size))
        return dict(zip(names, structure_CQ.T, strict=True))

    def pairs(self, G_SCNN: Matrices) -> dict[str, NDArray[Any]]:
        """From both spins at one time."""
        up_CNN, down_CNN = G_SCNN
        moved_CNN = self._neighbours_NN @ down_CNN @ self._neighbours_NN.T
        return {"pair_structure": (up_CNN * moved_CNN).sum(axis=(1, 2)) / (4 * self.sites)}

    def imaginary_time(self, greens: GreensFunctions) -> dict[str, NDArray[Any]]:
        """With tau counted from where the slices of ``greens`` begin."""
        stored, step = set(distances(self.spec.slices)), self.spec.trotter_step
        values: dict[str, NDArray[Any]] = {}
        total_C: NDArray[Any] = np.zeros(len(greens.field_CTN))
        first_CN: NDArray[Any] | None = None
        for tau, times in enumerate(greens.each_distance()):
            now, later, earlier = (self._with_field(G_SCNN) for G_SCNN in times)
            moment_CN = _moments(self.both_spins(now)) * self.sublattice_N
            first_CN = moment_CN if first_CN is None else first_CN
            later, earlier = self.both_spins_apart(later, earlier)
            connected_C = -np.einsum("scij,scji->c", self._staggered(later), earlier)
            moments_C = (moment_CN.sum(axis=1) * first_CN.sum(axis=1) + connected_C) / (4 * self.sites)
            if tau < self.spec.slices:
                total_C = total_C + step * moments_C
            if tau in stored:
                values[f"green_tau_{tau:03d}"] = np.einsum("scii->c", later) / (2 * self.sites)
                values[f"spin_structure_tau_{tau:03d}"] = moments_C
        return values | {"spin_susceptibility": total_C}


def _add(sums: dict[str, NDArray[np.float64]], values: Mapping[str, NDArray[Any]], weight: float) -> None:
    """The real parts, as in ``FieldChains.of_slice``."""
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + weight * value.real


def _adjoint(G_SCNN: Matrices) -> Matrices:
    return np.asarray(G_SCNN.conj().swapaxes(-1, -2))


def _moments(G_SCNN: Matrices) -> NDArray[Any]:
    """(C, N) <n_up - n_down>."""
    n_SCN = -np.diagonal(G_SCNN, axis1=-2, axis2=-1)
    return np.asarray(n_SCN[0] - n_SCN[1])


def _star(size: int, x: int, y: int) -> NDArray[np.float64]:
    """(D,) mean of exp(iqd) over the star of q = 2 pi (x, y) / L."""
    wave_XI = np.cos(2 * np.pi / size * np.outer([x, y], np.arange(size)))
    along, across = np.outer(wave_XI[0], wave_XI[1]), np.outer(wave_XI[1], wave_XI[0])
    return np.asarray((along + across) / 2).ravel()


def _d_wave(spec: FieldSpec) -> NDArray[np.float64]:
    """(N, N) that takes c to sum_e f_e c_(i+e): 1 for the neighbours along x, -1 for those along y."""
    along_x, along_y = (ring(spec.size, 1.0, twist) for twist in (spec.twist_x, spec.twist_y))
    one_LL = np.eye(spec.size)
    return np.asarray(np.kron(one_LL, along_x) - np.kron(along_y, one_LL))
