"""What a decoder makes of latents drawn from the prior, and of a grid of them: shares of phases, and pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.decoder import mean_fields
from analysis.latent_space import separation
from workflow.analyze.physics import Physics, variable_of
from workflow.dataset import inputs
from workflow.plan.tasks import ModelPlan
from workflow.storage.places import Place
from workflow.storage.run_directory import RunDirectory
from workflow.storage.tables import write_table
from workflow.study.blocks import AnalyzeBlock

if TYPE_CHECKING:
    from models.inference import Model

TILES = 16
"""Generated mean fields kept for the report (Fig. 2)."""
PLANE = np.linspace(-2.5, 2.5, 9)
"""Grid of latents that are decoded for the report (Fig. 4)."""


def generate(
    run: RunDirectory,
    model: ModelPlan,
    network: Model,
    known: Physics,
    settings: AnalyzeBlock,
    rng: np.random.Generator,
) -> tuple[separation.Share, ...] | None:
    """Shares of phases among decoded z ~ N(0, 1); keeps the mean fields that the report shows."""
    from models import inference

    latent = int(model["latent"])
    z_NZ = rng.standard_normal((settings.generated, latent)).astype(np.float32)
    field_NCHW = inference.decode(network, z_NZ)
    nowhere = np.full((TILES, 2), np.nan)
    pictures = [("generated", nowhere, field_NCHW[:TILES])]
    if model["model"] == "beta2-vae":
        beta_NCHW, local_NFHW, _ = inference.local_temperatures(network, z_NZ[:TILES])
        drawn_NFHW = inference.sample(network, z_NZ[:TILES], int(rng.integers(2**62)))
        # As many numbers as features, to fit the same column.
        beta_NFHW = np.repeat(beta_NCHW, local_NFHW.shape[1] // beta_NCHW.shape[1], axis=1)
        pictures += [("drawn", nowhere, drawn_NFHW), ("local_field", nowhere, local_NFHW)]
        pictures.append(("local_beta", nowhere, beta_NFHW))
    if latent == 2:
        grid = np.stack(np.meshgrid(PLANE, PLANE), axis=-1).reshape(-1, 2)
        pictures.append(("plane", grid, inference.decode(network, grid.astype(np.float32))))
    _write_pictures(run.analysis / f"{model.train_id}-fields.parquet", pictures)
    readable = mean_fields.readable(known.orders) if known.on_sites else []
    if not readable:
        return None
    decoded = model.seen.stored.decoded(network.config.likelihood)
    variable = variable_of(decoded)
    stored_NCHW = inputs.restored(field_NCHW.astype(float), decoded, model.given_as)
    lengths = [known.orders[k].length(mean_fields.components(stored_NCHW, variable, known.orders[k])) for k in readable]
    return separation.generated_shares(np.stack(lengths, axis=1), [known.orders[k].name for k in readable])


def _write_pictures(path: Place, pictures: list[tuple[str, NDArray[Any], NDArray[Any]]]) -> None:
    """What was decoded, float32: its kind, the latents it comes from (null where random), and the numbers."""
    kind = [name for name, z, _ in pictures for _ in z]
    z = np.concatenate([z for _, z, _ in pictures])
    fields = np.concatenate([field for _, _, field in pictures]).astype("<f4")
    width = fields[0].nbytes
    binary = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(fields), [None, pa.py_buffer(np.ascontiguousarray(fields))]
    )
    about = {"encoding": "float32", "shape": json.dumps(list(fields.shape[1:]))}
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
