"""What a decoder's fields mean: the mean field of each latent vector against the spins that are encoded there.

A Bernoulli decoder is a mean-field Hamiltonian (arXiv:2110.08082, Eqs. 10 and 11). If it has learned the conditional
mean, its m(z) is E[sigma | z] of the data and its field the logit of that. Weiss's theory would set the field of a spin
to that of its four neighbours at the temperature of the data.

Axes: S samples, F features, bins of one latent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.errors import RESAMPLES, Array, Chains, Estimate, bootstrap

SMALLEST_BIN = 20
"""Samples below which a bin is left out."""
NEIGHBOURS = 4


class Bin(NamedTuple):
    """Samples whose latent lies in one interval."""

    latent: float
    """Their mean latent."""
    samples: int
    order: Estimate
    """E[o | z]: mean order parameter of the samples."""
    decoded: Estimate
    """The same of the mean fields that their latents decode to."""
    field: Estimate
    """Mean field h of the decoder along the order parameter's pattern; a logit, in units of temperature."""
    conditional_field: Estimate
    """2 artanh E[o | z]: the field of independent spins with that mean."""
    weiss_field: Estimate
    """2 x 4 |J| o / T, averaged: the logit of a spin in the mean field of its four neighbours."""


class DecoderReading(NamedTuple):
    """A decoder read along one latent."""

    bins: tuple[Bin, ...]
    deviation: Estimate
    """Root mean square of decoded - E[o | z] over bins, each counted once."""


def read(
    latent_S: Array,
    order_S: Array,
    decoded_S: Array,
    field_S: Array,
    ratio_S: Array,
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    bins: int = 15,
) -> DecoderReading:
    """Compare decoder and data in bins of one latent.

    Args:
        latent_S: latent of each sample that stands for the order parameter.
        order_S: order parameter per site of each sample, within [-1, 1].
        decoded_S: the same of the mean fields that the sample's latents decode to.
        field_S: the decoder's field, averaged over sites with the signs of the order parameter's pattern.
        ratio_S: |J| / T of each sample.
        chains: from ``index_chains``, for the same rows.
        rng: draws the bootstrap resamples.
        resamples: their number.
        bins: intervals of equal width between the smallest and the largest latent; fewer for fewer samples.

    Raises:
        ValueError: unequal numbers of rows, or no bin with enough samples.
    """
    columns = (latent_S, order_S, decoded_S, field_S, ratio_S)
    if len({len(column) for column in columns} | {len(chains.chain_S)}) > 1:
        raise ValueError(f"need one number per sample in each column, got {[len(column) for column in columns]}")
    bins = min(bins, max(1, len(latent_S) // (3 * SMALLEST_BIN)))
    edges = np.linspace(latent_S.min(), latent_S.max(), bins + 1)
    bin_S = np.clip(np.searchsorted(edges, latent_S, side="right") - 1, 0, bins - 1)
    count_B = np.bincount(bin_S, minlength=bins)
    used = np.flatnonzero(count_B >= SMALLEST_BIN)
    if not len(used):
        raise ValueError(f"no bin of the latent has {SMALLEST_BIN} samples; the fullest has {count_B.max()}")
    values_SV = np.stack([latent_S, order_S, decoded_S, field_S, 2 * NEIGHBOURS * ratio_S * order_S], axis=1)
    is_in_SB = (bin_S[:, None] == used).astype(float)
    features_SF = np.hstack([is_in_SB, *(is_in_SB * value_S[:, None] for value_S in values_SV.T)])

    def statistic(mean_F: Array) -> Array:
        share_B, *sums = np.split(mean_F, 1 + values_SV.shape[1])
        # A bin that a resample leaves empty says nothing about it: its middle value instead of nan.
        _, order_B, decoded_B, field_B, weiss_B = (
            np.divide(part_B, share_B, out=np.zeros_like(part_B), where=share_B > 0) for part_B in sums
        )
        # A bin whose samples are all fully ordered has no finite field; it is shown at the edge of double precision.
        conditional_B = 2 * np.arctanh(np.clip(order_B, -1 + 1e-12, 1 - 1e-12))
        deviation = np.sqrt(np.mean((decoded_B - order_B) ** 2))
        return np.concatenate([order_B, decoded_B, field_B, conditional_B, weiss_B, [deviation]])

    estimates = bootstrap(statistic, features_SF, chains, rng, resamples)
    by_quantity = [estimates[i : i + len(used)] for i in range(0, 5 * len(used), len(used))]
    return DecoderReading(
        tuple(
            Bin(
                float(latent_S[bin_S == b].mean()),
                int(count_B[b]),
                *(quantity[i]._replace(samples=int(count_B[b])) for quantity in by_quantity),
            )
            for i, b in enumerate(used)
        ),
        estimates[-1],
    )
