"""Tables of the report: trained models one by one, and against lattice size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analysis import scans
from workflow.analyze.models import AnalyzedModel, of_models, rule_setting
from workflow.analyze.naming import words, written
from workflow.analyze.part import Quantity
from workflow.analyze.parts import canonical, correlation, generated, information
from workflow.analyze.registry import all_parts
from workflow.dataset import inputs
from workflow.report.curves import of_scan
from workflow.verdict.judging import value_text
from workflow.verdict.records import Record

COLUMNS = ("correlation", "canonical", "aligned", "separation", "isometry", "probe", "similarity", "energies")
"""In which columns stand, by the part that they are of; others follow."""
MOST_UNITS = 4
"""Units whose KL is shown one by one."""


class ModelRow(NamedTuple):
    """One model of the table of models."""

    model: AnalyzedModel
    network: str
    kl: str
    numbers: dict[str, str]
    """By quantity; only those that mean something for this model."""
    generated: str

    @property
    def rate(self) -> str:
        return f"{self.model.training.samples_per_second:,.0f}"


class ModelTable(NamedTuple):
    """One line per model."""

    heads: list[str]
    rows: list[tuple[ModelRow, list[str]]]
    """With the cells below these heads."""
    shares: str
    """Phases whose shares are shown; empty where they are not the same for all."""
    orders: str
    """In which order several numbers of a cell stand, where that is the same for all."""


def column_quantities() -> list[Quantity]:
    """All that have a column, in the order of ``COLUMNS``."""
    return [quantity for part in all_parts(COLUMNS) for quantity in part.quantities if quantity.column]


def model_table(models: Sequence[AnalyzedModel], records: Sequence[Record]) -> ModelTable:
    """One line per model; columns that are empty for all are left out."""
    with_column = column_quantities()
    rows = [_model_row(model, of_models(records, [model]), with_column) for model in models]
    used = [quantity for quantity in with_column if any(row.numbers.get(quantity.name) for row in rows)]
    shares = list(dict.fromkeys(names for model in models if (names := _shares(model))))
    heads = ["KL per unit / nat", *(quantity.column for quantity in used), *(["generated"] if shares else [])]
    cells = [
        [row.kl, *(row.numbers.get(quantity.name, "") for quantity in used), *([row.generated] if shares else [])]
        for row in rows
    ]
    listed = list(zip(rows, cells, strict=True))
    return ModelTable(heads, listed, shares[0] if len(shares) == 1 else "", _orders(models))


def _orders(models: Sequence[AnalyzedModel]) -> str:
    listed = {tuple(model.analysis.order_parameters[k] for k in model.analysis.orders) for model in models}
    listed.discard(())
    return ", ".join(map(words, next(iter(listed)))) if len(listed) == 1 else ""


def _shares(model: AnalyzedModel) -> str:
    """The phases that shares of what is generated are of."""
    return " / ".join(words(share.phase) for share in model.analysis[generated.PART] or ())


def _model_row(model: AnalyzedModel, records: Sequence[Record], with_column: Sequence[Quantity]) -> ModelRow:
    analysis = model.analysis
    has_vectors, has_orders = bool(canonical.vectors(analysis)), bool(analysis.order_parameters)
    numbers = {
        quantity.name: ", ".join(
            value_text(record.estimate.value, record.estimate.error)
            for record in records
            if quantity.names(record.quantity)
        )
        for quantity in with_column
        if quantity.applies(has_vectors, has_orders) and (quantity.of_one_point or not model.is_one_point)
    }
    if len(analysis.orders) < 2:
        numbers.pop("cosine", None)
    if analysis[correlation.PART] is None:
        # Confidence in the axes means something only where order parameters have axes.
        numbers.pop("psi4", None)
    shares = analysis[generated.PART] or ()
    return ModelRow(
        model,
        inputs.words(model.training.model.network, model.plan.input_name),
        _kl(model),
        numbers,
        " / ".join(f"{share.share.value:.2f}" for share in shares),
    )


def _kl(model: AnalyzedModel) -> str:
    """Of every unit, or of many units together."""
    result = information.of(model.analysis)
    if len(result.divergence) <= MOST_UNITS:
        return ", ".join(map(written, result.divergence))
    total = sum(unit.value for unit in result.divergence)
    return f"{len(result.active)} of {len(result.divergence)} active, {total:.2f} in all"


class SizeTable(NamedTuple):
    """Quantities against lattice size."""

    title: str
    columns: list[int]
    rows: list[tuple[str, list[str]]]
    """A quantity and its cells."""


def size_tables(named: dict[str, list[AnalyzedModel]], records: Sequence[Record]) -> list[SizeTable]:
    """Per group, every quantity against lattice size, at the value of beta that several sizes share."""
    tables = []
    for label, models in named.items():
        if (setting := rule_setting(models)) is not None:
            of_setting = [model for model in models if model.setting == setting]
            title = f"{label}, β = {of_setting[0].beta}"
            tables.append(_size_table(title, of_models(records, of_setting), of_setting[0]))
    return tables


def _size_table(title: str, records: Sequence[Record], model: AnalyzedModel) -> SizeTable:
    """Of the records of models like ``model``."""
    has_vectors, has_orders = bool(canonical.vectors(model.analysis)), bool(model.analysis.order_parameters)
    quantities = [quantity for part in all_parts() for quantity in part.quantities]
    names: dict[str, str] = {}
    rows = []
    for record in records:
        quantity = quantity_of(record.quantity, quantities)
        if quantity is None or (quantity.against_size and quantity.applies(has_vectors, has_orders)):
            names[record.quantity] = quantity_name(record.quantity, quantity)
            rows.append(of_scan(record))
    sizes = sorted({row.size for row in rows})
    table: dict[str, dict[int, str]] = {}
    for row in scans.across_sizes(rows):
        extremes = f"{row.lowest.value:.4g} to {row.highest.value:.4g}"
        table.setdefault(row.quantity, {})[row.size] = f"{row.mean} ({extremes})"
    listed = [(names[name], [cells.get(size, "") for size in sizes]) for name, cells in table.items()]
    return SizeTable(title, sizes, listed)


def quantity_of(name: str, quantities: Iterable[Quantity]) -> Quantity | None:
    """What parts say of a quantity: the one whose name it has or, of those that it begins with, the longest."""
    fitting = [quantity for quantity in quantities if quantity.names(name)]
    return max(fitting, key=lambda quantity: (quantity.name == name, len(quantity.name)), default=None)


def quantity_name(name: str, quantity: Quantity | None) -> str:
    """For people."""
    if quantity is None:
        return words(name)
    rest = name.removeprefix(quantity.name)
    # Units are counted from one.
    return f"{quantity.words}{int(rest) + 1}" if rest.isdigit() else f"{quantity.words} {words(rest)}".rstrip()
