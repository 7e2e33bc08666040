"""Figures of what decoders make of latents: sixteen tiles, and the latent plane, for whatever a site holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.encodings import Variable
from analysis.figures import latent_plane as figures
from analysis.figures import states as state_figures
from workflow.analyze.models import PANELS, AnalyzedModel, comparison
from workflow.analyze.naming import point_title
from workflow.analyze.part import Drawing
from workflow.analyze.parts.generated import PLANE, read_fields
from workflow.analyze.physics import variable_of
from workflow.report.latents import reference
from workflow.storage.places import read_with
from workflow.storage.run_directory import RunDirectory

WHAT = {
    "spins": "mean fields m_k",
    "states": "probabilities of the states",
    "angles": "mean vectors",
    "values": "mean fields",
}
"""What is decoded, by what a site holds."""
MATRICES = "mean Green's functions G_ij"
FEW = 256
"""Configurations that are looked at to see whether they are images."""


def _what(model: AnalyzedModel) -> str:
    if model.physics.on_sites:
        return WHAT[decoded_variable(model).kind]
    return MATRICES + (" of spin up" if model.plan.network_input.shape[0] == 2 else "")


def decoded_variable(model: AnalyzedModel) -> Variable:
    """What the decoded means are of."""
    return variable_of(model.plan.network_input.stored.decoded(model.plan["likelihood"]))


def generated(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    """Sixteen decoded fields at every beta of one group and size."""
    chosen = comparison(models)
    first = chosen.models[0]
    caption = (
        f"Sixteen {_what(first)} decoded from z ~ N(0, 1), {label}, "
        f"L = {first.plan.size}, {chosen.words}{reference('generated', first)}."
    )
    yield Drawing(f"generated-{label}", caption, _tiles(run, chosen.models, chosen.titles))


def generated_by_point(run: RunDirectory, models: Sequence[AnalyzedModel]) -> Iterator[Drawing]:
    """The same of models of a single parameter point, the first seed of each."""
    first: dict[tuple[Any, ...], AnalyzedModel] = {}
    for model in sorted(models, key=lambda model: model.plan.seed):
        first.setdefault((model.plan.name, model.plan.input_name, model.plan.size, model.setting), model)
    by_kind: dict[tuple[Any, ...], list[AnalyzedModel]] = {}
    yield from local(run, list(first.values()), "points")
    for model in first.values():
        by_kind.setdefault((decoded_variable(model), model.plan.system, model.plan.input_name), []).append(model)
    for (_, system, input_name), of_kind in by_kind.items():
        chosen = of_kind[: 2 * PANELS]
        caption = (
            f"Sixteen {_what(chosen[0])} decoded from z ~ N(0, 1) by models of a single parameter "
            f"point{reference('generated', chosen[0])}; block and point above."
        )
        titles = [f"{model.plan.name}\n{_point(model)}, L = {model.plan.size}" for model in chosen]
        label = system if input_name == "raw" else f"{system}-{input_name}"
        yield Drawing(f"generated-points-{label}", caption, _tiles(run, chosen, titles))


def _point(model: AnalyzedModel) -> str:
    return point_title(dict(model.points[0]))


def local(run: RunDirectory, models: Sequence[AnalyzedModel], label: str) -> Iterator[Drawing]:
    """Configurations, local fields and local inverse temperatures of the spin models with both, a row each."""
    of_kind = [model for model in models if model.plan["model"] == "beta2-vae"]
    of_kind = [model for model in of_kind if model.physics.variable.kind == "spins"][:PANELS]
    if of_kind:
        rows = [
            figures.LocalRow(
                f"{model.plan.name}, {_point(model)}" if model.is_one_point else model.title,
                *(read_fields(run, model.plan.train_id, kind)[:, 0] for kind in ("drawn", "local_field", "local_beta")),
            )
            for model in of_kind
        ]
        caption = (
            f"What z ~ N(0, 1) decode to, {label}, L = {of_kind[0].plan.size}: configurations drawn, local fields "
            f"h_k, local inverse temperatures β_k{reference('local', of_kind[0])}. Only the product β_k h_k is fixed "
            "by data."
        )
        yield Drawing(f"local-{label}", caption, figures.local_fields(rows))


def plane(run: RunDirectory, model: AnalyzedModel, label: str) -> Iterator[Drawing]:
    """Fields decoded over the plane of two latents."""
    points = len(PLANE)
    decoded = read_fields(run, model.plan.train_id, "plane")
    decoded = decoded.reshape(points, points, *decoded.shape[1:])
    caption = (
        f"{_what(model)[:1].upper()}{_what(model)[1:]} decoded over the latent plane, {label}, "
        f"L = {model.plan.size}, seed {model.plan.seed}{reference('plane', model)}."
    )
    if decoded_variable(model).kind == "spins":
        figure = figures.latent_plane(decoded[:, :, 0], PLANE, PLANE, model.title)
    else:
        colours, key = _colours(run, model, decoded, _reach([decoded]))
        figure = state_figures.latent_plane_tiles(colours, PLANE, PLANE, key, model.title)
    yield Drawing(f"plane-{label}", caption, figure)


def _tiles(run: RunDirectory, models: Sequence[AnalyzedModel], titles: Sequence[str]) -> Any:
    decoded = [read_fields(run, model.plan.train_id, "generated") for model in models]
    if decoded_variable(models[0]).kind == "spins":
        panels = [figures.FieldPanel(title, part[:, 0]) for title, part in zip(titles, decoded, strict=True)]
        return figures.generated_fields(panels)
    reach = _reach(decoded)
    coloured = [_colours(run, model, part, reach) for model, part in zip(models, decoded, strict=True)]
    tiles = [state_figures.Tiles(title, colours) for title, (colours, _) in zip(titles, coloured, strict=True)]
    return state_figures.generated_tiles(tiles, coloured[0][1])


def _reach(decoded: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Smallest and largest number of the first channel."""
    return min(float(part[..., 0, :, :].min()) for part in decoded), max(
        float(part[..., 0, :, :].max()) for part in decoded
    )


