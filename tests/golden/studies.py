"""Small studies that together touch every system, algorithm, network, likelihood, data source and input."""

from pathlib import Path
from typing import Any

import numpy as np
from data_files import spin_file, spins, write_parquet

FEW: dict[str, Any] = {"samples": 64, "chains": 8, "thermalization": 20, "spacing": 2}
"""Certificates may object: what is compared are bytes."""
LITTLE: dict[str, Any] = {"resamples": 50, "generated": 16}
"""Of ``[analyze]``."""

POINTS: dict[str, dict[str, Any]] = {
    "ising": {"size": [4, 6], "coupling": [1.0, -1.0], "field": [0.0, 0.1], "temperature": 2.0},
    "potts": {"size": 6, "states": [3, 5], "coupling": 1.0, "temperature": [0.8, 1.4]},
    "clock": {"size": 6, "states": [5, 6], "coupling": 1.0, "temperature": 0.9},
    "xy": {"size": 6, "coupling": [1.0, -1.0], "temperature": [0.5, 1.2]},
    "blume-capel": {"size": 6, "coupling": 1.0, "crystal_field": [0.5, 1.5], "temperature": 1.0},
    "phi4": {"size": 6, "hopping": [0.2, 0.3], "quartic": 0.5},
    "hubbard": {"size": 4, "temperature": 0.5, "interaction": [4.0, 2.0], "trotter_step": 0.25},
    "anderson": {"size": 2, "temperature": 0.5, "interaction": 4.0, "hybridization": 1.0, "trotter_step": 0.25},
}
"""By system, what is simulated with each of its algorithms."""
OTHER_POINTS: dict[str, dict[str, Any]] = {
    "potts": {"size": 6, "states": 3, "coupling": -1.0, "temperature": 0.8},
    "hubbard": {
        "size": 2, "temperature": 0.5, "interaction": 4.0, "trotter_step": 0.25,
        "channel": "charge", "chemical_potential": 0.0, "twist_x": 0.5,
    },
}  # fmt: skip
ALGORITHMS: dict[str, tuple[str, ...]] = {
    "ising": ("metropolis", "swendsen-wang", "wolff"),
    "potts": ("metropolis", "heat-bath", "swendsen-wang", "wolff"),
    "clock": ("metropolis", "heat-bath", "swendsen-wang", "wolff"),
    "xy": ("metropolis", "over-relaxation", "swendsen-wang", "wolff"),
    "blume-capel": ("metropolis", "heat-bath", "swendsen-wang", "wolff"),
    "phi4": ("metropolis", "swendsen-wang", "wolff"),
    "hubbard": ("metropolis", "lines"),
    "anderson": ("metropolis", "lines"),
}
LADDERS: dict[str, dict[str, Any]] = {
    "ising": {"size": 6, "coupling": 1.0, "temperature": [2.0, 2.4, 2.8]},
    "potts": {"size": 6, "states": 3, "coupling": 1.0, "temperature": [0.9, 1.1]},
    "clock": {"size": 6, "states": 6, "coupling": 1.0, "temperature": [0.7, 0.9]},
    "xy": {"size": 6, "coupling": 1.0, "temperature": [0.8, 1.0]},
    "blume-capel": {"size": 6, "coupling": 1.0, "crystal_field": 1.0, "temperature": [0.8, 1.0]},
    "phi4": {"size": 6, "hopping": [0.26, 0.28], "quartic": 0.5},
    "hubbard": {"size": 4, "temperature": 0.5, "interaction": [4.0, 4.5], "trotter_step": 0.25},
}
FERMIONS = ("hubbard", "anderson")
"""Systems whose chains rest on BLAS, which rounds as the processor has it."""


