"""The quadrature of one site of a scalar field."""

import numpy as np
import pytest

from simulators.continuous import single_site


@pytest.mark.parametrize(("quartic", "field"), [(0.0, 0.0), (0.3, 0.0), (0.3, 2.0), (1e6, 0.0), (1e-6, 2.0)])
def test_the_quadrature_of_one_site(quartic: float, field: float) -> None:
    """Against a plain sum on a fine grid around the peak."""
    site = single_site.site(quartic, field, 12.0)
    low, high = (0.99, 1.01) if quartic > 1e3 else (0.0, 12.0)
    phi = np.linspace(low, high, 1_000_001)
    exponent = field * phi - (1 - 2 * quartic) * phi**2 - quartic * phi**4
    weight = np.exp(exponent - exponent.max())
    for power in (1, 2):
        assert site.mean(power) == pytest.approx((weight * phi**power).sum() / weight.sum(), rel=1e-5)
