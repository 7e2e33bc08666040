"""Markov chains of an auxiliary field: what the systems of correlated fermions share.

A sweep is a pass up and a pass down the Trotter slices, so each site of each slice is proposed twice.  Chains go one
batch after the other, since their Green's functions take far more memory than their fields.  Fields and random
generators are all that a chain is: Green's functions follow from the fields, and are kept from one call of ``advance``
to the next, for the first few batches, only because they take a fifth of a sweep or more to be made again.

After too many slices without being computed anew the Green's functions are wrong.  Every chain has an interval of its
own: a sweep that was wrong by more than ``LARGEST_DRIFT`` is taken back and made again with half of it.

Axes: R chains, C chains of a batch, T slices, I rows, J columns, N = I J sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from simulators.chains import Arrays, swap
from simulators.fermions.determinants import one_thread
from simulators.fermions.greens_functions import TOGETHER, Fermions, GreensFunctions
from simulators.rng.sfc64 import generators

LARGEST_DRIFT = 1e-6
BATCH_BYTES = 2**20
"""Green's functions of the chains that are swept together: they fit a core's cache."""
CACHE_BYTES = 2**24
"""Green's functions of fields that have been swept and will be again."""


class SingularField(RuntimeError):
    """A field whose Green's function cannot be computed to ``LARGEST_DRIFT``."""


