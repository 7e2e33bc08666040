"""Auxiliary fields written as other programs write them, site by site and without the code that reads them."""

import io
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

SEEDS = (1872353, -2039487261, 998, 20394857, 7, 2147483647, -5, 19)


def random_fields(samples: int, slices: int, size: int, seed: int = 1) -> NDArray[np.int8]:
    """(S, T, I, J) -1 and 1."""
    return np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=(samples, slices, size, size))


def alf_order(field_TIJ: NDArray[Any]) -> NDArray[Any]:
    """(T, N) as ALF counts: x from 1 - L/2 to L/2 in the outer loop, y in the inner one; our rows are y."""
    size = field_TIJ.shape[1]
    coordinates = range(1 - size // 2, size // 2 + 1)
    return np.stack([field_TIJ[:, y % size, x % size] for x in coordinates for y in coordinates], axis=1)


def write_alf_text(path: Path, field_TIJ: NDArray[Any], seeds: tuple[int, ...] = SEEDS, wrap: int = 6) -> Path:
    """``confout_<rank>``; the compiler's runtime wraps the line of the seeds."""
    lines = ["".join(f"{seed:12d}" for seed in seeds[i : i + wrap]) for i in range(0, len(seeds), wrap)]
    lines += [f"{int(s):12d}" for slice_N in alf_order(field_TIJ) for s in slice_N]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_alf_hdf5(path: Path, field_TIJ: NDArray[Any], complex_values: bool = True, imaginary: float = 0.0) -> Path:
    """``confout_<rank>.h5``: with real and imaginary parts since ALF 2.6."""
    values_TN = alf_order(field_TIJ).astype(np.float64)
    values = np.stack([values_TN, np.full_like(values_TN, imaginary)], axis=-1) if complex_values else values_TN
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["seed"] = np.array(SEEDS, dtype=np.int32)
        file.create_dataset("configuration", data=values, chunks=values.shape, compression="gzip")
    return path


class Julia:
    """A JLD2 file: structs are scalars of committed compound types whose arrays are references."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = io.BytesIO()
        self.file = h5py.File(self.content, "w", userblock_size=512, libver="latest")
        self.file.create_group("_types")

    def add(self, name: str, **members: Any) -> None:
        """A struct; a float, int or bool is stored within it."""
        kinds = {float: h5py.h5t.IEEE_F64LE, int: h5py.h5t.STD_I64LE, bool: h5py.h5t.STD_B8LE}
        inline = {key: kinds.get(type(value), h5py.h5t.STD_REF_OBJ) for key, value in members.items()}
        kind = h5py.h5t.create(h5py.h5t.COMPOUND, 8 * len(members))
        for i, (key, member) in enumerate(inline.items()):
            kind.insert(key.encode(), 8 * i, member)
        kind.commit(self.file["_types"].id, f"{len(self.file['_types']) + 1:08d}".encode())
        dataset = h5py.h5d.create(self.file.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
        row = np.zeros((), dtype=h5py.Dataset(dataset).dtype)
        for key, value in members.items():
            row[key] = value if type(value) in kinds else self._array(value)
        h5py.Dataset(dataset)[()] = row

    def _array(self, value: NDArray[Any]) -> h5py.Reference:
        # Julia's indices run the other way round.
        array = np.ascontiguousarray(value.T)
        if array.dtype.kind == "c":
            parts = np.zeros(array.shape, dtype=[("re", "<f8"), ("im", "<f8")])
            parts["re"], parts["im"] = array.real, array.imag
            array = parts
        # Without a name the HDF5 library would delete it when it is closed; JLD2, which is no such library, gives none.
        arrays = self.file.require_group("_arrays")
        return arrays.create_dataset(str(len(arrays)), data=array).ref

    def close(self) -> Path:
        self.file.close()
        header = b"HDF5-based Julia Data Format, version 0.2.0\x00 (Julia 1.12.0 64-bit LE)\x00"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(header.ljust(512, b"\x00") + self.content.getvalue()[512:])
        return self.path


def hirsch(field_TIJ: NDArray[Any], beta: float, U: float, channel: str = "spin") -> dict[str, Any]:
    """Members of ``HubbardSpinHirschHST`` and ``HubbardDensityHirschHST``, which couple to -s."""
    slices, size = field_TIJ.shape[:2]
    step, sites = beta / slices, size**2
    gain = step * U / 2 * (1 if channel == "spin" else -1)
    alpha = math.acosh(math.exp(gain)) if gain >= 0 else 1j * math.acos(math.exp(gain))
    s_NT = np.zeros((sites, slices), dtype=np.int64)
    for y in range(size):
        for x in range(size):
            s_NT[x + size * y] = -field_TIJ[:, y, x]
    members = {
        "β": beta,
        "Δτ": step,
        "Lτ": slices,
        "N": sites,
        "U": np.full(sites, U),
        "α": np.full(sites, alpha / step),
    }
    return members | {"sites": np.arange(1, sites + 1), "s": s_NT, "update_perm": np.arange(1, sites + 1)}


def write_smoqydqmc(
    path: Path,
    field_TIJ: NDArray[Any],
    beta: float,
    U: float,
    /,
    channel: str = "spin",
    mu: float = 0.0,
    **changes: Any,
) -> Path:
    """``checkpoint_pID-<rank>.jld2``, with what the importer looks at and one thing that it does not.

    ``changes`` replace members of the structs; U, sites and N those of ``hst_parameters``.
    """
    sites = field_TIJ[0].size
    model = {"μ": mu, "ϵ": np.zeros(sites), "t": np.repeat([1.0, 1.0, 0.0], sites), "norbital": 1}
    hubbard = {"U": np.full(sites, U), "sites": np.arange(1, sites + 1), "ph_sym_form": True}
    file = Julia(path)
    file.add("tight_binding_parameters", **(model | {key: changes[key] for key in changes if key in model}))
    file.add("hubbard_parameters", **(hubbard | {key: changes[key] for key in changes if key == "ph_sym_form"}))
    file.file["n_measurements"] = np.int64(17)
    members = hirsch(field_TIJ, beta, U, channel)
    file.add("hst_parameters", **(members | {key: changes[key] for key in changes if key in members}))
    return file.close()
