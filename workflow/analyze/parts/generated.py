"""What the decoder makes of z ~ N(0, 1): shares of phases, and the mean fields that the page shows.

Axes: N latent vectors, F features or states, H rows, W columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.decoder import mean_fields
from analysis.latent_space.separation import Share, generated_shares
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.context import ModelContext
from workflow.analyze.part import Number, Part, Quantity
from workflow.analyze.parts import thermal
from workflow.analyze.physics import variable_of
from workflow.dataset import inputs
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import read_table, write_table

TILES = 16
"""Generated mean fields kept for the report (Fig. 2)."""
PLANE = np.linspace(-2.5, 2.5, 9)
"""Grid of latents that are decoded for the report (Fig. 4)."""


class DecodedFields(NamedTuple):
    """Decoded fields of one kind."""

    kind: str
    z_NZ: NDArray[Any]
    """The first two latents they come from; NaN where these are random."""
    field_NFHW: NDArray[Any]


def analyze(context: ModelContext) -> tuple[Share, ...] | None:
    """Shares of phases among decoded z ~ N(0, 1), where order parameters can be read off a mean field.

    Mean fields go to ``analysis/<train_id>-fields.parquet``.
    """
    from models import inference

    rng = context.stream("generated", after=thermal.PART)
    model, network, physics = context.model, context.network, context.samples.physics
    latent = int(model["latent"])
    z_NZ = rng.standard_normal((context.settings.generated, latent)).astype(np.float32)
    field_NFHW = inference.decode(network, z_NZ)
    nowhere = np.full((TILES, 2), np.nan)
    kinds = [DecodedFields("generated", nowhere, field_NFHW[:TILES])]
    if model["model"] == "beta2-vae":
        beta_NCHW, local_NFHW, _ = inference.local_temperatures(network, z_NZ[:TILES])
        drawn_NFHW = inference.sample(network, z_NZ[:TILES], int(rng.integers(2**62)))
        # As many numbers as features, to fit the same column.
        beta_NFHW = np.repeat(beta_NCHW, local_NFHW.shape[1] // beta_NCHW.shape[1], axis=1)
        fields = (("drawn", drawn_NFHW), ("local_field", local_NFHW), ("local_beta", beta_NFHW))
        kinds += [DecodedFields(kind, nowhere, field) for kind, field in fields]
    if latent == 2:
        grid = np.stack(np.meshgrid(PLANE, PLANE), axis=-1).reshape(-1, 2)
        kinds.append(DecodedFields("plane", grid, inference.decode(network, grid.astype(np.float32))))
    _write(_path(context.run, model.train_id), kinds)
    readable = mean_fields.readable(physics.orders) if physics.on_sites else []
    if not readable:
        return None
    decoded = model.network_input.stored.decoded(network.config.likelihood)
    variable, orders = variable_of(decoded), [physics.orders[k] for k in readable]
    stored_NFHW = inputs.as_stored(field_NFHW.astype(float), decoded, model.input_name)
    lengths = [order.length(mean_fields.components(stored_NFHW, variable, order)) for order in orders]
    return generated_shares(np.stack(lengths, axis=1), [order.name for order in orders])


def _path(run: RunDirectory, train_id: str) -> Place:
    return run.analysis_file(train_id, "-fields.parquet")


def _write(path: Place, kinds: list[DecodedFields]) -> None:
    """What was decoded, float32: its kind, the latents it comes from (null where random), and the numbers."""
    kind = [fields.kind for fields in kinds for _ in fields.z_NZ]
    z = np.concatenate([fields.z_NZ for fields in kinds])
    field_NFHW = np.concatenate([fields.field_NFHW for fields in kinds]).astype("<f4")
    width = field_NFHW[0].nbytes
    binary = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(field_NFHW), [None, pa.py_buffer(np.ascontiguousarray(field_NFHW))]
    )
    about = {"encoding": "float32", "shape": json.dumps(list(field_NFHW.shape[1:]))}
    schema = pa.schema(
        [
            pa.field("kind", pa.string()),
            pa.field("z_0", pa.float64()),
            pa.field("z_1", pa.float64()),
            pa.field("mean_field", pa.binary(width), metadata=about),
        ]
    )
    columns = [pa.array(kind), pa.array(z[:, 0], from_pandas=True), pa.array(z[:, 1], from_pandas=True), binary]
    write_table(path, pa.table(columns, schema=schema))


def read_fields(run: RunDirectory, train_id: str, kind: str) -> NDArray[np.float64]:
    """Decoded means of the features (n, F, H, W) that the analysis kept: ``generated`` or ``plane``; of a beta2-vae
    also configurations ``drawn`` from the first, ``local_field`` and ``local_beta``."""
    table = read_table(_path(run, train_id)).combine_chunks()
    shape = json.loads(table.schema.field("mean_field").metadata[b"shape"])
    rows = [row for row, name in enumerate(table.column("kind").to_pylist()) if name == kind]
    raw = [table.column("mean_field")[row].as_py() for row in rows]
    return np.frombuffer(b"".join(raw), "<f4").reshape(-1, *shape).astype(float)


def numbers(analysis: ModelAnalysis) -> Iterator[Number]:
    for share in analysis[PART] or ():
        yield f"generated_{share.phase}", share.share


PART = Part(
    name="generated",
    result=tuple[Share, ...],
    analyze=analyze,
    numbers=numbers,
    quantities=(Quantity("generated_", "generated share of", against_size=False),),
)
