"""The Hubbard model on 2 x 2 sites without Monte Carlo, by code that shares nothing with the simulator.

``averages``: Tr (e^(-dtau V) e^(-dtau K))^slices O in the 256 states of Fock space.  With the simulator's number of
slices no Trotter error is left between the two, so none can hide a mistake.  ``weights``: of every field, by
determinants of matrices multiplied as they are.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

SITES = 4
SUBLATTICE = np.array([1.0, -1.0, -1.0, 1.0])


def bonds() -> Iterator[tuple[int, int]]:
    """Of the periodic lattice, once per (site, +x) and (site, +y): every pair of neighbours twice."""
    for row, column in itertools.product(range(2), repeat=2):
        yield 2 * row + column, 2 * row + (column + 1) % 2
        yield 2 * row + column, 2 * ((row + 1) % 2) + column


def hopping(t: float) -> NDArray[np.float64]:
    """T of -sum T_ij c+_i c_j."""
    T = np.zeros((SITES, SITES))
    for i, j in bonds():
        T[i, j] += t
        T[j, i] += t
    return T


@functools.cache
def annihilators() -> tuple[NDArray[np.float64], ...]:
    """c of every site, spin up, then spin down (Jordan and Wigner)."""
    lower, sign, one = np.array([[0.0, 1.0], [0.0, 0.0]]), np.diag([1.0, -1.0]), np.eye(2)
    modes = 2 * SITES
    return tuple(
        functools.reduce(np.kron, [sign] * mode + [lower] + [one] * (modes - mode - 1)) for mode in range(modes)
    )


@functools.cache
def parts() -> dict[str, NDArray[np.float64]]:
    """Operators of the whole lattice, for t = U = 1."""
    c = annihilators()
    n = [a.T @ a for a in c]
    up, down = n[:SITES], n[SITES:]
    T = hopping(1.0)
    kinetic = -sum(
        T[i, j] * (c[s + i].T @ c[s + j]) for s in (0, SITES) for i in range(SITES) for j in range(SITES) if i != j
    )
    one = np.eye(len(kinetic))
    staggered_spin = sum(p * (u - d) for p, u, d in zip(SUBLATTICE, up, down, strict=True))
    staggered_charge = sum(p * (u + d) for p, u, d in zip(SUBLATTICE, up, down, strict=True))
    return {
        "density": sum(n),
        "double_occupancy": sum(u @ d for u, d in zip(up, down, strict=True)),
        "local_moment": sum((u - d) @ (u - d) for u, d in zip(up, down, strict=True)),
        "kinetic_energy": kinetic,
        "potential_energy": sum((u - one / 2) @ (d - one / 2) for u, d in zip(up, down, strict=True)),
        "spin_structure": staggered_spin @ staggered_spin / 4,
        "charge_structure": staggered_charge @ staggered_charge,
    }


def exponential(H: NDArray[Any], factor: float) -> NDArray[Any]:
    E, V = np.linalg.eigh(H)
    return np.asarray((V * np.exp(factor * E)) @ V.conj().T)


def averages(*, T: float, U: float, mu: float = 0.0, slices: int | None, t: float = 1.0) -> dict[str, float]:
    """Thermal averages per site at temperature ``T``; ``slices`` None: without Trotter error."""
    of = parts()
    K, V = t * of["kinetic_energy"] - mu * of["density"], U * of["potential_energy"]
    if slices is None:
        rho = exponential(K + V - np.linalg.eigvalsh(K + V)[0] * np.eye(len(K)), -1 / T)
    else:
        step = 1 / (T * slices)
        shift = np.linalg.eigvalsh(K + V)[0] * np.eye(len(K))
        rho = np.linalg.matrix_power(exponential(V - shift, -step) @ exponential(K, -step), slices)
    Z = np.trace(rho)
    found = {name: float(np.trace(rho @ operator) / Z) / SITES for name, operator in of.items()}
    found["kinetic_energy"] *= t
    found["potential_energy"] *= U
    found["energy"] = found["kinetic_energy"] + found["potential_energy"] - mu * found["density"]
    return found


STARS = {"0_0": ([1, 1, 1, 1],), "1_0": ([1, -1, 1, -1], [1, 1, -1, -1]), "1_1": ([1, -1, -1, 1],)}
"""exp(iqr) of the momenta of 2 x 2 sites, q = pi (x, y)."""


def on_request(
    *, T: float, U: float, mu: float = 0.0, slices: int, distances: list[int], along_y: float = -1.0
) -> dict[str, float]:
    """What is measured on request: spin structure factors, pairs whose form factor along y is ``along_y``, and
    Tr(rho^(slices - l) A rho^l B) of slices rho at ``distances`` l."""
    of, c = parts(), annihilators()
    up, down = c[:SITES], c[SITES:]
    K, V = of["kinetic_energy"] - mu * of["density"], U * of["potential_energy"]
    shift = np.linalg.eigvalsh(K + V)[0] * np.eye(len(K))
    step = 1 / (T * slices)
    rho = exponential(V - shift, -step) @ exponential(K, -step)
    powers = [np.eye(len(rho))]
    for _ in range(slices):
        powers.append(rho @ powers[-1])
    Z = np.trace(powers[-1])

    def average(A: NDArray[Any], B: NDArray[Any], apart: int) -> float:
        return float(np.trace(powers[slices - apart] @ A @ powers[apart] @ B) / Z)

    moment = [(u.T @ u - d.T @ d) / 2 for u, d in zip(up, down, strict=True)]
    found = {}
    for name, waves in STARS.items():
        at = [sum(w * m for w, m in zip(wave, moment, strict=True)) for wave in waves]
        found[f"spin_structure_q_{name}"] = sum(average(m, m, 0) for m in at) / len(at) / SITES
    # Both neighbours along x are one site, and so along y.
    pair = sum((2 * down[i ^ 1] + along_y * 2 * down[i ^ 2]) @ up[i] / 2 for i in range(SITES))
    found["pair_structure"] = average(pair, pair.T, 0) / SITES
    staggered = sum(p * m for p, m in zip(SUBLATTICE, moment, strict=True))
    spins = [average(staggered, staggered, apart) / SITES for apart in range(slices)]
    found["spin_susceptibility"] = step * sum(spins)
    for apart in distances:
        found[f"spin_structure_tau_{apart:03d}"] = [*spins, spins[0]][apart]
        found[f"green_tau_{apart:03d}"] = sum(average(a, a.T, apart) for a in c) / len(c)
    return found


def fields(slices: int) -> NDArray[np.int8]:
    """(2^(4 slices), slices, 4) all of them; the last site of the last slice varies fastest."""
    numbers = np.arange(2 ** (SITES * slices))[:, None] >> np.arange(SITES * slices)[::-1] & 1
    return (2 * numbers - 1).astype(np.int8).reshape(-1, slices, SITES)


def weight(
    field_TN: NDArray[np.int8], *, T: float, U: float, mu: float, channel: str, amplitudes: NDArray[Any] | None = None
) -> complex:
    """The weight of one field, from the determinants of both spins.

    ``amplitudes`` T_ij, if not those of t = 1, may have more orbitals than the field.
    """
    slices = len(field_TN)
    step = 1 / (T * slices)
    T_MM = hopping(1.0) if amplitudes is None else amplitudes
    without = (0, len(T_MM) - SITES)
    E = exponential(T_MM + mu * np.eye(len(T_MM)), step)
    gain = np.exp(step * abs(U) / 2)
    coupling = np.arccos(1 / gain) * 1j if channel == "charge" and U > 0 else np.arccosh(gain)
    result = 1.0 + 0j
    for sign in (1, -1) if channel == "spin" else (1, 1):
        product = np.eye(len(E), dtype=complex)
        for field_N in field_TN:
            product = np.diag(np.exp(np.pad(sign * coupling * field_N, without))) @ E @ product
        result *= np.linalg.det(np.eye(len(E)) + product)
    if channel == "charge":
        result *= np.exp(-coupling * field_TN.sum())
    return complex(result)


def weights(
    slices: int,
    *,
    T: float,
    U: float,
    mu: float = 0.0,
    channel: str = "spin",
    amplitudes: NDArray[Any] | None = None,
) -> NDArray[np.complex128]:
    """Of all ``fields``."""
    return np.array(
        [weight(field_TN, T=T, U=U, mu=mu, channel=channel, amplitudes=amplitudes) for field_TN in fields(slices)]
    )
