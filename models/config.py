"""What a network is and how it is trained: settings that check themselves."""

from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Literal, NamedTuple, get_args

Variable = Literal["spins", "states", "angles", "values"]
"""What is stored of a site: -1 or +1; one of q states; an angle in radians; a real number."""
Network = Literal["shallow", "table-1", "convolutional"]
Likelihood = Literal["bernoulli", "multinomial", "gaussian", "von-mises", "thermal"]
Model = Literal["beta-vae", "beta2-vae"]
Posterior = Literal["diagonal", "isotropic"]
Precision = Literal["float32", "bfloat16"]

CHOICES: dict[str, Any] = {
    "network": Network,
    "variable": Variable,
    "model": Model,
    "posterior": Posterior,
    "likelihood": Likelihood,
}
"""Settings of a network that are one of several names."""

LIKELIHOODS: dict[Variable, tuple[Likelihood, ...]] = {
    "spins": ("bernoulli", "thermal", "gaussian"),
    "states": ("multinomial", "thermal"),
    "angles": ("von-mises", "gaussian"),
    "values": ("gaussian",),
}
"""The likelihoods that fit each variable, the natural one first."""


STAGGERED_TRANSLATIONS = "staggered-translations"
"""Translations of a configuration that is given times (-1)^(x + y): those by an odd number of sites change its sign."""
SYMMETRIES = ("translations", STAGGERED_TRANSLATIONS, "point-group", "time", "flip")
"""By which training may turn samples: all shifts of the lattice; the eight operations of the square; cyclic shifts and
reversal of the channels (imaginary time); x -> -x, of states the reversal of their order."""


class Adam(NamedTuple):
    """Settings of the optimizer that a network is trained with unless told otherwise."""

    learning_rate: float
    betas: tuple[float, float]


ADAM: dict[Network, Adam] = {
    "shallow": Adam(3e-3, (0.9, 0.999)),
    # Huang, Hu and Yang, arXiv:2110.08082, Table I.
    "table-1": Adam(1e-3, (0.5, 0.999)),
    "convolutional": Adam(3e-3, (0.9, 0.999)),
}
HIDDEN = 128
"""Hidden units unless told otherwise."""


VERSION = 1
"""Raised when equal settings come to train to other weights, beyond rounding: models of the two are then told apart."""

