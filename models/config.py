"""What a network is and how it is trained: settings that check themselves."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, NamedTuple

Network = Literal["shallow", "table-1"]


class Adam(NamedTuple):
    """Settings of the optimizer that a network is trained with unless told otherwise."""

    learning_rate: float
    betas: tuple[float, float]


ADAM: dict[Network, Adam] = {
    "shallow": Adam(3e-3, (0.9, 0.999)),
    # Huang, Hu and Yang, arXiv:2110.08082, Table I.
    "table-1": Adam(1e-3, (0.5, 0.999)),
}


VERSION = 1
"""Raised when equal settings come to train to other weights: models of the two are then told apart."""

AUTO_FRACTION = 0.2
"""beta / lam by default. Measured: phases are told apart, and generated in their shares, for .06 to .45."""
WARN_FRACTION = 0.6
"""beta / lam above which axes align too slowly. Measured at .6, no kick: 42 degrees off after 120 epochs."""
COLLAPSE_FRACTION = 0.9
"""beta / lam from which latents are as good as collapsed. Theory: 1. Measured: at .95 at most .055 nats are left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """One network.

    Raises:
        ValueError: a size below 1, table-1 on a lattice whose sides are not multiples of 4, or a setting that
            the chosen network does not have.
    """

    shape: tuple[int, int, int]
    """Channels, rows and columns of a configuration."""
    network: Network = "shallow"
    """"shallow": one hidden layer in encoder and decoder; "table-1": the convolutional one of arXiv:2110.08082."""
    latent: int = 2
    """Latent variables Z."""
    likelihood: Literal["bernoulli"] = "bernoulli"
    """Distribution of a configuration given the decoder's fields."""
    padding: Literal["periodic", "same"] = "periodic"
    """Boundary of table-1's convolutions: "periodic" as the lattice, or zeros ("same") as published."""
    hidden: int = 128
    """Units of shallow's hidden layers; table-1's widths are the published ones."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be channels, rows, columns, each at least 1, got {self.shape}")
        if self.latent < 1:
            raise ValueError(f"latent must be at least 1, got {self.latent}")
        if self.network not in ADAM:
            raise ValueError(f"network must be one of {', '.join(ADAM)}, got {self.network!r}")
        if self.likelihood != "bernoulli":
            raise ValueError(f'likelihood must be "bernoulli", got {self.likelihood!r}')
        if self.padding not in ("periodic", "same"):
            raise ValueError(f'padding must be "periodic" or "same", got {self.padding!r}')
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {self.hidden}")
        if self.network == "table-1":
            self._check_table1()
        elif self.padding != "periodic":
            raise ValueError(f"padding is a setting of table-1; {self.network} has no convolutions to pad")

    def _check_table1(self) -> None:
        if any(side % 4 for side in self.shape[1:]):
            raise ValueError(f"table-1 needs rows and columns that are multiples of 4, got {self.shape[1:]}")
        if self.hidden != 128:
            raise ValueError(f"hidden is a setting of shallow; table-1 has its own widths, got {self.hidden}")

    @property
    def sites(self) -> int:
        """Binary variables N of a configuration, channels included."""
        channels, rows, columns = self.shape
        return channels * rows * columns


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How every run of a stack is trained.

    Raises:
        ValueError: a count below 1, a learning rate that is not positive, or one epoch alone with a kick, which
            has no middle to kick at.
    """

    epochs: int = 20
    """Passes over the training data."""
    batch: int = 128
    """Samples per step and run, over all workers; all samples where there are fewer."""
    learning_rate: float | None = None
    """Step size of Adam until 60 % of the steps, then linearly to zero; None: 3e-3 for shallow, 1e-3 for table-1."""
    axes: Literal["quartimax", "none"] = "quartimax"
    """"quartimax": rotate the latents onto their natural axes after ``kick_epochs``; "none": never."""

    def __post_init__(self) -> None:
        if self.axes not in ("quartimax", "none"):
            raise ValueError(f'axes must be "quartimax" or "none", got {self.axes!r}')
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")
        if self.epochs < 2 and self.axes == "quartimax":
            raise ValueError(f'epochs must be at least 2 with axes = "quartimax", got {self.epochs}')
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}")
        rate = self.learning_rate
        if rate is not None and not (rate > 0 and isfinite(rate)):
            raise ValueError(f"learning_rate must be positive and finite, got {rate}")

    @property
    def kick_epochs(self) -> tuple[int, ...]:
        """Epochs after which the latents are rotated: half of all, and nine tenths.

        The first rotation finds the axes while there is time to adapt to them. The second takes back what the frame
        has turned since: at the full learning rate it wanders by some 10 degrees within an epoch.
        """
        if self.axes == "none":
            return ()
        return tuple(sorted({self.epochs // 2, self.epochs * 9 // 10}))


class Run(NamedTuple):
    """One member of a sweep."""

    beta: float
    """Weight of the KL divergence in the objective, positive; in nats, like the likelihood summed over sites."""
    seed: int
    """Decides initialization, shuffle and noise; at least 0, below 2^63."""