def samplers(system: str) -> dict[str, Any]:
    """Every algorithm of a system with fixed sweeps, tempering, and one point whose sweeps are found by pilots."""
    few = FEW | ({"samples": 16, "thermalization": 4, "spacing": 1} if system in FERMIONS else {})
    blocks: list[dict[str, Any]] = [POINTS[system] | few | {"algorithm": name} for name in ALGORITHMS[system]]
    if system in OTHER_POINTS:
        blocks.append(OTHER_POINTS[system] | few | {"algorithm": "metropolis"})
    if system in LADDERS:
        blocks.append(LADDERS[system] | few | {"algorithm": "tempering"})
    if system not in FERMIONS:
        point = {name: value[0] if isinstance(value, list) else value for name, value in POINTS[system].items()}
        blocks.append(point | {"samples": 96, "algorithm": "auto"})
    else:
        measured = ["structure-factors", "pairs", "imaginary-time", "green"]
        blocks.append(POINTS[system] | few | {"algorithm": "metropolis", "measure": measured})
    return _study(f"samplers-{system}", simulate=[_apart(block, k, system) for k, block in enumerate(blocks)])


def _apart(block: dict[str, Any], number: int, system: str) -> dict[str, Any]:
    """A block whose points are those of no other: a study names each once."""
    scanned = "hopping" if system == "phi4" else "temperature"
    values = block[scanned] if isinstance(block[scanned], list) else [block[scanned]]
    return {"system": system, **block, scanned: [round(value + 0.001 * number, 6) for value in values]}


def _study(name: str, **parts: Any) -> dict[str, Any]:
    return {"name": name, "seed": 11, "allow_uncertified": True, "train": [], "analyze": LITTLE, **parts}


def _train(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "epochs": 3, **settings}


PHASES = {"system": "ising", "size": [4, 8], "coupling": [1.0, -1.0], "temperature": [1.2, 2.4, 4.5], "samples": 256}
CURVES = {"temperature": [1.2, 4.5]}

ISING = _study(
    "ising",
    simulate=[PHASES],
    analyze={**LITTLE, "ideal": True, "correlation": 0.5, "psi4": 0.5, "isometry": 0.3},
    train=[
        _train("phases", select=CURVES, beta=["auto", "1.1 lam"], seed=[0, 1], epochs=8, free_energy=True),
        _train("restarted", size=8, restarts=2, latent=3, augment=True, beta="0.1 lam"),
        _train("staggered", size=8, input="staggered", hidden=32),
        _train("table-1", size=8, network="table-1", padding="same"),
        _train("equivariant", size=4, network="convolutional", hidden=8, axes="none"),
        _train("beta2", size=4, model="beta2-vae", local_beta=0.3),
        _train("thermal", size=4, likelihood="thermal", select={"coupling": 1.0}),
        _train("one-point", size=4, select={"coupling": 1.0, "temperature": 1.2}, likelihood="thermal", beta=3),
        _train("hot-point", size=8, select={"coupling": 1.0, "temperature": 4.5}, model="beta2-vae", beta=10),
        _train("ends-early", size=4, beta="1.5 lam", stop_collapsed=1, precision="bfloat16"),
    ],
)
STATES = _study(
    "states",
    simulate=[
        {"system": "potts", "size": 6, "states": 3, "coupling": 1.0, "temperature": [0.6, 1.0, 2.0], "samples": 128},
        {"system": "clock", "size": 6, "states": 6, "coupling": 1.0, "temperature": [0.5, 2.0], "samples": 128},
        {"system": "blume-capel", "size": 6, "coupling": [1.0, -1.0], "crystal_field": 0.5, "temperature": [0.6, 3.0],
         "samples": 128},
    ],
    train=[
        _train("potts", select={"system": "potts"}, posterior="isotropic", beta="0.4 lam", augment=True),
        _train("potts-thermal", select={"system": "potts"}, likelihood="thermal"),
        _train("clock", select={"system": "clock"}, posterior="isotropic", seed=[0, 1]),
        _train("spin-one", select={"system": "blume-capel"}, latent=3, network=["shallow", "convolutional"]),
    ],
)  # fmt: skip
CONTINUOUS = _study(
    "continuous",
    simulate=[
        {"system": "xy", "size": 6, "coupling": 1.0, "temperature": [0.4, 0.9, 2.0], "samples": 128},
        {"system": "phi4", "size": 8, "hopping": [0.18, 0.26, 0.36], "quartic": 0.5, "samples": 128},
    ],
    train=[
        _train("von-mises", select={"system": "xy"}, augment=True),
        _train("vectors", select={"system": "xy"}, likelihood="gaussian", latent=3),
        _train("values", select={"system": "phi4"}, variance="learned", input=["raw", "staggered"]),
        _train("values-table-1", select={"system": "phi4"}, network="table-1", size=8),
    ],
)
FIELDS = _study(
    "fields",
    analyze={**LITTLE, "ordered_above": 0.1},
    simulate=[
        {"system": "hubbard", "size": 4, "temperature": [0.5, 1.0], "interaction": [4.0, 6.0], "trotter_step": 0.25,
         "samples": 64, "chains": 16, "algorithm": "metropolis", "thermalization": 4, "spacing": 1,
         "measure": ["green", "imaginary-time"]},
        {"system": "hubbard", "size": 2, "temperature": 0.5, "interaction": 4.0, "trotter_step": 0.25,
         "chemical_potential": [-0.5, -1.5], "samples": 64, "chains": 16, "algorithm": "lines", "thermalization": 4,
         "spacing": 1},
    ],
    train=[
        _train("raw", select={"temperature": 0.5, "chemical_potential": 0.0}, batch=32, seed=[0, 1]),
        _train("averages", size=4, input=["tau-average", "staggered-tau-average"], batch=32),
        _train("staggered", select={"temperature": 0.5}, size=4, input="staggered", batch=32, augment=True),
        _train("matrices", size=4, input="green", batch=32),
        _train("doped", size=2, batch=32),
    ],
)  # fmt: skip
DATA = _study(
    "data",
    analyze={**LITTLE, "ideal": True},
    data=[
        {"name": "three-states", "source": "multinomial", "size": 6, "samples": 128},
        {"name": "elsewhere", "path": "files"},
        {"name": "digits", "source": "mnist", "path": "idx"},
    ],
    train=[
        _train("states", select={"data": "three-states"}, latent=3, seed=[0, 1]),
        _train("files", select={"data": "elsewhere"}),
        _train("digits", select={"data": "digits"}, latent=3, hidden=16, batch=4),
    ],
)

