"""A trained model is the same after it has been taken out of its stack."""

import numpy as np
import pytest
import torch

from models.config import Member, ModelConfig, TrainConfig
from models.data.samples import PackedSamples
from models.inference import Model, decode, encode, fields, from_tensors, response
from models.training.trainer import Trainer

SHALLOW = ModelConfig(shape=(1, 4, 4), hidden=16)
MODELS = [SHALLOW, ModelConfig(shape=(1, 4, 4), network="table-1", latent=3)]


def trained(samples: PackedSamples, config: ModelConfig, runs: int = 1) -> tuple[Trainer, list[Model]]:
    trainer = Trainer(samples, config, TrainConfig(epochs=2), [Member(1.0, seed) for seed in range(runs)])
    list(trainer.epochs())
    return trainer, [from_tensors(config, weights) for weights in trainer.weights()]


@pytest.mark.parametrize("config", MODELS, ids=lambda config: config.network)
def test_encoding_is_what_the_trained_network_gives(samples: PackedSamples, config: ModelConfig) -> None:
    runs = 1 if config.network == "table-1" else 3
    trainer, models = trained(samples, config, runs)
    x_MN = samples.unpack(torch.arange(len(samples)))
    with torch.no_grad():
        output = trainer.vae.eval()(x_MN.expand(runs, -1, -1), torch.zeros(runs, len(samples), config.latent))
    for run, model in enumerate(models):
        # Another batch size, another order of summation: float32's default tolerances.
        posterior = encode(model, samples, batch=77)
        assert posterior.mean.dtype == np.float32 and posterior.mean.shape == (300, config.latent)
        torch.testing.assert_close(torch.from_numpy(posterior.mean), output.mean_RBZ[run])
        torch.testing.assert_close(torch.from_numpy(posterior.std), output.std_RBZ[run])
        torch.testing.assert_close(torch.from_numpy(posterior.reconstruction), output.reconstruction_RB[run])


@pytest.mark.parametrize("config", MODELS, ids=lambda config: config.network)
def test_decoding_gives_probabilities(samples: PackedSamples, config: ModelConfig) -> None:
    _, (model,) = trained(samples, config)
    z = np.random.default_rng(0).standard_normal((10, config.latent))
    probability = decode(model, z, batch=3)
    assert probability.shape == (10, 1, 4, 4)
    assert ((probability > 0) & (probability < 1)).all()
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-fields(model, z))), rtol=1e-5)


@pytest.mark.parametrize("config", MODELS, ids=lambda config: config.network)
def test_responses_are_differences_of_the_means(samples: PackedSamples, config: ModelConfig) -> None:
    """Central differences in float64 at three sites; the control is a site's response given for another's."""
    _, (model,) = trained(samples, config)
    found = np.stack([response(model, samples, unit) for unit in range(config.latent)])
    assert found.dtype == np.float32 and found.shape == (config.latent, 1, 4, 4)
    x_RBF = samples.unpack(torch.arange(len(samples))).unsqueeze(0).double()
    encoder = model.vae.double().encoder
    flat = found.reshape(config.latent, -1)
    for site in (0, 5, 15):
        step_F = torch.zeros(16, dtype=torch.float64)
        step_F[site] = 1e-4
        with torch.no_grad():
            difference_Z = (encoder(x_RBF + step_F)[0] - encoder(x_RBF - step_F)[0]).mean(dim=(0, 1)) / 2e-4
        np.testing.assert_allclose(flat[:, site], difference_Z.numpy(), rtol=1e-2, atol=1e-4)
        assert not np.allclose(flat[:, (site + 1) % 16], difference_Z.numpy(), rtol=1e-2, atol=1e-4)


def test_what_does_not_fit_is_refused(samples: PackedSamples) -> None:
    trainer, (model,) = trained(samples, SHALLOW)
    (weights,) = trainer.weights()
    with pytest.raises(ValueError, match=r"z must be \(n, 2\) with n at least 1, got \(4, 3\)"):
        decode(model, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="n at least 1"):
        fields(model, np.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"encoder.hidden.weight must have shape \(16, 8\), got \(16, 16\)"):
        from_tensors(ModelConfig(shape=(1, 4, 4), hidden=8), weights)
    with pytest.raises(ValueError, match="weights do not fit table-1: missing or unknown"):
        from_tensors(MODELS[1], weights)
    with pytest.raises(ValueError, match=r"samples have shape \(1, 2, 8\)"):
        encode(model, PackedSamples(np.zeros((1, 2), dtype=np.uint8), (1, 2, 8)))
