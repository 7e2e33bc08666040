"""Training in bfloat16 and with compiled passes: what stays in full precision, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.compute import precision
from models.config import Member, ModelConfig, Network, TrainConfig
from models.data.samples import PackedSamples
from models.training.trainer import Trainer

NETWORKS: tuple[Network, ...] = ("shallow", "table-1", "convolutional")
SHAPE = (1, 4, 4)
ROUNDING = 2.0**-8
"""Of bfloat16, relative: 8 significant bits, half a unit of the last one."""


def trainer(samples: PackedSamples, network: Network, **config: Any) -> Trainer:
    config = {"epochs": 2, "batch": 64, "axes": "none"} | config
    return Trainer(
        samples, ModelConfig(shape=SHAPE, network=network, hidden=128), TrainConfig(**config), [Member(0.3, 5)]
    )


def hidden_types(of: Trainer) -> set[torch.dtype]:
    """Types that the layers between spins and heads give, and those between latents and fields, as they run."""
    seen: set[torch.dtype] = set()

    def note(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        seen.add(output.dtype)

    layers = [part.hidden for part in (of.vae.encoder, of.vae.decoder) if hasattr(part, "hidden")]
    for layer in [*layers, *(m for m in of.vae.modules() if isinstance(m, nn.Conv2d))]:
        layer.register_forward_hook(note)
    return seen


@pytest.mark.parametrize("network", NETWORKS)
def test_likelihood_and_divergence_stay_in_full_precision(samples: PackedSamples, network: Network) -> None:
    mixed = trainer(samples, network, precision="bfloat16")
    types = hidden_types(mixed)
    x_RBF = samples.unpack(torch.arange(64)).unsqueeze(0)
    output = mixed.vae(x_RBF, torch.zeros(1, 64, 2))
    assert {tensor.dtype for tensor in output} == {torch.float32}
    assert types == {torch.bfloat16}, "the layers have been computed in it"
    assert {parameter.dtype for parameter in mixed.vae.parameters()} == {torch.float32}
    (output.reconstruction_RB.sum() + output.kl_RBZ.sum()).backward()
    assert {p.grad.dtype for p in mixed.vae.parameters() if p.grad is not None} == {torch.float32}


@pytest.mark.parametrize("network", NETWORKS)
def test_the_loss_in_bfloat16_is_close(samples: PackedSamples, network: Network) -> None:
    """Of the first epoch, five steps, but not the same, as without autocast.

    Fields are below one, so that the loss changes by no larger share than they do: by input, weights and output of at
    most six layers, each of which is rounded.
    """
    exact, rounded = (
        next(trainer(samples, network, precision=name).epochs()).reconstruction for name in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(rounded, exact, rtol=6 * 3 * ROUNDING)
    assert (rounded != exact).all()


def test_by_default_nothing_is_rounded(samples: PackedSamples) -> None:
    plain = trainer(samples, "table-1")
    types = hidden_types(plain)
    next(plain.epochs())
    assert types == {torch.float32}


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'half'"):
        TrainConfig(precision="half")  # type: ignore[arg-type]


def test_a_gpu_without_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a GPU is nowhere near, so torch's answer is replaced; what is tested is what we make of it."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    with pytest.raises(ValueError, match=r'precision "bfloat16" needs .* which Old GPU does not'):
        precision.check_precision("bfloat16", torch.device("cuda"))
    precision.check_precision("float32", torch.device("cuda"))
    precision.check_precision("bfloat16", torch.device("cpu"))


def test_without_a_compiler_compiling_is_refused(samples: PackedSamples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match=r"compile needs a C\+\+ compiler on a CPU: install g\+\+"):
        trainer(samples, "shallow", compile=True)
    trainer(samples, "shallow")


def test_float32_is_not_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    precision.exact_products()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.slow
@pytest.mark.usefixtures("double_precision")
@pytest.mark.filterwarnings("default")  # Of torch's compiler.
@pytest.mark.parametrize("network", NETWORKS)
def test_compiled_passes_train_the_same(samples: PackedSamples, network: Network) -> None:
    """In double precision, so that what is compared is the training and not how it amplifies rounding. Minutes."""
    try:
        precision.check_compiler(torch.device("cpu"))
    except ValueError as error:
        pytest.skip(str(error))
    plain, compiled = (trainer(samples, network, compile=compile) for compile in (False, True))
    expected, found = (next(one.epochs()) for one in (plain, compiled))
    np.testing.assert_allclose(found.reconstruction, expected.reconstruction, rtol=1e-7)
    assert compiled.weights()[0].keys() == plain.weights()[0].keys()
