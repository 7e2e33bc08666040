"""Fields of ALF (Algorithms for Lattice Fermions): ``confout_<rank>``, plain text or HDF5.

Read for facts: github.com/ALF-QMC/ALF, ``Prog/Fields_mod.F90`` (``Fields_write_conf``; types of fields in its header)
and ``Libraries/Modules/lattices_v3_mod.F90`` (``Make_Lattice``; order of the sites), branch ALF-2.6 at f4c500c; the
HDF5 files of ALF 2.2 to 2.5 from branch ALF-2.5 at 5cb45d6; ``Predefined_Int_mod.F90`` for the types of vertices.

* Text: the state of the random generator, whole numbers on one line or several; then a line per field, sites
  within slices.
* HDF5: ``seed`` and ``configuration``, float64 of shape (slices, vertices, 2), real and imaginary parts (as C and
  Python see it; Fortran's indices are the other way round); before ALF 2.6 without the last axis.
* Sites of the square lattice: y runs fastest, each coordinate from 1 - L/2 to L/2.  One vertex per site in that order.

A file does not say which type its fields have.  Hirsch's is ``Op_V%type = 1`` with ``g`` = lambda for spin up and
-lambda for spin down (spin channel), or lambda for both (charge channel): vertices that one's own Hamiltonian sets.
ALF's predefined Hubbard vertices are of type 2, four values, and 3, continuous; their fields are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.systems.hubbard import Spec
from workflow.dataset.points import Scalar
from workflow.exchange.fields import FileFields, LayoutError, require_shape, signs
from workflow.exchange.hdf5 import is_hdf5, numbers, opened

PATTERNS = ("confout_*", "confin_*")
SEED, CONFIGURATION = "seed", "configuration"


def declared(path: Path, dataset: str | None) -> Mapping[str, Scalar]:
    """No entry: ALF keeps parameters in other files."""
    return {}


def read(path: Path, spec: Spec, dataset: str | None) -> FileFields:
    """The one field of a file.

    Raises:
        LayoutError: not in this layout, or not of this point.
    """
    if is_hdf5(path):
        field_TN = _hdf5(path, spec, dataset or CONFIGURATION)
    elif dataset:
        raise LayoutError(f"{path} is no HDF5 file and has no dataset {dataset}")
    else:
        field_TN = _text(path, spec)
    return FileFields(in_our_order(field_TN, spec.size)[None])


def in_our_order(field_TN: NDArray[np.int8], size: int) -> NDArray[np.int8]:
    """(T, I, J) fields of (T, N) ones: ALF's origin becomes ours, and rows are y."""
    field_TJI = field_TN.reshape(-1, size, size)
    return np.ascontiguousarray(np.roll(field_TJI, 1 - size // 2, axis=(1, 2)).swapaxes(1, 2))


def _hdf5(path: Path, spec: Spec, dataset: str) -> NDArray[np.int8]:
    shape = (spec.slices, spec.size**2)
    with opened(path) as file:
        numbers(file, path, SEED, "iu")
        values = numbers(file, path, dataset, "fiu")
    where = f"{path}: {dataset}"
    if values.ndim == 3:
        require_shape(values.shape, "slices, sites, real and imaginary part", (*shape, 2), spec, where)
        if values[..., 1].any():
            index = [int(i) for i in np.argwhere(values[..., 1] != 0)[0]]
            value = values[(*index, 1)]
            raise LayoutError(f"{where}{[*index, 1]} must be 0 (fields of type 1 are real), got {value}")
        values = values[..., 0]
    require_shape(values.shape, "slices, sites", shape, spec, where)
    return signs(values, where)


def _text(path: Path, spec: Spec) -> NDArray[np.int8]:
    try:
        lines = [(i, line.split()) for i, line in enumerate(path.read_text("ascii").splitlines(), 1) if line.strip()]
    except UnicodeDecodeError:
        raise LayoutError(f"{path} is neither HDF5 nor text: no confout file of ALF") from None
    first = _end_of_seeds(lines, path)
    values_N = [_number(path, number, tokens) for number, tokens in lines[first:]]
    count = spec.slices * spec.size**2
    wrong = next((i for i, value in enumerate(values_N) if value not in (-1, 1)), 0)
    place = lines[first + wrong][0] if values_N else 0
    field_TN = signs(np.array(values_N, dtype=np.float64), f"{path}: line {place}, field ")
    if len(field_TN) != count:
        raise LayoutError(
            f"{path} must have {count} lines of fields after the seeds ({spec.slices} slices of {spec.size} x "
            f"{spec.size} sites, for temperature {spec.temperature:g} and trotter_step {spec.trotter_step:g}), got "
            f"{len(values_N)}"
        )
    return field_TN.reshape(spec.slices, -1)


def _end_of_seeds(lines: list[tuple[int, list[str]]], path: Path) -> int:
    """How many lines the random generator's state takes: the first, and those after it that hold no field."""
    if not lines:
        raise LayoutError(f"{path} is empty; a confout file begins with the random generator's state")
    for number, token in ((number, token) for number, tokens in lines[:1] for token in tokens):
        if not token.lstrip("+-").isdigit():
            raise LayoutError(
                f"{path}: line {number} must hold the random generator's state, whole numbers, got {token!r}"
            )
    end = 1
    while end < len(lines) and _is_seed(lines[end][1]):
        end += 1
    return end


def _is_seed(tokens: list[str]) -> bool:
    whole = all(token.lstrip("+-").isdigit() for token in tokens)
    return whole and (len(tokens) > 1 or abs(int(tokens[0])) > 2)


def _number(path: Path, line: int, tokens: list[str]) -> float:
    text = " ".join(tokens)
    try:
        value: Any = float(text)
    except ValueError:
        kind = "a field of type 4, two to a vertex, is no Hirsch field" if text.startswith("(") else "one to a line"
        raise LayoutError(f"{path}: line {line} must be -1 or 1, got {text!r}; {kind}") from None
    if not math.isfinite(value):
        raise LayoutError(f"{path}: line {line} must be -1 or 1, got {text!r}")
    return float(value)