AUTO_FRACTION = 0.2
"""beta / lam by default. Measured: phases are told apart, and generated in their shares, for .06 to .45."""
THERMAL_BETA = 2.0
"""beta by default of the thermal likelihood: it leaves the latents what neighbours do not say, which is far less."""
WARN_FRACTION = 0.6
"""beta / lam above which axes align too slowly. Measured at .6, no kick: 42 degrees off after 120 epochs."""
COLLAPSE_FRACTION = 0.9
"""beta / lam from which latents are as good as collapsed. Theory: 1. Measured: at .95 at most .055 nats are left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """One network.

    Raises:
        ValueError: a size below 1, a likelihood that does not fit the variable, table-1 on a lattice whose sides are
            not multiples of 4, thermal on one without an even side, or a setting that the chosen network or
            likelihood does not have.
    """

    shape: tuple[int, int, int]
    """Channels, rows and columns of a stored configuration."""
    variable: Variable = "spins"
    """What is stored of a site."""
    states: int = 2
    """q of the variable "states"."""
    model: Model = "beta-vae"
    """"beta2-vae": the decoder's fields are products with a local inverse temperature (arXiv:2110.08082, Table II)."""
    network: Network = "shallow"
    """"shallow": one hidden layer in encoder and decoder; "table-1": the convolutional one of arXiv:2110.08082;
    "convolutional": equivariant under translations, for lattices of any size with the same parameters."""
    latent: int = 2
    """Latent variables Z."""
    posterior: Posterior = "diagonal"
    """"diagonal": a standard deviation for each latent; "isotropic": one for all, so that the objective prefers no
    axes: for order parameters whose components belong together."""
    likelihood: Likelihood = "bernoulli"
    """Distribution of a configuration given the decoder's output."""
    variance: float | Literal["learned"] = 1.0
    """Of the Gaussian likelihood: fixed, or one number learned with the network."""
    local_beta: float = 0.5
    """About what the local inverse temperatures of a beta2-vae are before training, in (0, 1)."""
    padding: Literal["periodic", "same"] = "periodic"
    """Boundary of table-1's convolutions: "periodic" as the lattice, or zeros ("same") as published."""
    hidden: int = HIDDEN
    """Units of the hidden layers of shallow and convolutional; table-1's widths are the published ones."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be channels, rows, columns, each at least 1, got {self.shape}")
        for name, kind in CHOICES.items():
            value = getattr(self, name)
            if value not in get_args(kind):
                raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}, got {value!r}")
        if self.latent < 1:
            raise ValueError(f"latent must be at least 1, got {self.latent}")
        if self.padding not in ("periodic", "same"):
            raise ValueError(f'padding must be "periodic" or "same", got {self.padding!r}')
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {self.hidden}")
        self._check_likelihood()
        self._check_network()

    def _check_likelihood(self) -> None:
        fitting = LIKELIHOODS[self.variable]
        if self.likelihood not in fitting:
            names = " or ".join(f'"{name}"' for name in fitting)
            raise ValueError(f'likelihood must be {names} for {self.variable}, got "{self.likelihood}"')
        if self.variable == "states" and self.states < 2:
            raise ValueError(f"states must be at least 2, got {self.states}")
        if self.variable != "states" and self.states != 2:
            raise ValueError(f"states is a setting of the variable states, not of {self.variable}; got {self.states}")
        if self.likelihood == "thermal":
            if any(side % 2 for side in self.shape[1:]):
                raise ValueError(f"likelihood thermal needs even rows and columns to refine, got {self.shape[1:]}")
            if self.model == "beta2-vae":
                raise ValueError(
                    'model "beta2-vae" needs a likelihood with one linear field a site, which thermal lacks'
                )
        if self.model != "beta2-vae" and self.local_beta != 0.5:
            raise ValueError(f"local_beta is a setting of the model beta2-vae, not of {self.model}")
        if not 0 < self.local_beta < 1:
            raise ValueError(f"local_beta must be between 0 and 1, got {self.local_beta}")
        if self.likelihood != "gaussian" and self.variance != 1.0:
            raise ValueError(f"variance is a setting of the Gaussian likelihood, not of {self.likelihood}")
        if self.variance != "learned" and not (
            isinstance(self.variance, int | float) and self.variance > 0 and isfinite(self.variance)
        ):
            raise ValueError(f'variance must be positive and finite, or "learned", got {self.variance!r}')

    def _check_network(self) -> None:
        if self.network == "table-1":
            if any(side % 4 for side in self.shape[1:]):
                raise ValueError(
                    f"network table-1 needs rows and columns that are multiples of 4, got {self.shape[1:]}"
                )
            if self.hidden != HIDDEN:
                raise ValueError(f"hidden is not a setting of table-1, which has its own widths; got {self.hidden}")
        elif self.padding != "periodic":
            raise ValueError(f"padding is a setting of table-1; {self.network} has no boundary to pad")

    @property
    def sites(self) -> int:
        """Variables N of a configuration, channels included."""
        return prod(self.shape)

    @property
    def features(self) -> tuple[int, int, int]:
        """Channels, rows and columns of what the network sees of a configuration."""
        channels, rows, columns = self.shape
        return channels * self.width, rows, columns

    @property
    def width(self) -> int:
        """Features per variable: q for states (one-hot), two for angles (cosine and sine), else one."""
        return {"spins": 1, "states": self.states, "angles": 2, "values": 1}[self.variable]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How every member of a stack is trained.

    Raises:
        ValueError: a count below 1, a learning rate that is not positive, or one epoch alone with a kick, which
            has no middle to kick at.
    """

    epochs: int = 20
    """Passes over the training data."""
    batch: int = 128
    """Samples per step and member, over all workers; all samples where there are fewer."""
    learning_rate: float | None = None
    """Step size of Adam until 60 % of the steps, then linearly to zero; None: the network's own of ``ADAM``. It
    belongs to the batch over all workers and does not depend on how many they are."""
    axes: Literal["quartimax", "none"] = "quartimax"
    """"quartimax": rotate the latents onto their natural axes after ``kick_epochs``; "none": never."""
    free_energy: bool = False
    """Whether to take the free energy of the latent space and the encoder's gap after every epoch (Eq. 12); for one
    or two latents and likelihoods of independent sites."""
    precision: Precision = "float32"
    """"bfloat16": products and convolutions of training in it; posteriors, likelihood, KL divergence, parameters and
    optimizer stay in float32, and so does all that is done with a trained network."""
    compile: bool = False
    """Whether torch.compile makes the forward and backward passes of training; changes rounding alone."""
    augment: tuple[str, ...] = ()
    """Symmetries, of ``SYMMETRIES``, by which every sample is turned at random each time that training sees it."""

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}")
        if not set(self.augment) <= set(SYMMETRIES) or len(set(self.augment)) < len(self.augment):
            raise ValueError(f"augment must be some of {', '.join(SYMMETRIES)}, each once, got {self.augment}")
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


class Member(NamedTuple):
    """One member of a sweep."""

    beta: float
    """Weight of the KL divergence in the objective, positive; in nats, like the likelihood summed over sites."""
    seed: int
    """Decides initialization, shuffle and noise; at least 0, below 2^63."""
