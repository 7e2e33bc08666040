"""Tensors of one member of a stack: what to save, and how to put it back.

Names are flat and tensors are contiguous, on the CPU and share no memory with the training, so that they can be
written as they are to a format that holds nothing but tensors.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from models.vae import BetaVAE

MOMENTS = ("exp_avg", "exp_avg_sq")


def restart_adam(vae: BetaVAE, optimizer: torch.optim.Adam) -> None:
    """Set the optimizer's moments and step count to zero."""
    for parameter in vae.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            **{moment: torch.zeros_like(parameter) for moment in MOMENTS},
        }


def weights(vae: BetaVAE, member: int) -> dict[str, Tensor]:
    """Copies of the parameters and buffers of one member, without a member dimension."""
    return {name: _copy(vae.of_member(name, tensor, member)) for name, tensor in vae.state_dict().items()}


def network_and_adam(vae: BetaVAE, optimizer: torch.optim.Adam, member: int) -> dict[str, Tensor]:
    """Copies of all that a resumed member needs of network and optimizer."""
    return {name: _copy(view) for name, view in _views(vae, optimizer, member)}


def restore(vae: BetaVAE, optimizer: torch.optim.Adam, member: int, state: Mapping[str, Tensor]) -> None:
    """Put back what ``network_and_adam`` gave, in place.

    Raises:
        ValueError: a tensor is missing, or of another shape than this network's.
    """
    for name, view in _views(vae, optimizer, member):
        if name not in state:
            raise ValueError(f"state lacks {name}; it must come from states() of the same model")
        if state[name].shape != view.shape:
            raise ValueError(f"{name} must have shape {tuple(view.shape)}, got {tuple(state[name].shape)}")
        view.copy_(state[name])


def _views(vae: BetaVAE, optimizer: torch.optim.Adam, member: int) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in vae.state_dict().items():
        yield f"model.{name}", vae.of_member(name, tensor, member)
    for name, parameter in vae.named_parameters():
        moments = optimizer.state[parameter]
        for moment in MOMENTS:
            yield f"adam.{moment}.{name}", vae.of_member(name, moments[moment], member)
        yield f"adam.step.{name}", moments["step"]


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
