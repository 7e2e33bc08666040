"""The parts of a study: what each block may say, with defaults, units and bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import annotated_types
from pydantic import ConfigDict, Strict

from models.config import AUTO_FRACTION
from workflow.data_tasks import DataSource
from workflow.grid import Point

Whole = Annotated[int, Strict(), annotated_types.Ge(1)]
Seed = Annotated[int, Strict(), annotated_types.Ge(0), annotated_types.Lt(2**63)]
Fraction = Annotated[float, Strict(), annotated_types.Gt(0), annotated_types.Lt(1)]


@dataclass(frozen=True, slots=True)
class Beta:
    """One value of beta: a number, or a multiple of lam, the top eigenvalue of the training data's covariance."""

    value: float
    relative: bool

    def resolve(self, top_eigenvalue: float) -> float:
        """Beta as the objective uses it (multiplies the KL divergence summed over latents, Eq. 4)."""
        return self.value * top_eigenvalue if self.relative else self.value

    def __str__(self) -> str:
        return f"{self.value:g} lam" if self.relative else f"{self.value:g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulateBlock:
    """One ``[[simulate]]`` block, its grid multiplied out."""

    system: str
    points: tuple[Point, ...]
    samples: int
    """Configurations kept per parameter point, over all its chains."""
    chains: int
    algorithm: str
    thermalization: int | Literal["auto"]
    spacing: int | Literal["auto"]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainBlock:
    """One ``[[train]]`` block: which shards, which network, and the sweep over sizes, beta and seeds."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Annotated[str, annotated_types.Predicate(lambda s: bool(re.fullmatch(r"[\w.-]+", s)))]
    select: dict[str, Any] = field(default_factory=dict)
    size: Whole | list[Whole] | None = None
    """Lattice sizes, one network each; all that are selected when left out."""
    model: Literal["beta-vae"] = "beta-vae"
    network: Literal["shallow", "table-1"] | list[Literal["shallow", "table-1"]] = "shallow"
    padding: Literal["periodic", "same"] = "periodic"
    likelihood: Literal["bernoulli"] = "bernoulli"
    latent: Whole = 2
    beta: Annotated[float, Strict()] | str | list[Annotated[float, Strict()] | str] = "auto"
    """Numbers, "auto" (= 0.2 lam) or multiples like "0.6 lam"."""
    axes: Literal["quartimax", "none"] = "quartimax"
    seed: Seed | list[Seed] = 0
    epochs: Whole = 20
    batch: Whole = 128
    learning_rate: Annotated[float, Strict(), annotated_types.Gt(0)] | None = None
    """None: the network's own (3e-3 shallow, 1e-3 table-1)."""
    held_out: Fraction = 0.25
    """Share of the chains of every shard that training never sees; all analysis is done on them."""
    workers: Whole = 1
    """Data-parallel workers; each takes its share of every batch."""

    @property
    def betas(self) -> tuple[Beta, ...]:
        return tuple(parse_beta(value) for value in listed(self.beta))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(listed(self.seed))

    @property
    def networks(self) -> tuple[str, ...]:
        return tuple(listed(self.network))


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
    generated: Annotated[int, Strict(), annotated_types.Ge(16)] = 2000
    """Decoder samples drawn for the shares of phases."""


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
    resolved: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Top:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Annotated[str, annotated_types.Predicate(lambda s: bool(re.fullmatch(r"\w[\w.-]*", s)))]
    seed: Annotated[int, Strict(), annotated_types.Ge(0)] = 0
    allow_uncertified: Annotated[bool, Strict()] = False
    """Train on and analyze shards whose certificate objects."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parse_beta(raw: float | str) -> Beta:
    if raw == "auto":
        return Beta(AUTO_FRACTION, relative=True)
    if isinstance(raw, str):
        match = re.fullmatch(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?) *lam", raw)
        if match is None:
            raise ValueError(f'must be a number, "auto" or a multiple such as "0.6 lam", got {raw!r}')
        beta = Beta(float(match[1]), relative=True)
    else:
        beta = Beta(float(raw), relative=False)
    if not 0 < beta.value < float("inf"):
        raise ValueError(f"must be positive, got {raw!r}")
    return beta
