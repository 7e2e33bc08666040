"""Shares of phases among what a decoder makes of random latents, for decoders that say the same of every latent."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from contexts import context

from models.config import Likelihood, ModelConfig
from models.inference import Model
from models.vae import build
from workflow.analyze.parts import generated
from workflow.analyze.physics import physics
from workflow.dataset.inputs import Input
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

STUDY: dict[str, Any] = {
    "name": "constant",
    "simulate": [{"system": "ising", "size": 4, "coupling": 1.0, "temperature": 2.0, "samples": 64}],
}


def constant(likelihood: Likelihood, output: float) -> Model:
    """A shallow network whose decoder ends in ``output`` at every site, whatever the latents."""
    config = ModelConfig(shape=(1, 4, 4), likelihood=likelihood)
    vae = build(config, [0])
    with torch.no_grad():
        for name, parameter in vae.decoder.named_parameters():
            parameter.fill_(output if name.endswith("bias") else 0.0)
    return Model(config, vae.eval())


def shares(likelihood: Likelihood, output: float, input_name: Input, folder: Path) -> dict[str, float]:
    study = parse({**STUDY, "train": [{"name": "a", "likelihood": likelihood, "input": input_name}]})
    (plan,), (task,) = model_plans(study), shard_tasks(study)
    samples: Any = SimpleNamespace(physics=physics(task, input_name))
    made = context(samples, np.zeros((1, 2)), [task], run=RunDirectory.at(str(folder)), model=plan)
    vars(made)["network"] = constant(likelihood, output)
    made._results["thermal"], made._streams["thermal"] = None, np.random.default_rng(1)
    result = generated.analyze(made)
    assert result is not None
    return {share.phase: share.share.value for share in result if share.share.value}


@pytest.mark.parametrize("input_name", ["raw", "staggered"])
# ln(17 / 3) is the field of a mean of 0.7: a probability of 0.85. A linear decoder may also leave -1 ... 1.
@pytest.mark.parametrize(
    ("likelihood", "output"), [("bernoulli", np.log(17 / 3)), ("gaussian", 0.7), ("gaussian", -1.6)]
)
def test_a_uniform_mean_is_one_phase(likelihood: Likelihood, output: float, input_name: Input, tmp_path: Path) -> None:
    phase = "magnetization" if input_name == "raw" else "staggered_magnetization"
    assert shares(likelihood, output, input_name, tmp_path) == {phase: 1.0}


@pytest.mark.parametrize(("likelihood", "output"), [("bernoulli", 0.0), ("gaussian", 0.0)])
def test_no_mean_is_disorder(likelihood: Likelihood, output: float, tmp_path: Path) -> None:
    """Negative control: zero as a probability of +1 would be full order."""
    assert shares(likelihood, output, "raw", tmp_path) == {"disordered": 1.0}
