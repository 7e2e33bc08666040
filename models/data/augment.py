"""Augmentation: every sample that training sees is turned by a symmetry drawn at random.

An element of the group is one whole number per sample, drawn for a whole epoch as the shuffle is: workers that share a
batch, and a training that goes on within an epoch, turn the same samples by the same elements.

Axes: M samples of all members, F features, K channels of features, N sites of a channel, H rows, W columns.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from models.compute.chunks import rows_at_once
from models.compute.streams import stream
from models.config import STAGGERED_TRANSLATIONS, ModelConfig


class Augmentation:
    """The group that some symmetries generate, acting on features.

    A source is read at every site (i, j) and channel c of the result: (+-i + a, +-j + b) or with i and j exchanged, and
    +-c + d, all periodic. ``flip`` turns x into -x, and counts states from the other end.

    Args:
        symmetries: some of ``models.config.SYMMETRIES``, each once.
        model: shape and variable of a configuration.

    Raises:
        ValueError: the point group or translations that change signs on a lattice that does not have them.
    """

    def __init__(self, symmetries: Sequence[str], model: ModelConfig) -> None:
        channels, rows, columns = model.shape
        self._shape, self._width = model.shape, model.width
        self._reverses_states = model.variable == "states"
        self._is_staggered = STAGGERED_TRANSLATIONS in symmetries
        if "point-group" in symmetries and rows != columns:
            raise ValueError(f"augment: the point group needs as many rows as columns, got {rows} and {columns}")
        if self._is_staggered and (rows % 2 or columns % 2):
            raise ValueError(f"augment: staggered translations need even rows and columns, got {rows} and {columns}")
        is_moved = self._is_staggered or "translations" in symmetries
        is_turned, is_shifted = "point-group" in symmetries, "time" in symmetries
        # Row and column shifts; signs of both, and whether they are exchanged; shift and sign of channels; flip.
        self._factors = (
            *((rows, columns) if is_moved else (1, 1)),
            *((2, 2, 2) if is_turned else (1, 1, 1)),
            *((channels, 2) if is_shifted else (1, 1)),
            2 if "flip" in symmetries else 1,
        )

    @property
    def order(self) -> int:
        """Elements of the group."""
        return prod(self._factors)

    def elements(self, samples: int, seed: int, epoch: int) -> Tensor:
        """(samples,) int64 on the CPU: what one member turns its samples by in one epoch, in the order it sees them."""
        return torch.randint(self.order, (samples,), generator=stream(seed, "augment", epoch))

    def turn(self, x_MF: Tensor, element_M: Tensor, out_MF: Tensor) -> None:
        """Write the samples ``x_MF``, each turned by its element, into ``out_MF``, another tensor of that shape."""
        at_once = rows_at_once(len(x_MF), x_MF.shape[1])
        parts = zip(x_MF.split(at_once), element_M.split(at_once), out_MF.split(at_once), strict=True)
        for part_MF, some_M, turned_MF in parts:
            self._turn(part_MF, some_M, turned_MF)

    def _turn(self, x_MF: Tensor, element_M: Tensor, out_MF: Tensor) -> None:
        digits = []
        for factor in self._factors:
            digits.append(element_M % factor)
            element_M = torch.div(element_M, factor, rounding_mode="floor")
        down, right, turned_rows, turned_columns, exchanged, later, reversed_time, flipped = digits
        is_flipped_M = flipped.bool()
        if self._is_staggered:
            # Sublattices change places, and the staggered configuration its sign.
            is_flipped_M = is_flipped_M ^ ((down + right) % 2).bool()
        source_MN = self._sites(down, right, turned_rows, turned_columns, exchanged.bool())
        source_MK = self._channels(later, reversed_time, is_flipped_M)
        samples, width = source_MK.shape
        first_M1 = width * torch.arange(samples, device=x_MF.device).unsqueeze(1)
        x_MKN = x_MF.reshape(samples * width, -1).index_select(0, (first_M1 + source_MK).flatten())
        x_MKN = x_MKN.view(samples, width, -1)
        torch.gather(x_MKN, 2, source_MN.unsqueeze(1).expand_as(x_MKN), out=out_MF.view_as(x_MKN))
        if not self._reverses_states:
            out_MF.mul_((1 - 2 * is_flipped_M.to(out_MF)).unsqueeze(1))

    def _sites(self, down: Tensor, right: Tensor, rows: Tensor, columns: Tensor, exchanged: Tensor) -> Tensor:
        """(M, N) which site each site is read from; signs are 0 or 1 for + or -."""
        _, height, width = self._shape

        def places(shift: Tensor, sign: Tensor, length: int) -> Tensor:
            along = torch.arange(length, device=shift.device)
            return (along * (1 - 2 * sign.unsqueeze(1)) + shift.unsqueeze(1)) % length

        row_MH, column_MW = places(down, rows, height) * width, places(right, columns, width)
        source_MHW = row_MH.unsqueeze(2) + column_MW.unsqueeze(1)
        if self._factors[4] > 1:
            other_MHW = row_MH.unsqueeze(1) + column_MW.unsqueeze(2)
            source_MHW = torch.where(exchanged.view(-1, 1, 1), other_MHW, source_MHW)
        return source_MHW.flatten(1)

    def _channels(self, later: Tensor, reversed_time: Tensor, is_flipped_M: Tensor) -> Tensor:
        """(M, K) which channel of features each is read from: channels of states are one-hot, a feature per state."""
        channels = self._shape[0]
        along = torch.arange(channels, device=later.device)
        source_MC = (along * (1 - 2 * reversed_time.unsqueeze(1)) + later.unsqueeze(1)) % channels
        feature = torch.arange(self._width, device=later.device).expand(len(later), -1)
        if self._reverses_states:
            feature = torch.where(is_flipped_M.unsqueeze(1), self._width - 1 - feature, feature)
        return (source_MC.unsqueeze(2) * self._width + feature.unsqueeze(1)).flatten(1)
