"""A trained model, loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory

if TYPE_CHECKING:
    from models.inference import Model


def load_model(run: RunDirectory, model: ModelPlan) -> Model:
    """The network of a trained model, ready for inference."""
    # Here, so that drivers do not import torch.
    from safetensors.torch import load

    from models import inference
    from models.config import ModelConfig

    folder = run.training(model.train_id)
    config = json.loads(folder.config.read_text())["model"]
    config["shape"] = tuple(config["shape"])
    return inference.from_tensors(ModelConfig(**config), load(folder.weights.read_bytes()))
