"""The shallow network's layers against plain affine maps."""

import torch
import torch.nn.functional as F

from models.networks.shallow import ShallowEncoder


def test_both_heads_are_affine_maps_of_the_hidden_units() -> None:
    """Value, and gradients in everything, of the one product that they are."""
    torch.manual_seed(0)
    encoder = ShallowEncoder(members=3, features=5, hidden=4, latent=2, stds=1).double()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(3, 6, 5, dtype=torch.float64, requires_grad=True)
    mean, std = encoder(x)
    hidden = F.leaky_relu(x @ encoder.hidden.weight + encoder.hidden.bias, 0.2)
    plain_mean = hidden @ encoder.mean_head.weight + encoder.mean_head.bias
    plain_std = F.softplus(hidden @ encoder.std_head.weight + encoder.std_head.bias) + 1e-4
    torch.testing.assert_close(mean, plain_mean)
    torch.testing.assert_close(std, plain_std.expand_as(mean))
    wanted = [x, *encoder.parameters()]
    mine, plain = (torch.autograd.grad((a.sin() * b).sum(), wanted) for a, b in ((mean, std), (plain_mean, plain_std)))
    for one, other in zip(mine, plain, strict=True):
        torch.testing.assert_close(one, other)
