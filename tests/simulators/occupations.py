"""Orbitals with a repulsion on some of them without Monte Carlo, by code that shares nothing with the simulator.

Tr (e^(-dtau V) e^(-dtau K))^slices O over Fock space, sector by sector of n_up and n_down: all of them, odd and even,
since the ensemble is grand canonical.  V is diagonal in the occupations and e^(-dtau K) a matrix for each spin, so one
slice takes an array (up, down) to D * (A array A^T).  With the simulator's number of slices no Trotter error is left
between the two, so none can hide a mistake.

Axes: M orbitals, A and B states of up and down in a sector, O states (columns) that are traced over.
"""

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]
CELLS = 4
SUBLATTICE = np.array([1.0, -1.0, -1.0, 1.0])


def square(t: float, twist_x: float = 0.0, twist_y: float = 0.0) -> Matrix:
    """T of -sum T_ij c+_i c_j on 2 x 2 sites, bond by bond: two between neighbours, one through the boundary."""
    T = np.zeros((4, 4), dtype=complex)
    for row, column in itertools.product(range(2), repeat=2):
        here = 2 * row + column
        for there, through, twist in (
            (2 * row + (column + 1) % 2, column == 1, twist_x),
            (2 * ((row + 1) % 2) + column, row == 1, twist_y),
        ):
            amplitude = t * np.exp(2j * np.pi * twist * through)
            T[here, there] += amplitude
            T[there, here] += np.conj(amplitude)
    return T if abs(T.imag).max() > 1e-12 else T.real


def cells(t: float, V: float, level: float = 0.0, twist_x: float = 0.0, twist_y: float = 0.0) -> Matrix:
    """The same of the Anderson model, f of the four cells before c."""
    one = np.eye(CELLS)
    return np.block([[-level * one, V * one], [V * one, square(t, twist_x, twist_y)]])


State = tuple[int, ...]
"""Occupied orbitals of one spin, ascending."""


def products(B: Matrix, states: list[State]) -> Matrix:
    """What a matrix of one particle does to states of several: its minors."""
    a = np.array(states, dtype=int).reshape(len(states), -1)
    return np.asarray(np.linalg.det(B[a[:, None, :, None], a[None, :, None, :]]))


def sums(K: Matrix, particles: int) -> Matrix:
    """sum K_ij c+_i c_j among the states of so many particles."""
    return _sums(K.tobytes(), K.dtype.str, len(K), particles)


@functools.cache
def _sums(content: bytes, dtype: str, orbitals: int, particles: int) -> Matrix:
    K = np.frombuffer(content, dtype).reshape(orbitals, orbitals)
    states = list(itertools.combinations(range(orbitals), particles))
    number = {state: index for index, state in enumerate(states)}
    matrix = np.zeros((len(states), len(states)), dtype=K.dtype)
    for state in states:
        for j in state:
            rest = tuple(x for x in state if x != j)
            for i in map(int, np.flatnonzero(K[:, j])):
                if i not in rest:
                    between = sum(min(i, j) < x < max(i, j) for x in rest)
                    matrix[number[tuple(sorted((*rest, i)))], number[state]] += K[i, j] * (-1) ** between
    return matrix


class Diagonal(NamedTuple):
    """A function of the occupations of up (A, 1, M) and down (1, B, M)."""

    value: Callable[[Matrix, Matrix], Matrix]


class Hops(NamedTuple):
    """sum_ij,s K_ij c+_is c_js."""

    K: Matrix


class Pair(NamedTuple):
    """(sum up_ij c+_i,up c_j,up) (sum down_ij c+_i,dn c_j,dn), and the same with the spins exchanged."""

    up: Matrix
    down: Matrix


Operator = Diagonal | Hops | Pair


