"""The parts of a study: what each block may say, with defaults, units and bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import annotated_types
from pydantic import ConfigDict, Strict

from models.config import AUTO_FRACTION, HIDDEN, THERMAL_BETA, Likelihood, Model, Network, Posterior, Precision
from workflow.dataset.inputs import Input
from workflow.dataset.origins import DataSource
from workflow.study.grid import Grid

Whole = Annotated[int, Strict(), annotated_types.Ge(1)]
Seed = Annotated[int, Strict(), annotated_types.Ge(0), annotated_types.Lt(2**63)]
Positive = Annotated[float, Strict(), annotated_types.Gt(0)]
Fraction = Annotated[float, Strict(), annotated_types.Gt(0), annotated_types.Lt(1)]


@dataclass(frozen=True, slots=True)
class Beta:
    """One value of beta: a number, or a multiple of an eigenvalue of the training data's covariance."""

    value: float
    relative: bool
    eigenvalue: int = 1
    """Which one it is a multiple of: 1 is lam, the largest; k is lam_k."""

    def resolve(self, eigenvalues: Sequence[float]) -> float:
        """Beta as the objective uses it (multiplies the KL divergence summed over latents, Eq. 4)."""
        return self.value * eigenvalues[self.eigenvalue - 1] if self.relative else self.value

    def __str__(self) -> str:
        if not self.relative:
            return f"{self.value:g}"
        return f"{self.value:g} lam" + ("" if self.eigenvalue == 1 else f"_{self.eigenvalue}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulateBlock:
    """One ``[[simulate]]`` block, its grid multiplied out."""

    system: str
    points: Grid
    samples: int
    """Configurations kept per parameter point, over all its chains."""
    chains: int
    algorithm: str
    thermalization: int | Literal["auto"]
    spacing: int | Literal["auto"]
    measure: tuple[str, ...] = ()
    """What the system measures on request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """The entries of a ``[[simulate]]`` block that are not physics."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    system: str
    samples: Whole
    chains: Annotated[int, Strict(), annotated_types.Ge(4)] = 64
    algorithm: str = "auto"
    thermalization: Annotated[int, Strict(), annotated_types.Ge(0)] | Literal["auto"] = "auto"
    spacing: Whole | Literal["auto"] = "auto"
    measure: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainBlock:
    """One ``[[train]]`` block: which shards, which network, and the sweep over sizes, beta and seeds.

    ``train_settings`` says who takes each entry.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Annotated[str, annotated_types.Predicate(lambda s: bool(re.fullmatch(r"[\w.-]+", s)))]
    select: dict[str, Any] = field(default_factory=dict)
    size: Whole | list[Whole] | None = None
    """Lattice sizes, one network each; all that are selected when left out."""
    input: Input | list[Input] = "raw"
    """What networks get of the stored configurations."""
    augment: Annotated[bool, Strict()] = False
    """Whether training turns every sample at random, by symmetries that all selected points have."""
    sign: str = "ignore"
    """What training does with the sign of a configuration's weight. A likelihood can only ignore it."""
    model: Model = "beta-vae"
    network: Network | list[Network] = "shallow"
    posterior: Posterior = "diagonal"
    padding: Literal["periodic", "same"] = "periodic"
    hidden: Whole = HIDDEN
    likelihood: Likelihood | Literal["auto"] = "auto"
    """"auto": the natural one of what is stored, for spins Bernoulli."""
    variance: Annotated[float, Strict(), annotated_types.Gt(0)] | Literal["learned"] = 1.0
    local_beta: Fraction = 0.5
    latent: Whole = 2
    beta: Annotated[float, Strict()] | str | list[Annotated[float, Strict()] | str] = "auto"
    """Numbers, "auto" (= 0.2 lam; 2 for the thermal likelihood) or multiples like "0.6 lam" and "0.2 lam_16"."""
    axes: Literal["quartimax", "none"] = "quartimax"
    seed: Seed | list[Seed] = 0
    restarts: Whole = 1
    """Trainings of each seed. The best goes on to be analyzed, by a criterion that needs no labels."""
    epochs: Whole = 20
    batch: Whole = 128
    """Samples per step, over all workers."""
    learning_rate: Annotated[float, Strict(), annotated_types.Gt(0)] | None = None
    """Of a step of the whole batch, however many workers share it; None: the network's own (3e-3; 1e-3 table-1)."""
    free_energy: Annotated[bool, Strict()] = False
    """Whether to take the free energy of the latent space (Eq. 12) after every epoch."""
    stop_collapsed: Whole | None = None
    """A training ends after this many epochs in a row in which its latents carry nothing; None: never."""
    held_out: Fraction = 0.25
    """Share of the chains of every shard that training never sees; all analysis is done on them."""
    precision: Precision = "float32"
    compile: Annotated[bool, Strict()] = False
    """Whether torch.compile makes the passes of training."""
    workers: Whole | Literal["auto"] = 1
    """Data-parallel workers; each takes its share of every batch. "auto": several where there are more GPUs than
    trainings."""
    memory: Positive | None = None
    """GiB of training data that a worker keeps in memory; None: a quarter of the machine's memory."""

    @property
    def betas(self) -> tuple[Beta, ...]:
        return tuple(parse_beta(value, self.likelihood) for value in listed(self.beta))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(listed(self.seed))

    @property
    def networks(self) -> tuple[str, ...]:
        return tuple(listed(self.network))

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(listed(self.input))


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalyzeBlock:
    """``[analyze]``: how results are estimated."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    resamples: Annotated[int, Strict(), annotated_types.Ge(50)] = 200
    """Bootstrap resamples of whole chains behind every error."""
    ordered_above: Fraction = 0.5
    """A parameter point is ordered where the mean of |order parameter| exceeds this."""
    cluster_accuracy: Fraction = 0.99
    """What the verdict asks of the cluster accuracy; less where phases overlap, at a transition."""
    ideal: Annotated[bool, Strict()] = False
    """Whether to look for the arrangements of phases in latent space that a perfect decoder would prefer."""
    generated: Annotated[int, Strict(), annotated_types.Ge(16)] = 2000
    """Decoder samples drawn for the shares of phases."""
    kl: Positive | None = None
    """What the verdict asks of the KL per unit, in nats (default 0.3). None here and below: the default."""
    correlation: Fraction | None = None
    """Least |correlation| of an order parameter with its own axis, or of a vector after the best rotation (0.97)."""
    cross: Fraction | None = None
    """Largest |correlation| of an order parameter with another's axis (0.15)."""
    angle: Positive | None = None
    """Largest angle between an order parameter's direction and its axis, in degrees (10)."""
    isometry: Positive | None = None
    """How far the isometry ratio may be from 2 (0.1)."""
    psi4: Fraction | None = None
    """Least confidence of the axes; not judged by default."""
    cosine: Fraction | None = None
    """Largest |cos| between the directions of two order parameters; not judged by default."""
    canonical: Fraction | None = None
    """Least squared canonical correlation with any direction of a vector (0.97)."""
    energy: Positive | None = None
    """Largest energy error per site of what a thermal decoder draws (0.06 for one point, 0.08 for several)."""


VERDICT_ENTRIES = (
    "cluster_accuracy", "kl", "correlation", "cross", "angle", "isometry", "psi4", "cosine", "canonical", "energy",
)  # fmt: skip
"""Entries of ``[analyze]`` on which the verdict alone depends, and no result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A checked study; ``resolved`` is the file with every default filled in."""

    name: str
    seed: int
    simulate: tuple[SimulateBlock, ...]
    data: tuple[DataSource, ...] = ()
    train: tuple[TrainBlock, ...]
    analyze: AnalyzeBlock
    allow_uncertified: bool
    cluster: dict[str, dict[str, Any]] = field(default_factory=dict)
    """``[cluster.*]``, checked: the entries that the file has. No result depends on it."""
    resolved: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TopLevel:
    """The entries of a study file that stand before all of its tables."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Annotated[str, annotated_types.Predicate(lambda s: bool(re.fullmatch(r"\w[\w.-]*", s)))]
    seed: Annotated[int, Strict(), annotated_types.Ge(0)] = 0
    allow_uncertified: Annotated[bool, Strict()] = False
    """Train on and analyze shards whose certificate objects."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parse_beta(raw: float | str, likelihood: str = "auto") -> Beta:
    if raw == "auto":
        return Beta(THERMAL_BETA, relative=False) if likelihood == "thermal" else Beta(AUTO_FRACTION, relative=True)
    if isinstance(raw, str):
        match = re.fullmatch(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?) *lam(?:_([1-9]\d*))?", raw)
        if match is None:
            raise ValueError(f'must be a number, "auto" or a multiple such as "0.6 lam" or "0.2 lam_16", got {raw!r}')
        beta = Beta(float(match[1]), relative=True, eigenvalue=int(match[2] or 1))
    else:
        beta = Beta(float(raw), relative=False)
    if not 0 < beta.value < float("inf"):
        raise ValueError(f"must be positive, got {raw!r}")
    return beta
