"""Equal-time Green's functions of fermions in an auxiliary field, and the sweeps over the field that they guide.

Slice l of the field turns into a matrix per species, B_l = V_l E, with E = exp(dtau (T + mu)) the hopping and V_l
diagonal, exp(sigma lambda s_il).  A field's weight is prod_sigma det(1 + B_(L-1) ... B_0), times factors of its own.
The Green's function that slice l is updated with is

    G(l) = [1 + B_l ... B_0 B_(L-1) ... B_(l+1)]^-1,   G_ij = <c_i c+_j>,   G(l) = B_l G(l-1) B_l^-1 ("wrapping").

Wrapping loses digits, so after every block of a few slices G is computed anew, from the products of the blocks below
and above, C_f ... C_0 and (C_(F-1) ... C_(f+1))^T.  A pass up the slices makes the former and uses the latter, which
the pass down before has made, and the other way round (White et al., Phys. Rev. B 40, 506 (1989)).  By how much the
wrapped G was wrong is measured at every block.

A field may act on some of the orbitals only; these come first.

Axes: S species, C chains, T slices, N orbitals, or those of them that have a field; F blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.fermions.delayed import update_slice
from simulators.fermions.determinants import Factors, Matrices, greens, log_determinant, stacked, unequal_times
from simulators.fermions.hopping import Dense, Hopping, Separable, scale
from simulators.rng.sfc64 import uniform

TOGETHER = 64
"""Orbitals up to which several chains are worth one object."""
SEPARABLE = 64
"""Orbitals from which the factors of E are faster than E."""


@dataclass(frozen=True, kw_only=True)
class Fermions:
    """What one slice of the field does to the fermions."""

    hop_NN: NDArray[Any]
    """E = exp(dtau (T + mu)), Hermitian; orbitals without a field come last."""
    unhop_NN: NDArray[Any]
    """Its inverse."""
    vertex_S2: NDArray[Any]
    """Entry of V where the field is -1, and 1; complex where ``hop_NN`` is.  A single species stands for two, whose
    determinants have equal sizes and a product that ``log_weight_2`` makes positive."""
    log_weight_2: NDArray[Any]
    """Logarithm of a site's weight beside the determinants where the field is -1, and 1."""

    factors: tuple[NDArray[Any], NDArray[Any]] | None = None
    """Of E along rows and columns, where it is a product of two."""

    @cached_property
    def hopping(self) -> Hopping:
        """E in the type of the vertices: by factors where it has them and is large enough for that to be faster."""
        dtype = self.vertex_S2.dtype
        if self.factors is None or len(self.hop_NN) < SEPARABLE:
            return Dense(self.hop_NN.astype(dtype), self.unhop_NN.astype(dtype))
        row_II, column_JJ = (factor.astype(dtype) for factor in self.factors)
        return Separable(row_II, column_JJ, np.linalg.inv(row_II), np.linalg.inv(column_JJ))

    @property
    def change_S2(self) -> NDArray[Any]:
        """Relative change of an entry of V when the field flips, where it is -1, and 1."""
        return self.vertex_S2[:, ::-1] / self.vertex_S2 - 1

    @property
    def explicit_2(self) -> NDArray[Any]:
        """By what the weight beside the determinants changes."""
        return np.exp(self.log_weight_2[::-1] - self.log_weight_2)


