"""What an analysis of a trained model offers: one file below ``parts``, found by its name.

Such a file ends with ``PART = Part(...)``. It says the type of its result, and gives the function that makes one of a
``ModelContext``; with the rest its numbers are in ``summary.json``, are judged, and are on the page. Nothing else is
edited: see CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from analysis.errors import Estimate
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.models import AnalyzedModel
from workflow.storage.run_directory import RunDirectory
from workflow.verdict.gates import Gate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

R = TypeVar("R")

Number = tuple[str, Estimate]
"""A quantity of ``summary.json`` and what it is."""


class Quantity(NamedTuple):
    """How a number of ``summary.json`` is called on the page, and where it is shown."""

    name: str
    """Or how it begins, with an underscore at the end; then the name of what it is a number of follows."""
    words: str
    """Before that name, where one follows."""
    unit: str = ""
    column: str = ""
    """Head of its column in the table of models; without one, it has none."""
    where: Literal["always", "vectors", "classes"] = "always"
    """For which models: "vectors", where an order parameter has several components (of one that changes sign, the
    correlation says the same); "classes", where there are no order parameters."""
    against_size: bool = True
    """Whether it is in the table against lattice size."""
    of_one_point: bool = False
    """Whether it means something for a model of a single parameter point, where there is no order to find."""

    def names(self, quantity: str) -> bool:
        """Whether ``quantity`` is this one."""
        return quantity.startswith(self.name) if self.name.endswith("_") else quantity == self.name

    def applies(self, has_vectors: bool, has_orders: bool) -> bool:
        """Whether it is shown of a model."""
        return {"always": True, "vectors": has_vectors, "classes": not has_orders}[self.where]


class Drawing(NamedTuple):
    """A figure of the page."""

    name: str
    """Of its file, too."""
    caption: str
    figure: Figure


class Table(NamedTuple):
    """Text in rows and columns; cells are escaped unless they are ``markupsafe.Markup``."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    wrapped: frozenset[str] = frozenset()
    """Heads that may be broken over lines."""


class Section(NamedTuple):
    """A table of the page with its heading, and what must be known to read it."""

    title: str
    table: Table
    note: str
    every_seed: Table | None = None
    """Shown on request."""


def _nothing(*_: Any) -> Iterable[Any]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Part(Generic[R]):
    """One analysis of a trained model.

    A result is made of named tuples, dataclasses, numbers, arrays, text, and lists, tuples and dictionaries of these.
    """

    name: str
    """The file's, and the key of the result in ``analysis/<train_id>.json``."""
    result: Any
    """Type of the result, to read it from JSON again; that of ``analyze`` without None."""
    analyze: Callable[[ModelContext], R | None]
    """The result; None where it does not apply to the model."""
    numbers: Callable[[ModelAnalysis], Iterable[Number]] = _nothing
    """For ``summary.json``: quantities and estimates, from the finished analysis."""
    quantities: tuple[Quantity, ...] = ()
    """What these numbers are called."""
    gates: Mapping[str, tuple[Gate, ...]] = field(default_factory=dict)
    """Further conditions of the verdict, by the subjects of ``workflow.verdict.gates``."""
    section: Callable[[Sequence[AnalyzedModel]], Section | None] = lambda models: None
    """A table of all models for the page; None without any."""
    figures: Callable[[RunDirectory, Sequence[AnalyzedModel], str], Iterable[Drawing]] = _nothing
    """Figures of models that differ in size, beta and seed alone; the text is what these are called.

    Models of a single parameter point are not among them: each knows one point, so they have no figures of parts.
    """
    version: int = 1
    """Raised when its results come to be others: what was analyzed before is then analyzed again."""