def representatives(states: list[State]) -> tuple[list[int], Matrix]:
    """One of every set of states that translations turn into each other, and how many these are.

    A state of up and its translation have the same part in a trace over all states of down.
    """
    seen: dict[State, int] = {}
    count: dict[int, float] = defaultdict(float)
    for index, state in enumerate(states):
        # Orbitals are numbered 4 kind + 2 row + column.
        images = [tuple(sorted(4 * (i // 4) + (i % 4 ^ shift) for i in state)) for shift in range(4)]
        first = seen.setdefault(min(images), index)
        count[first] += 1
    return list(count), np.array(list(count.values()))


def repulsion(interacting: int) -> Diagonal:
    """sum_i (n_i,up - 1/2)(n_i,dn - 1/2) over the first orbitals."""
    return Diagonal(lambda up, down: ((up - 0.5) * (down - 0.5))[..., :interacting].sum(axis=-1))


def traces(
    T_MM: Matrix, interacting: int, operators: dict[str, Operator], *, T: float, U: float, mu: float, slices: int
) -> dict[str, float]:
    """Thermal averages of operators that do not tell up from down (or, of a pair, their sum over both)."""
    orbitals, step = len(T_MM), 1 / (T * slices)
    energy, mode = np.linalg.eigh(T_MM + mu * np.eye(orbitals))
    B_MM = (mode * np.exp(step * energy)) @ mode.conj().T
    by_number = [list(itertools.combinations(range(orbitals), particles)) for particles in range(orbitals + 1)]
    grown = [products(B_MM, states) for states in by_number]
    found: dict[str, float] = defaultdict(float)
    for (up, A), (down, B) in itertools.product(zip(by_number, grown, strict=True), repeat=2):
        if len(up[0]) < len(down[0]):
            continue
        # The sector with up and down exchanged has the same traces.
        copies = 1 if up is down else 2
        n_up, n_down = (
            np.array([[float(i in state) for i in range(orbitals)] for state in states]) for states in (up, down)
        )
        n_up, n_down = n_up[:, None], n_down[None]
        D_AB = np.exp(-step * U * repulsion(interacting).value(n_up, n_down))
        chosen, weight_O = representatives(up)
        X = np.zeros((len(chosen), len(down), len(up), len(down)), dtype=A.dtype)
        for o, a in enumerate(chosen):
            X[o, :, a] = weight_O[o] * np.eye(len(down))
        for _ in range(slices):
            X = A @ (X.reshape(-1, len(down)) @ B.T).reshape(X.shape)
            X *= D_AB
        diagonal_OB = np.einsum("obob->ob", X[:, :, chosen])
        found["Z"] += copies * diagonal_OB.sum().real
        for name, operator in operators.items():
            if isinstance(operator, Diagonal):
                value = (operator.value(n_up, n_down)[chosen] * diagonal_OB).sum()
            elif isinstance(operator, Hops):
                value = (sums(operator.K, len(up[0]))[chosen] * np.einsum("obab->oa", X)).sum()
                value += (sums(operator.K, len(down[0])) * np.einsum("oboc->bc", X[:, :, chosen])).sum()
            else:
                value = 0.0
                for a, b in (operator, operator[::-1]):
                    K_OA, K_BB = sums(a, len(up[0]))[chosen], sums(b, len(down[0]))
                    value += np.einsum("oa,bc,obac->", K_OA, K_BB, X, optimize=True)
            found[name] += copies * value.real
    return {name: value / found["Z"] for name, value in found.items() if name != "Z"}


def moments(sites: slice) -> dict[str, Operator]:
    """What orbitals with an interaction have, as sums over them."""

    def staggered(sign: int) -> Callable[[Matrix, Matrix], Matrix]:
        return lambda up, down: ((up + sign * down)[..., sites] @ SUBLATTICE) ** 2

    return {
        "density": Diagonal(lambda up, down: (up + down)[..., sites].sum(axis=-1)),
        "double_occupancy": Diagonal(lambda up, down: (up * down)[..., sites].sum(axis=-1)),
        "local_moment": Diagonal(lambda up, down: ((up - down) ** 2)[..., sites].sum(axis=-1)),
        "charge_structure": Diagonal(staggered(1)),
        "spin_structure": Diagonal(lambda up, down: staggered(-1)(up, down) / 4),
    }


def hubbard(
    *, T: float, U: float, mu: float = 0.0, slices: int, twist_x: float = 0.0, twist_y: float = 0.0
) -> dict[str, float]:
    """Averages per site of the Hubbard model on 2 x 2 sites, t = 1."""
    T_MM = square(1.0, twist_x, twist_y)
    operators = moments(slice(CELLS)) | {"kinetic_energy": Hops(-T_MM), "potential_energy": repulsion(CELLS)}
    found = traces(T_MM, CELLS, operators, T=T, U=U, mu=mu, slices=slices)
    found = {name: value / CELLS for name, value in found.items()}
    found["potential_energy"] *= U
    found["energy"] = found["kinetic_energy"] + found["potential_energy"] - mu * found["density"]
    return found


def anderson(
    *, T: float, U: float, V: float, mu: float = 0.0, level: float = 0.0, slices: int,
    twist_x: float = 0.0, twist_y: float = 0.0, t: float = 1.0,
) -> dict[str, float]:  # fmt: skip
    """Averages per cell of the Anderson model on 2 x 2 cells."""
    T_MM = cells(t, V, level, twist_x, twist_y)
    f, c = slice(CELLS), slice(CELLS, None)
    hop, meet = np.zeros_like(T_MM), np.zeros_like(T_MM)
    hop[c, c], meet[f, c], meet[c, f] = -T_MM[c, c], -T_MM[f, c], -T_MM[c, f]
    operators = moments(f) | {
        "c_density": Diagonal(lambda up, down: (up + down)[..., c].sum(axis=-1)),
        "kinetic_energy": Hops(hop),
        "hybridization_energy": Hops(meet),
        "potential_energy": repulsion(CELLS),
        "z_singlet": Diagonal(lambda up, down: -((up - down)[..., f] * (up - down)[..., c]).sum(axis=-1) / 4),
    }
    for cell in range(CELLS):
        raising, lowering = np.zeros((2, 2 * CELLS, 2 * CELLS))
        raising[CELLS + cell, cell] = lowering[cell, CELLS + cell] = 1
        # S+_c S-_f = -(c+_up f_up)(f+_dn c_dn), and its conjugate; the other half of -S_c . S_f.
        operators[f"flips {cell}"] = Pair(raising, lowering)
    found = traces(T_MM, CELLS, operators, T=T, U=U, mu=mu, slices=slices)
    found = {name: value / CELLS for name, value in found.items()}
    found["potential_energy"] *= U
    found["f_density"] = found.pop("density")
    found["density"] = found["c_density"] + found["f_density"]
    found["singlet_correlation"] = 3 * found.pop("z_singlet")
    found["rotated"] = found["singlet_correlation"] / 3 + sum(found.pop(f"flips {cell}") for cell in range(CELLS)) / 2
    parts = found["kinetic_energy"] + found["hybridization_energy"] + found["potential_energy"]
    found["energy"] = parts + level * found["f_density"] - mu * found["density"]
    return found


def anderson_on_request(*, T: float, U: float, V: float, mu: float = 0.0, slices: int) -> dict[str, float]:
    """Spin structure factors and the d-wave pair structure factor of f on 2 x 2 cells, t = 1, both per cell."""
    f, D = slice(CELLS), np.zeros((CELLS, CELLS))
    for i in range(CELLS):
        # Both neighbours along x are one site, and so along y.
        D[i, i ^ 1], D[i, i ^ 2] = 2, -2

    def along(*waves: list[int]) -> Callable[[Matrix, Matrix], Matrix]:
        return lambda up, down: sum(((up - down)[..., f] @ np.array(wave)) ** 2 for wave in waves) / 4 / len(waves)

    hop = np.zeros((2 * CELLS, 2 * CELLS))
    hop[f, f] = D @ D
    operators: dict[str, Operator] = {
        "spin_structure_q_0_0": Diagonal(along([1, 1, 1, 1])),
        "spin_structure_q_1_0": Diagonal(along([1, -1, 1, -1], [1, 1, -1, -1])),
        "spin_structure_q_1_1": Diagonal(along([1, -1, -1, 1])),
        "hops": Hops(hop),
    }
    for i, j in itertools.product(range(CELLS), repeat=2):
        up, down = np.zeros((2, 2 * CELLS, 2 * CELLS))
        up[j, i], down[f, f] = 1, np.outer(D[j], D[i])
        operators[f"pair {i} {j}"] = Pair(up, down)
    found = traces(cells(1.0, V), CELLS, operators, T=T, U=U, mu=mu, slices=slices)
    # (d_ij - c+_j c_i) of up times the same of the neighbours of down; a pair of operators is there twice.
    both = sum(found.pop(name) for name in list(found) if name.startswith("pair")) / 2
    found["pair_structure"] = (np.trace(D @ D) - found.pop("hops") + both) / 4
    return {name: value / CELLS for name, value in found.items()}
