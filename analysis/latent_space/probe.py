"""A linear probe: can a linear classifier read the class off the latents of samples it has not seen?

Axes: S samples, Z latents, P classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from analysis.errors import RESAMPLES, Array, Chains, Estimate, at_least_binomial, bootstrap

PENALTY = 1e-4
"""Weight of |W|^2 / 2 against the mean -ln p of a sample, for latents of unit spread: keeps W finite where classes are
separable, and too weak to move a decision otherwise."""


class Probe(NamedTuple):
    """How well a linear classifier does on held-out samples. Latents are rescaled to unit spread, so the means of a
    collapsed network may score high: probe draws from the posterior beside them, which then score as chance does."""

    accuracy: Estimate
    """Share of the held-out samples that are put into their class."""
    chance: Estimate
    """Share of them in the class that is most frequent in training: what a probe of no information reaches."""
    classes: int
    """Number P of classes in training."""


class Classifier(NamedTuple):
    """Multinomial logistic regression."""

    classes_P: NDArray[np.intp]
    weight_ZP: Array
    bias_P: Array

    def predict(self, x_SZ: Array) -> NDArray[np.intp]:
        """Most probable class of each row."""
        return np.asarray(self.classes_P[(x_SZ @ self.weight_ZP + self.bias_P).argmax(axis=1)])


def fit(x_SZ: Array, label_S: ArrayLike, penalty: float = PENALTY) -> Classifier:
    """Maximize the mean of ln p(label | x), p = softmax(W x + b), minus penalty |W|^2 / 2 for x of unit spread.

    The problem is convex, so there is one solution whatever the start.

    Raises:
        ValueError: unequal numbers of rows, fewer than two classes, or a penalty that is not positive.
    """
    classes_P, class_S = np.unique(np.asarray(label_S), return_inverse=True)
    if x_SZ.ndim != 2 or len(x_SZ) != len(class_S) or len(classes_P) < 2 or not penalty > 0:
        raise ValueError(
            f"need (samples, latents) with one label each, two classes and a positive penalty, got {x_SZ.shape}, "
            f"{len(class_S)} labels, classes {classes_P.tolist()}, penalty {penalty}"
        )
    rows, num_classes = np.arange(len(x_SZ)), len(classes_P)
    centre_Z, spread_Z = x_SZ.mean(axis=0), x_SZ.std(axis=0)
    scale_Z = np.divide(1.0, spread_Z, out=np.zeros_like(spread_Z), where=spread_Z > 0)
    scaled_SZ = (x_SZ - centre_Z) * scale_Z

    def loss(flat: Array) -> tuple[float, Array]:
        weight_ZP, bias_P = np.split(flat.reshape(-1, num_classes), [-1])
        logits_SP = scaled_SZ @ weight_ZP + bias_P
        value = -log_softmax(logits_SP, axis=1)[rows, class_S].mean() + penalty / 2 * (weight_ZP**2).sum()
        error_SP = softmax(logits_SP, axis=1)
        error_SP[rows, class_S] -= 1
        error_SP /= len(rows)
        gradient = np.vstack([scaled_SZ.T @ error_SP + penalty * weight_ZP, error_SP.sum(axis=0)])
        return float(value), gradient.ravel()

    fit = minimize(loss, np.zeros((x_SZ.shape[1] + 1) * num_classes), jac=True, method="L-BFGS-B")
    weight_ZP, bias_P = np.split(fit.x.reshape(-1, num_classes), [-1])
    weight_ZP = scale_Z[:, None] * weight_ZP
    return Classifier(classes_P, weight_ZP, bias_P[0] - centre_Z @ weight_ZP)


def probe(
    train_SZ: Array,
    train_label_S: ArrayLike,
    test_SZ: Array,
    test_label_S: ArrayLike,
    chains: Chains,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Probe:
    """Train a linear classifier on latents of training samples and count how often it is right on held-out ones.

    Args:
        train_SZ: latents of training samples.
        train_label_S: their classes.
        test_SZ: latents of held-out samples.
        test_label_S: their classes; one that training lacks is always missed.
        chains: from ``index_chains``, for the held-out rows.
        rng: draws the bootstrap resamples, over held-out chains; the classifier stays as it is.
        resamples: their number.

    Raises:
        ValueError: as ``fit``, or held-out rows without a label each.
    """
    test_label = np.asarray(test_label_S)
    if test_SZ.shape != (len(test_label), train_SZ.shape[1]):
        raise ValueError(
            f"need held-out latents ({len(test_label)}, {train_SZ.shape[1]}), one label each, got {test_SZ.shape}"
        )
    classifier = fit(train_SZ, train_label_S)
    labels, count = np.unique(np.asarray(train_label_S), return_counts=True)
    is_right_S2 = np.stack([classifier.predict(test_SZ) == test_label, test_label == labels[count.argmax()]], axis=1)
    shares = bootstrap(lambda mean_F: mean_F, is_right_S2.astype(float), chains, rng, resamples)
    accuracy, chance = (
        at_least_binomial(share, is_right) for share, is_right in zip(shares, is_right_S2.T, strict=True)
    )
    return Probe(accuracy, chance, len(labels))
