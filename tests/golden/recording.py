"""One study carried out, and what it came to."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tomli_w
from click.testing import CliRunner
from data_files import expect_tiny_mnist, write_idx

from tests.golden.studies import write_inputs
from workflow.cli.main import main

List = dict[str, Any]
"""Of one study: ``shards``, ``models``, ``latents``, ``summary``, ``verdict`` and ``report``."""


def recorded(study: dict[str, Any], folder: Path, executor: str = "serial") -> List:
    """Carry out every stage of ``study`` in ``folder`` and list what its run folder holds."""
    return listed(carried_out(study, folder, executor))


EVERY_STAGE = ("run",)
WITHOUT_PAGE = ("simulate", "train", "encode", "analyze")
"""Commands that make all numbers, and no figures, which take longest."""


def carried_out(
    study: dict[str, Any], folder: Path, executor: str = "serial", commands: tuple[str, ...] = EVERY_STAGE
) -> Path:
    """The run folder of ``study`` after ``commands``.

    Raises:
        RuntimeError: one of them failed.
    """
    write_inputs(folder)
    (folder / "study.toml").write_text(tomli_w.dumps(study))
    arguments = [str(folder / "study.toml"), "--run-dir", str(folder / "run"), "--executor", executor, "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        write_idx(folder / "idx", expect_tiny_mnist(patch))
        for command in commands:
            result = CliRunner().invoke(main, [command, *arguments])
            if result.exit_code:
                raise RuntimeError(f"{command} {study['name']}: {result.output}") from result.exception
    return folder / "run"


def listed(run: Path) -> List:
    """What a run folder holds, times aside."""
    shards = sorted((run / "dataset").rglob("*.parquet"))
    models = sorted(path for path in (run / "training").glob("*") if (path / "weights.safetensors").exists())
    return {
        "shards": {str(path.relative_to(run / "dataset")): _sha(path.read_bytes()) for path in shards},
        "contents": {path.stem: contents(path) for path in shards},
        "models": {path.name: _sha((path / "weights.safetensors").read_bytes()) for path in models},
        "latents": {
            str(path.relative_to(run / "latents")): _sha(path.read_bytes())
            for path in sorted((run / "latents").rglob("*.parquet"))
        },
        "summary": _json(run / "analysis" / "summary.json"),
        "verdict": _json(run / "analysis" / "verdict.json"),
        "figures": {path.name: _sha(path.read_bytes()) for path in sorted((run / "report").rglob("*.svg"))},
        "tables": _tables(run / "report" / "index.html"),
    }


def contents(path: Path) -> str:
    """Digest of a shard's values and metadata, whichever release of pyarrow has written it."""
    table = pq.ParquetFile(path).read()
    digest = hashlib.sha256()
    about = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"ARROW:schema"}
    digest.update(repr(sorted(about.items())).encode())
    for name in table.column_names:
        column = table.column(name)
        digest.update(f"{name} {column.type} {sorted((table.schema.field(name).metadata or {}).items())}".encode())
        for value in column.to_pylist():
            digest.update(value if isinstance(value, bytes) else repr(value).encode())
    return digest.hexdigest()


def differences(old: List, new: List, place: str = "") -> list[str]:
    """Places where two lists differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [text for key in keys for text in differences(old.get(key), new.get(key), f"{place}/{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [text for k, (a, b) in enumerate(pairs) for text in differences(a, b, f"{place}/{k}")]
    return [] if old == new else [f"{place}: {str(old)[:80]} -> {str(new)[:80]}"]


def _tables(page: Path) -> list[str]:
    """Digests of the page's sections, but for costs, the machine and the training's speed."""
    text = re.sub(r"<td>[\d,]+</td></tr>", "", page.read_text().partition("<h2>Cost</h2>")[0])
    # How the template breaks its lines is no matter of what the page shows.
    text = re.sub(r"\s*(<[^<>]*>)\s*", r"\1", re.sub(r"\s+", " ", text))
    return [f"{part.partition('<')[0]} {_sha(part.encode())}" for part in text.split("<h2>")]


def _json(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
