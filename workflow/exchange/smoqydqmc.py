"""Fields of SmoQyDQMC.jl, version 2: its checkpoints, or any JLD2 file with its Hubbard-Stratonovich transformation.

Read for facts: github.com/SmoQySuite/SmoQyDQMC.jl, version 2.0.12 (2a643a9):
``src/Measurements/checkpointing_utilities.jl`` and ``tutorials/hubbard_square_checkpoint.jl`` (what is written, under
which names), ``src/Hubbard/HubbardSpinHirschHST.jl``, ``HubbardDensityHirschHST.jl``, ``HubbardModel.jl`` and
``TightBinding.jl``; github.com/SmoQySuite/LatticeUtilities.jl, ``src/Lattice.jl`` (order of the sites); JLD2.jl 0.6.5,
``docs/src/hdf5compat.md``: a JLD2 file is an HDF5 file, a Julia struct a scalar of a compound type whose arrays are
references, with Julia's indices the other way round.

* ``hst_parameters`` is a ``HubbardSpinHirschHST`` or a ``HubbardDensityHirschHST``: beta, dtau, number of slices and of
  sites, U and alpha per site, ``sites``, and ``s``, int64 of shape (slices, sites) as Python sees it.
* The fields enter as exp(-dtau alpha s (n_up - n_dn)), and n_up + n_dn - 1 in the density channel: with the sign
  opposite to ours.  We store -s.
* Sites: x runs fastest.
* ``hubbard_parameters`` and ``tight_binding_parameters``, where they are there, say the rest of the point.

The same alpha, arccosh(exp(dtau |U| / 2)) / dtau, tells Hirsch's fields from those of Gauss-Hermite quadrature, and
from version 1 of SmoQyDQMC, where alpha lacks the 1 / dtau and the field has our sign.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from simulators.fermions.hirsch import LARGEST_EXPONENT
from simulators.systems.hubbard import Spec
from workflow.dataset.points import Scalar
from workflow.exchange.fields import FileFields, LayoutError, require_shape, signs
from workflow.exchange.hdf5 import dataset_of, is_hdf5, opened

PATTERNS = ("*.jld2",)
HST, HUBBARD, HOPPING = "hst_parameters", "hubbard_parameters", "tight_binding_parameters"
MEMBERS = ("β", "Δτ", "Lτ", "N", "U", "α", "sites", "s")
TOLERANCE = 1e-9
"""Relative; of numbers that are computed in more than one way."""


def declared(path: Path, dataset: str | None) -> Mapping[str, Scalar]:
    """Size, temperature, interaction, step and channel; chemical potential and hopping where the file has them.

    Raises:
        LayoutError: not in this layout, or a model that is none of ours.
    """
    with _file(path) as file:
        hst = _struct(file, path, dataset or HST, MEMBERS)
        where = f"{path}: {dataset or HST}"
        interaction = _uniform(hst["U"], f"{where}.U")
        beta, step, slices, sites = (_number(hst[name], f"{where}.{name}") for name in ("β", "Δτ", "Lτ", "N"))
        size = math.isqrt(max(0, int(sites)))
        if size**2 != sites:
            raise LayoutError(f"{where}.N must be the sites of a square, L x L, got {sites:g}")
        if not np.array_equal(hst["sites"], np.arange(1, size**2 + 1)):
            raise LayoutError(f"{where}.sites must be 1, 2, ... {size**2}: one orbital per unit cell, all with U")
        if not (step > 0 and slices > 0 and math.isclose(step * slices, beta, rel_tol=TOLERANCE)):
            raise LayoutError(f"{where}.Δτ times Lτ must be β, got {step} times {slices:g} and {beta}")
        values: dict[str, Scalar] = {
            "size": size,
            "temperature": 1 / (step * slices),
            "interaction": interaction,
            "trotter_step": step,
            "channel": _channel(interaction, step, hst["α"], f"{where}.α"),
        }
        return values | _model(file, path)


def read(path: Path, spec: Spec, dataset: str | None) -> FileFields:
    """The one field of a file.

    Raises:
        LayoutError: not in this layout, or not of this point.
    """
    with _file(path) as file:
        s_TN = _struct(file, path, dataset or HST, MEMBERS)["s"]
    where = f"{path}: {dataset or HST}.s"
    if s_TN.dtype.kind != "i":
        raise LayoutError(f"{where} must hold integers, got {s_TN.dtype}")
    require_shape(s_TN.shape, "slices, sites", (spec.slices, spec.size**2), spec, where)
    return FileFields(-signs(s_TN, where).reshape(1, *spec.shape))


def _file(path: Path) -> Any:
    if not is_hdf5(path):
        raise LayoutError(f"{path} is no JLD2 file (HDF5 with a header of Julia's)")
    return opened(path)


def _struct(file: h5py.File, path: Path, name: str, members: tuple[str, ...]) -> dict[str, Any]:
    """Members of a Julia struct; references to arrays are followed."""
    dataset = dataset_of(file, path, name)
    names = dataset.dtype.names or ()
    missing = [member for member in members if member not in names]
    if missing or dataset.shape:
        kind = f"a struct of {', '.join(names)}" if names else f"{dataset.dtype} of shape {dataset.shape}"
        raise LayoutError(f"{path}: {name} must be one struct with {', '.join(members)}, got {kind}")
    value = dataset[()]
    return {member: _followed(file, value[member]) for member in members}


def _followed(file: h5py.File, value: Any) -> Any:
    return np.asarray(file[value][()]) if isinstance(value, h5py.Reference) else value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, np.integer | np.floating):
        raise LayoutError(f"{where} must be a number, got {value!r}")
    return float(value)


def _uniform(values: NDArray[Any], where: str) -> float:
    if values.dtype.kind != "f" or values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise LayoutError(f"{where} must be a vector of finite floats, got {values.dtype} of shape {values.shape}")
    if (values != values[0]).any():
        other = int(np.flatnonzero(values != values[0])[0])
        raise LayoutError(
            f"{where} must be the same on all sites, got {values[0]} and, on site {other + 1}, {values[other]}"
        )
    return float(values[0])


def _channel(interaction: float, step: float, alpha: NDArray[Any], where: str) -> str:
    """``spin`` where alpha is real and U positive, or the other way round, else ``charge``."""
    imaginary = alpha.dtype.kind != "f"
    if alpha.dtype.names:
        alpha = alpha[alpha.dtype.names[0]] + 1j * alpha[alpha.dtype.names[1]]
    size = np.abs(alpha) * step
    gain = min(abs(step * interaction / 2), LARGEST_EXPONENT)
    real = math.acosh(math.exp(gain))
    right = math.acos(math.exp(-gain)) if imaginary else real
    if not np.allclose(size, right, rtol=1e-6, atol=1e-12):
        reason = (
            "; fields of version 1 are not read: there s has the other sign" if np.allclose(size / step, real) else ""
        )
        raise LayoutError(
            f"{where} must be {right / step:.10g}, which is Hirsch's for U = {interaction:g} and Δτ = {step:g}, got "
            f"{size.ravel()[0] / step:.10g}; fields of another transformation (Gauss-Hermite) are none of -1 and "
            f"1{reason}"
        )
    return "spin" if (interaction < 0) == imaginary else "charge"


def _model(file: h5py.File, path: Path) -> dict[str, Scalar]:
    """Chemical potential and hopping, where the file states them; only U, mu and one t may be there."""
    values: dict[str, Scalar] = {}
    if HUBBARD in file and not _struct(file, path, HUBBARD, ("ph_sym_form",))["ph_sym_form"]:
        raise LayoutError(f"{path}: {HUBBARD}.ph_sym_form must be true: U (n_up - 1/2)(n_dn - 1/2)")
    if HOPPING in file:
        model = _struct(file, path, HOPPING, ("μ", "ϵ", "t"))
        if np.any(model["ϵ"]):
            raise LayoutError(
                f"{path}: {HOPPING}.ϵ must be 0 on all sites, got {model['ϵ'][np.flatnonzero(model['ϵ'])[0]]}"
            )
        hoppings = sorted({float(t) for t in np.ravel(model["t"]) if t != 0}) if model["t"].dtype.kind == "f" else []
        if len(hoppings) != 1:
            raise LayoutError(
                f"{path}: {HOPPING}.t must be one real number on all bonds of neighbours and 0 on others, got "
                f"{hoppings or model['t'].dtype}"
            )
        values = {"chemical_potential": _number(model["μ"], f"{path}: {HOPPING}.μ"), "hopping": hoppings[0]}
        values |= {"twist_x": 0.0, "twist_y": 0.0}
    return values