class FieldUpdates:
    """Single flips of the fields of all chains.

    A subclass says what the field does to the fermions: ``fermions`` of a spec.

    Args:
        spec: has ``shape`` = (T, I, J) and ``interval``, the slices after which Green's functions are first computed
            anew.
        states_RTIJ: fields, -1 or 1.
        rng: source of all randomness.
    """

    lines: ClassVar[int] = 0
    """Sites of which the field is proposed to be flipped in all slices at once, after every sweep."""

    def __init__(self, spec: Any, states_RTIJ: NDArray[np.int8], rng: np.random.Generator) -> None:
        self.spec = spec
        self.states_RTIJ = states_RTIJ.copy()
        self.state_RV = generators(rng, len(states_RTIJ))
        self.counts_2 = np.zeros(2, dtype=np.int64)
        self.interval_R = np.full(len(states_RTIJ), spec.interval)
        self.drift_R = np.zeros(len(states_RTIJ))
        """Largest error of the Green's functions in any sweep that counted."""
        self.model = self.fermions(spec)
        self._cache: dict[int, GreensFunctions] = {}
        """By the first of their chains; good as long as the fields are theirs."""

    @staticmethod
    def fermions(spec: Any) -> Fermions:
        raise NotImplementedError

    def advance(self, sweeps: int) -> None:
        """Sweep every chain; a run cut in two is the same run, bit for bit.

        Raises:
            SingularField: Green's functions cannot be computed, even anew at every slice.
        """
        if sweeps:
            with one_thread().limit(limits=1, user_api="blas"):
                batches = list(self.batches())
                firsts = {int(chosen_C[0]) for chosen_C in batches}
                self._cache = {first: greens for first, greens in self._cache.items() if first in firsts}
                for chosen_C in batches:
                    self._advance(chosen_C, sweeps)

    def batches(self) -> Iterator[NDArray[np.int64]]:
        """Chains of equal intervals, as many as may share memory."""
        orbitals = len(self.model.hop_NN)
        species = len(self.model.vertex_S2)
        size = orbitals**2 * self.model.vertex_S2.itemsize * species
        most = max(1, BATCH_BYTES // size) if orbitals <= TOGETHER else 1
        # All at once: intervals may change while batches are used.
        groups = [np.flatnonzero(self.interval_R == interval) for interval in np.unique(self.interval_R)]
        for group in groups:
            yield from (group[first : first + most] for first in range(0, len(group), most))

    def greens_functions(self, chosen_C: NDArray[np.int64]) -> GreensFunctions:
        """Those of copies of the chosen chains' fields and generators; the chains have equal intervals.

        They are to be looked at, not swept, and good until the next ``advance``.

        Raises:
            SingularField: they cannot be computed.
        """
        field_CTN = self.states_RTIJ[chosen_C].reshape(len(chosen_C), self.spec.shape[0], -1)
        interval = int(self.interval_R[chosen_C[0]])
        entry = self._cache.get(int(chosen_C[0]))
        if entry is not None and entry.interval == interval and np.array_equal(entry.field_CTN, field_CTN):
            entry.state_CV[:] = self.state_RV[chosen_C]
            return entry
        return GreensFunctions(self.model, field_CTN, self.state_RV[chosen_C], interval)

    def settle(self) -> None:
        """Halve the intervals with which Green's functions of the fields as they are would be wrong.

        Sweeps do so by themselves; fields that come from elsewhere have not been swept.

        Raises:
            SingularField: Green's functions cannot be computed, even anew at every slice.
        """
        with one_thread().limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
            waiting = list(self.batches())
            while waiting:
                chosen_C = waiting.pop()
                try:
                    drift_C = self.greens_functions(chosen_C).drift()
                except LinAlgError:
                    if len(chosen_C) > 1:
                        waiting += [np.array([r]) for r in chosen_C]
                        continue
                    drift_C = np.array([np.inf])
                inaccurate_C = drift_C > LARGEST_DRIFT
                if inaccurate_C.any():
                    self._halve(chosen_C[inaccurate_C], drift_C[inaccurate_C])
                    waiting.append(chosen_C[inaccurate_C])

    def _advance(self, chosen_C: NDArray[np.int64], sweeps: int) -> None:
        greens = self.greens_functions(chosen_C)
        self._cache.pop(int(chosen_C[0]), None)
        for sweep in range(sweeps):
            greens.accepted_C[:] = 0
            try:
                drift_C = self._sweep(greens)
            except LinAlgError:
                if len(chosen_C) > 1:
                    # Which one it was shows when each goes on alone.
                    for r in chosen_C:
                        self._advance(np.array([r]), sweeps - sweep)
                    return
                drift_C = np.array([np.inf])
            accurate_C = drift_C <= LARGEST_DRIFT
            self._take_over(greens, chosen_C, accurate_C, drift_C)
            if not accurate_C.all():
                inaccurate, accurate = chosen_C[~accurate_C], chosen_C[accurate_C]
                self._halve(inaccurate, drift_C[~accurate_C])
                self._advance(inaccurate, sweeps - sweep)
                if len(accurate):
                    self._advance(accurate, sweeps - sweep - 1)
                return
        if greens.nbytes + sum(other.nbytes for other in self._cache.values()) <= CACHE_BYTES:
            self._cache[int(chosen_C[0])] = greens

    def _sweep(self, greens: GreensFunctions) -> NDArray[np.float64]:
        # Numbers that are too large come out as an infinite drift.
        with np.errstate(all="ignore"):
            drift_C = greens.sweep()
            for _ in range(self.lines):
                greens.flip_line()
        return drift_C

    def _take_over(
        self,
        greens: GreensFunctions,
        chosen_C: NDArray[np.int64],
        accurate_C: NDArray[np.bool_],
        drift_C: NDArray[np.float64],
    ) -> None:
        """Take over what a sweep made of the chains that it was good for."""
        accurate = chosen_C[accurate_C]
        self.states_RTIJ[accurate] = greens.field_CTN[accurate_C].reshape(len(accurate), *self.spec.shape)
        self.state_RV[accurate] = greens.state_CV[accurate_C]
        self.drift_R[accurate] = np.maximum(self.drift_R[accurate], drift_C[accurate_C])
        self.counts_2 += int(greens.accepted_C[accurate_C].sum()), 2 * len(accurate) * math.prod(self.spec.shape)

    def _halve(self, chosen_C: NDArray[np.int64], drift_C: NDArray[np.float64]) -> None:
        if (self.interval_R[chosen_C] == 1).any():
            raise SingularField(
                f"Green's functions of a field at {self.spec} are wrong by {drift_C.max():.1g}, even when computed "
                f"anew at every slice; a matrix is singular to double precision"
            )
        self.interval_R[chosen_C] //= 2

    def states(self) -> NDArray[np.int8]:
        """(R, T, I, J), a copy."""
        return self.states_RTIJ.copy()

    def arrays(self) -> Arrays:
        """All that a sweep changes."""
        return {
            "states": self.states_RTIJ,
            "generators": self.state_RV,
            "counts": self.counts_2,
            "interval": self.interval_R,
            "drift": self.drift_R,
        }

    def exchange(self, other: Self, chosen_R: NDArray[np.bool_]) -> None:
        """Swap the fields of the chosen chains with those of ``other``."""
        swap(self.states_RTIJ, other.states_RTIJ, chosen_R)

    @property
    def numerics(self) -> dict[str, float]:
        """By how much Green's functions were wrong at most, and the smallest interval that this took."""
        return {"largest_drift": float(self.drift_R.max()), "interval": int(self.interval_R.min())}

    @property
    def acceptance(self) -> float:
        """Single flips accepted over those proposed."""
        return float(self.counts_2[0] / max(1, self.counts_2[1]))