class GreensFunctions:
    """The fields of some chains with what a sweep needs; ``field_CTN`` and ``state_CV`` are changed in place.

    All is a function of the fields, bit for bit: an object made of the fields that a sweep left goes on as that
    sweep's own object would.

    Args:
        fermions: the model.
        field_CTN: -1 or 1.
        state_CV: a random generator for each chain.
        interval: slices of a block.
    """

    def __init__(
        self, fermions: Fermions, field_CTN: NDArray[np.int8], state_CV: NDArray[np.uint64], interval: int
    ) -> None:
        self.fermions, self.field_CTN, self.state_CV, self.interval = fermions, field_CTN, state_CV, interval
        chains, slices, sites = field_CTN.shape
        orbitals = len(fermions.hop_NN)
        self.blocks = [range(first, min(slices, first + interval)) for first in range(0, slices, interval)]
        shape = (len(fermions.vertex_S2), chains, orbitals, orbitals)
        self.vertex_SCTN = np.ones((*shape[:2], slices, orbitals), fermions.vertex_S2.dtype)
        self.vertex_SCTN[..., :sites] = fermions.vertex_S2[:, (field_CTN + 1) // 2]
        self._spare = np.empty(shape[2:], self.vertex_SCTN.dtype)
        self._hopping = fermions.hopping
        self._none = Factors.identity(shape, fermions.vertex_S2.dtype)
        self._above = [self._none] * (len(self.blocks) + 1)
        """(C_(F-1) ... C_f)^T for each f."""
        for f in reversed(range(len(self.blocks))):
            self._extend_above(f)
        self._bottom: Matrices | None = None
        """What ``bottom`` would give, after a sweep; the next one changes it in its place."""
        self._change_S2, self._explicit_2 = fermions.change_S2, fermions.explicit_2
        self.accepted_C = np.zeros(chains, dtype=np.int64)
        """Single flips so far."""

    @property
    def nbytes(self) -> int:
        """Of the products of blocks, which take most of the memory."""
        return sum(array.nbytes for factors in self._above for array in factors)

    def sweep(self) -> NDArray[np.float64]:
        """Propose every flip on a pass up the slices, and again on the way down.

        Returns:
            (C,) the largest error of an entry of G that wrapping has caused.
        """
        drift_C = np.zeros(len(self.field_CTN))
        G = self.bottom() if self._bottom is None else self._bottom
        self._bottom = None
        below = [self._none]
        for f, block in enumerate(self.blocks):
            for t in block:
                self._wrap_up(G, t)
                self._update(G, t)
            below.append(self._extended_below(below[-1], f))
            G = _compared(G, self._greens(below[-1], self._above[f + 1]), drift_C)
        for f in reversed(range(len(self.blocks))):
            for t in reversed(self.blocks[f]):
                self._update(G, t)
                self._wrap_down(G, t)
            self._extend_above(f)
            G = _compared(G, self._greens(below[f], self._above[f]), drift_C)
        self._bottom = G
        return drift_C

    def flip_line(self) -> NDArray[np.bool_]:
        """Propose to flip the field of one random site in all slices at once, in every chain.

        Single flips cross from one direction of a local moment to the other slowly where the coupling is strong.

        Returns:
            (C,) whether the flip was accepted.
        """
        chains, _, sites = self.field_CTN.shape
        site_C = np.array([int(uniform(state_V) * sites) for state_V in self.state_CV])
        field_CTN = self.field_CTN.copy()
        field_CTN[np.arange(chains), :, site_C] *= -1
        other = GreensFunctions(self.fermions, field_CTN, self.state_CV, self.interval)
        ratio_C = np.exp(np.minimum(0.0, other.log_weight()[1] - self.log_weight()[1]))
        is_accepted_C = np.array([uniform(state_V) for state_V in self.state_CV]) < ratio_C
        self.field_CTN[is_accepted_C] = field_CTN[is_accepted_C]
        self.vertex_SCTN[:, is_accepted_C] = other.vertex_SCTN[:, is_accepted_C]
        for own_factors, other_factors in zip(self._above[:-1], other._above[:-1], strict=True):
            for array, new in zip(own_factors, other_factors, strict=True):
                array[:, is_accepted_C] = new[:, is_accepted_C]
        if is_accepted_C.any():
            self._bottom = None
        return is_accepted_C

    def bottom(self) -> Matrices:
        """(S, C, N, N) Green's functions at the last slice, before the first."""
        return self._greens(self._none, self._above[0])

    def each_slice(self) -> Iterator[Matrices]:
        """(S, C, N, N) Green's functions of one slice after the other, the fields as they are; the memory is used
        again for the next."""
        G, below = self.bottom(), self._none
        for f, block in enumerate(self.blocks):
            for t in block:
                self._wrap_up(G, t)
                if t < block[-1]:
                    yield G
            below = self._extended_below(below, f)
            G = self._greens(below, self._above[f + 1])
            yield G

    def rolled(self, start: int) -> GreensFunctions:
        """Those of the same fields with slice ``start`` as the first one."""
        field_CTN = np.roll(self.field_CTN, -start, axis=1)
        return GreensFunctions(self.fermions, field_CTN, self.state_CV, self.interval)

    def each_distance(self) -> Iterator[tuple[Matrices, Matrices, Matrices]]:
        """(S, C, N, N) G(tau, tau), G(tau, 0)_ij = <c_i(tau) c+_j> and G(0, tau)_ij = -<c+_j(tau) c_i> of tau = 0 to
        beta, one slice after the other, tau counted from before the first; the memory is used again for the next.

        At tau = 0 the operators stand in the order that tau > 0 gives them.
        """
        below, unhop_NN = self._none, self.fermions.unhop_NN.astype(self.vertex_SCTN.dtype)
        for f, block in enumerate(self.blocks):
            now, later, earlier = unequal_times(below, self._above[f])
            yield now, later, earlier
            for t in block[:-1]:
                vertex_SCN = self.vertex_SCTN[:, :, t]
                self._wrap_up(now, t)
                self._hopping.multiply(stacked(vertex_SCN, 1), stacked(later, 2), self._spare)
                earlier = (earlier @ unhop_NN) / vertex_SCN[..., None, :]
                yield now, later, earlier
            below = self._extended_below(below, f)
        yield unequal_times(below, self._none)

    def drift(self) -> NDArray[np.float64]:
        """(C,) the largest error of an entry of G that wrapping causes on a pass over ``each_slice``."""
        drift_C = np.zeros(len(self.field_CTN))
        G, below = self.bottom(), self._none
        for f, block in enumerate(self.blocks):
            for t in block:
                self._wrap_up(G, t)
            below = self._extended_below(below, f)
            G = _compared(G, self._greens(below, self._above[f + 1]), drift_C)
        return drift_C

    def log_weight(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(C,) sign of the fields' weights, and the logarithm of their size."""
        phase_SC, size_SC = log_determinant(self._none, self._above[0])
        explicit_C = self.fermions.log_weight_2[(self.field_CTN + 1) // 2].sum(axis=(1, 2))
        copies = 2 // len(phase_SC)
        phase_C = phase_SC.prod(axis=0) * np.exp(1j * explicit_C.imag) if copies == 1 else np.ones(len(explicit_C))
        return np.sign(phase_C.real), copies * size_SC.sum(axis=0) + explicit_C.real

    def _greens(self, below: Factors, above: Factors) -> Matrices:
        return greens(*(None if factors is self._none else factors for factors in (below, above)))

    def _extend_above(self, f: int) -> None:
        """(C_f)^T of what is above; ``B^T = E^T V``, the last slice of the block first."""
        X = self._above[f + 1].U.copy()
        for t in reversed(self.blocks[f]):
            self._hopping.multiply_transposed(stacked(X, 2), stacked(self.vertex_SCTN[:, :, t], 1), self._spare)
        self._above[f] = self._above[f + 1].extended(X)

    def _extended_below(self, below: Factors, f: int) -> Factors:
        """C_f of what is below."""
        X = below.U.copy()
        for t in self.blocks[f]:
            self._hopping.multiply(stacked(self.vertex_SCTN[:, :, t], 1), stacked(X, 2), self._spare)
        return below.extended(X)

    def _wrap_up(self, G: Matrices, t: int) -> None:
        """G(t) from G(t - 1), in its place: V E G E^-1 V^-1."""
        vertex_KN = stacked(self.vertex_SCTN[:, :, t], 1)
        self._hopping.conjugate(stacked(G, 2), self._spare)
        scale(stacked(G, 2), vertex_KN, 1 / vertex_KN)

    def _wrap_down(self, G: Matrices, t: int) -> None:
        """G(t - 1) from G(t), in its place: E^-1 V^-1 G V E."""
        vertex_KN = stacked(self.vertex_SCTN[:, :, t], 1)
        scale(stacked(G, 2), 1 / vertex_KN, vertex_KN)
        self._hopping.conjugate_back(stacked(G, 2), self._spare)

    def _update(self, G: Matrices, t: int) -> None:
        """Propose all flips of slice ``t``; G and the slice's matrices follow."""
        field_CN = self.field_CTN[:, t].copy()
        update_slice(
            G,
            field_CN,
            self.state_CV,
            self._change_S2,
            self._explicit_2,
            self.accepted_C,
        )
        self.field_CTN[:, t] = field_CN
        self.vertex_SCTN[:, :, t, : field_CN.shape[1]] = self.fermions.vertex_S2[:, (field_CN + 1) // 2]


def _compared(wrapped: Matrices, fresh: Matrices, drift_C: NDArray[np.float64]) -> Matrices:
    """``fresh``; ``drift_C`` grows to the largest difference (not a number: infinite)."""
    difference_C = np.abs(wrapped - fresh).max(axis=(0, 2, 3))
    np.maximum(drift_C, np.where(np.isfinite(difference_C), difference_C, np.inf), out=drift_C)
    return fresh
