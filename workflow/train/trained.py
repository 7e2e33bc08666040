"""A trained model, loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory
from workflow.storage.typed_json import read_json
from workflow.train.result import TrainingConfig

if TYPE_CHECKING:
    from models.inference import Model


def load_model(run: RunDirectory, model: ModelPlan) -> Model:
    """The network of a trained model, ready for inference."""
    # Here, so that drivers do not import torch.
    from safetensors.torch import load

    from models import inference

    folder = run.training(model.train_id)
    config = read_json(TrainingConfig, folder.config).model
    return inference.from_tensors(config, load(folder.weights.read_bytes()))