def _is_image(run: RunDirectory, model: AnalyzedModel) -> bool:
    """Whether the data are grey values between 0 and 1; a linear decoder may leave that range."""
    if model.plan.input_name != "raw" or model.physics.variable.kind != "values":
        return False
    path = run.shard(model.task)
    values = np.frombuffer(b"".join(read_with(path, _first_configurations)), "<f4")
    return bool(values.min() >= 0 and values.max() <= 1)


def _first_configurations(source: Any) -> list[bytes]:
    batch = next(pq.ParquetFile(source).iter_batches(batch_size=FEW, columns=["configuration"]))
    return list(batch.column(0).to_pylist())


def _colours(
    run: RunDirectory, model: AnalyzedModel, decoded: NDArray[np.float64], reach: tuple[float, float]
) -> tuple[NDArray[np.float64], state_figures.Key]:
    """The first stored channel of (..., F, H, W) as colours (..., H, W, C)."""
    variable = decoded_variable(model)
    if variable.kind == "states" and variable.states <= len(state_figures.STATES):
        names = tuple(str(variable.lowest + state) for state in range(variable.states))
        probability = decoded[..., : variable.states, :, :]
        return state_figures.state_colours(probability), state_figures.Key("states", names)
    if variable.kind == "states":
        # Too many states for colours of their own: where they lie on the circle.
        angle = 2 * np.pi / variable.states * np.arange(variable.states)
        circle = np.stack([np.cos(angle), np.sin(angle)])
        vector = np.einsum("vq,...qhw->...vhw", circle, decoded[..., : variable.states, :, :])
        return state_figures.vector_colours(vector), state_figures.Key("angles")
    if variable.kind == "angles":
        return state_figures.vector_colours(decoded[..., :2, :, :]), state_figures.Key("angles")
    low, high = reach
    is_image = _is_image(run, model)
    largest = max(abs(low), abs(high))
    low, high = (0.0, 1.0) if is_image else (-largest, largest)
    colours = state_figures.value_colours(decoded[..., 0, :, :], low, high)
    return colours, state_figures.Key(
        "values",
        low=low,
        high=high,
        label="grey value" if is_image else "mean field" if model.physics.on_sites else "G_ij",
    )