AUTO = {"size": 2, "temperature": 1.0, "interaction": 2.0, "trotter_step": 0.25, "samples": 64, "algorithm": "auto"}
REST = _study(
    "rest",
    simulate=[
        {"system": "anderson", "size": 2, "temperature": 0.5, "interaction": [4.0, 4.5], "hybridization": 1.0,
         "trotter_step": 0.25, "samples": 32, "chains": 16, "algorithm": "tempering", "thermalization": 4,
         "spacing": 1},
        {"system": "anderson", "hybridization": 1.0, **AUTO},
        {"system": "hubbard", **AUTO},
    ],
    data=[{"name": "fields", "path": "fields"}],
    train=[_train("average", select={"data": "fields"}, input="tau-average", batch=16)],
)  # fmt: skip
"""What the others leave out: ``auto`` and tempering of fermions, and fields of other programs at two temperatures."""
GAUSSIAN = _study(
    "gaussian",
    simulate=[{**PHASES, "size": 4, "samples": 128}],
    train=[_train("spins", likelihood="gaussian", input=["raw", "staggered"])],
)


def write_inputs(folder: Path) -> None:
    """The files that ``DATA`` and ``REST`` name, but for those of MNIST."""
    for name, slices, temperature in (("cold", 6, 1.0), ("hot", 3, 2.0)):
        x_SCHW = spins(slices, samples=64, shape=(slices, 4, 4))
        write_parquet(folder / "fields" / f"{name}.parquet", x_SCHW, "bits", temperature=temperature)
    spin_file(folder / "files" / "a.parquet", 1, 1.5, chain=np.arange(40) % 5 + 10, label=np.arange(40) % 2)
    spin_file(folder / "files" / "b.parquet", 2, 4.0, chain=np.arange(40) // 10, label=0)


STUDIES: dict[str, dict[str, Any]] = {
    **{f"samplers-{system}": samplers(system) for system in POINTS},
    **{study["name"]: study for study in (ISING, STATES, CONTINUOUS, FIELDS, DATA, REST, GAUSSIAN)},
}
