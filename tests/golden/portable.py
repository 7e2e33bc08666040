"""What a study comes to on any processor: exact where it is, within bounds where rounding shows.

Found by carrying out the list for processors with AVX-512, with AVX2 and with SSE alone (CONTRIBUTING.md, "Numbers"):

* The same bytes everywhere: ids; every column of the systems of ``WHOLE`` and of data that were made elsewhere; the
  configurations of all systems with discrete ones.
* Rounded in double precision: what is measured of the other systems, their configurations of real numbers, and numbers
  of certificates. Sums have the order of the processor's vectors, products may be fused with sums, and exp, log and
  cos are those of numpy, of the C library or of BLAS.
* Rounded in single precision: networks, whose training amplifies it.
* Other numbers altogether: see the constants ``CHAOTIC_...``.

On the machine that made the list, files are the same, too.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from math import ceil, log10
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file

Portable = dict[str, Any]
"""Of one study: ``shards`` by task id, ``models`` by train id, and ``data``: numbers of the summary without a model."""

WHOLE = ("ising", "potts", "blume-capel")
"""Systems whose observables are sums of whole numbers, times constants."""
CHAOTIC_ALGORITHM = "over-relaxation"
"""Reflects an angle at its local field. Where that is close to zero its direction is rounding, which so grows from
sweep to sweep: 1e-16 has become 1e-12 in some shards of the list, and other configurations in others."""
CHAOTIC_NETWORK = "table-1"
"""Under batch norm some gradients are nothing but rounding, and Adam's first steps are their signs, so that weights and
all that follows are decided by rounding (tests/models/training/test_data_parallel.py)."""
CHAOTIC_PRECISION = "bfloat16"
"""Rounding in single precision decides here and there how a number is rounded to eight bits."""


def portable(run: Path) -> Portable:
    """What a run folder holds, in a form that can be compared with that of another processor."""
    shards = sorted((run / "dataset").rglob("*.parquet"))
    models = sorted(path for path in (run / "training").glob("*") if (path / "weights.safetensors").exists())
    summary = json.loads((run / "analysis" / "summary.json").read_text())
    return {
        "shards": {path.stem: _shard(path) for path in shards},
        "models": {path.name: _model(path, summary) for path in models},
        "data": _numbers([record for record in summary if not record.get("train_id")]),
    }


def text(listing: dict[str, Any]) -> str:
    """The list as JSON, one line for each shard and model."""
    studies = []
    for name, study in listing["studies"].items():
        parts = []
        for part, entries in study.items():
            lines = [f"   {json.dumps(key)}: {json.dumps(entry)}" for key, entry in entries.items()]
            parts.append(f"  {json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n  }")
        studies.append(f" {json.dumps(name)}: {{\n" + ",\n".join(parts) + "\n }")
    return f'{{"made": {json.dumps(listing["made"])},\n"studies": {{\n' + ",\n".join(studies) + "\n}}\n"


def _shard(path: Path) -> dict[str, Any]:
    table = pq.ParquetFile(path).read()
    about = json.loads(table.schema.metadata[b"latentphase"])
    certificate = about.pop("certificate", None) or {}
    del about["versions"]
    system = about["task"].get("system")
    exact, rounded = hashlib.sha256(json.dumps(about, sort_keys=True).encode()), {}
    for field in table.schema:
        values = table.column(field.name).to_pylist()
        numbers = _real_numbers(field, values)
        if numbers is None or not certificate or (system in WHOLE):
            exact.update(f"{field.name} {field.type} {sorted((field.metadata or {}).items())}".encode())
            exact.update(b"".join(value if isinstance(value, bytes) else repr(value).encode() for value in values))
        else:
            rounded[field.name] = _moments(numbers)
    return {
        "file": digest(path.read_bytes()),
        "exact": exact.hexdigest()[:32],
        "rounded": rounded,
        "sweeps": [certificate.get(name) for name in ("algorithm", "thermalization", "spacing", "measurements")],
        "certificate": {
            name: _short([part["error"], part["tau_int"]]) for name, part in certificate.get("observables", {}).items()
        },
    }


def _real_numbers(field: pa.Field, values: list[Any]) -> NDArray[np.float64] | None:
    """A column of real numbers, configurations among them; None of any other."""
    encoding = (field.metadata or {}).get(b"encoding", b"").strip(b"'\"").decode()
    if encoding.startswith("float"):
        return np.frombuffer(b"".join(values), f"<f{int(encoding.removeprefix('float')) // 8}").astype(float)
    return np.array(values) if pa.types.is_floating(field.type) else None


def _moments(numbers: NDArray[np.float64]) -> list[float]:
    """Mean, largest magnitude, and a mean with weights that tell one order from another."""
    flat = numbers.ravel()
    return _short([flat.mean(), np.abs(flat).max(), (flat * np.linspace(-1, 1, flat.size)).mean()])


def _model(folder: Path, summary: list[dict[str, Any]]) -> dict[str, Any]:
    result = json.loads((folder / "result.json").read_text())
    losses = [json.loads(line)["reconstruction"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    entry = {
        "file": digest((folder / "weights.safetensors").read_bytes()),
        "chaotic": result["model"]["network"] == CHAOTIC_NETWORK
        or result["training"]["precision"] == CHAOTIC_PRECISION,
        "steps": len(losses) * -(-result["samples"] // result["training"]["batch"]),
        "beta": _short([result["beta"]])[0],
        "first_loss": _short(losses)[0],
    }
    if entry["chaotic"]:
        return entry
    weights = load_file(str(folder / "weights.safetensors"))
    records = [record for record in summary if record.get("train_id") == folder.name]
    return entry | {
        "last_loss": _short(losses)[-1],
        "size_of_weights": {
            name: _short([np.sqrt(np.mean(w.astype(float) ** 2))], 7)[0] for name, w in weights.items()
        },
        "numbers": _numbers(records),
    }


def _numbers(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Estimate and error by quantity; where several records have one, those after the first are counted."""
    number, known = {}, Counter[str]()
    for record in records:
        name = (
            record["quantity"]
            if record.get("train_id")
            else f"{record['system']} {record['size']} {record['quantity']}"
        )
        known[name] += 1
        key = name if known[name] == 1 else f"{name} {known[name]}"
        number[key] = rounded_to_error(record["estimate"], record["error"])
    return number


def rounded_to_error(value: float | None, error: float | None) -> list[Any]:
    """Both to a thousandth of the error or better; to seven digits without one."""
    if value is None or not error:
        return _short([value, error], digits=7)
    decimals = 3 + ceil(-log10(error))
    return [round(value, decimals), round(error, decimals)]


def _short(numbers: list[Any], digits: int = 9) -> list[Any]:
    """As many digits as a bound of ``comparison`` asks for."""
    return [None if number is None else float(f"{number:.{digits}g}") for number in numbers]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
