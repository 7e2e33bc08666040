"""From files of auxiliary fields to one shard of system ``hubbard``, measured as simulated fields are."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from simulators import contract
from simulators.contract import SpecError
from simulators.fermions.auxiliary_field import SingularField
from simulators.systems import hubbard
from simulators.systems.hubbard import Spec
from workflow.dataset import codec, shards
from workflow.dataset.identity import IdentifiedTask
from workflow.dataset.info import DatasetInfo, simulated
from workflow.dataset.manifest import sha256
from workflow.dataset.origins import FEWEST_CHAINS, position_in_chain, pseudo_chains
from workflow.dataset.points import Scalar
from workflow.exchange.fields import FileFields, Layout, LayoutError
from workflow.study.grid import spec_fields
from workflow.terminal import Progress

SYSTEM = "hubbard"
VERSION = 1
"""Raised when the shard of the same files changes."""
AT_ONCE = 64
"""Fields that are measured between two updates of the progress."""
REPLICA = re.compile(r"Temp_\d+")
"""Folders of ALF's parallel tempering, each with parameters of its own."""


@dataclass(frozen=True, kw_only=True)
class ImportTask(IdentifiedTask):
    """All that decides an imported shard's bytes, as ``shards.write`` takes it."""

    layout: str
    files: tuple[tuple[str, str], ...]
    """Names and sha256, in the order of their samples."""
    dataset: str | None
    pieces: bool
    spec: tuple[tuple[str, Scalar], ...]
    system: str = SYSTEM
    version: int = VERSION
    system_version: int = hubbard.VERSION
    seed: int | None = field(default=None, init=False)

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the shard's bytes."""
        return asdict(self)

    @property
    def info(self) -> DatasetInfo:
        """What its configurations are."""
        return simulated(contract.load(SYSTEM), Spec(**cast(Any, dict(self.spec))))


class ImportSummary(NamedTuple):
    """The result of an import."""

    path: Path
    spec: Spec
    samples: int
    chains: int
    order: float
    """Mean size of the staggered field."""
    sign: float
    """Mean sign of the weights."""


def import_fields(
    name: str,
    paths: Sequence[Path],
    output: Path,
    point: Mapping[str, Scalar],
    dataset: str | None = None,
    pieces: bool = False,
    quiet: bool = False,
) -> ImportSummary:
    """Write one shard of the fields in some files. All files are checked before anything is written.

    Args:
        name: of the layout.
        paths: files, or folders to search for the layout's files.
        output: folder to make, or an empty one.
        point: the parameter point, as far as the files do not state it.
        dataset: name of the fields in the files; None: the layout's own name.
        pieces: cut the samples into consecutive pieces and count these as chains.
        quiet: show no progress.

    Raises:
        LayoutError: a file, the point or the output folder cannot be used.
    """
    require_empty(output)
    layout = cast(Layout, importlib.import_module(f"workflow.exchange.{name}"))
    files = _files(paths, layout)
    spec = _point(layout, files, point, dataset)
    contents = [layout.read(file, spec, dataset) for file in files]
    chain_S, sweep_S = _chains(files, contents, pieces)
    field_STIJ = np.concatenate([content.field_STIJ for content in contents])
    observables = _measured(spec, field_STIJ, quiet)
    task = ImportTask(
        layout=name,
        files=tuple((file.name, sha256(file)) for file in files),
        dataset=dataset,
        pieces=pieces,
        spec=tuple(asdict(spec).items()),
    )
    path = output / SYSTEM / f"L={spec.size}" / f"{task.task_id}.parquet"
    rows = shards.Rows(codec.encode(field_STIJ, task.info.encoding), chain_S, sweep_S, observables)
    shards.write(task, rows, path)
    order, sign = np.abs(observables["staggered_field"]).mean(), observables["sign"].mean()
    return ImportSummary(path, spec, len(field_STIJ), int(chain_S.max()) + 1, float(order), float(sign))


def require_empty(output: Path) -> None:
    """Refuse an output folder that is not empty: nothing is overwritten or mixed.

    Raises:
        LayoutError: it is a file, or not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise LayoutError(f"{output} is there already and not an empty folder; nothing is overwritten, name another")


def _files(paths: Sequence[Path], layout: Layout) -> list[Path]:
    """All files; those of a folder in natural order, 2 before 10."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = {file for pattern in layout.PATTERNS for file in path.rglob(pattern) if file.is_file()}
            if not inside:
                raise LayoutError(f"{path} holds no file called {' or '.join(layout.PATTERNS)}")
            files += sorted(inside, key=_natural)
        elif path.is_file():
            files.append(path)
        else:
            raise LayoutError(f"no such file or folder: {path}")
    resolved = [path.resolve() for path in files]
    for i, path in enumerate(resolved):
        if path in resolved[:i]:
            raise LayoutError(f"{files[i]} is named twice")
    replicas = sorted({part for path in resolved for part in path.parts if REPLICA.fullmatch(part)})
    if len(replicas) > 1:
        raise LayoutError(
            f"{', '.join(replicas)} are replicas of parallel tempering, each with parameters of its own; import one "
            f"after the other, into folders of their own"
        )
    return files


def _natural(path: Path) -> list[Any]:
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", path.as_posix()))]


def _point(layout: Layout, files: list[Path], point: Mapping[str, Scalar], dataset: str | None) -> Spec:
    """The parameter point of all files, on which they and ``point`` must agree."""
    values, origin = dict(point), dict.fromkeys(point, "the point that was given")
    for file in files:
        for name, value in layout.declared(file, dataset).items():
            if name in values and not _same(values[name], value):
                raise LayoutError(f"{file}: {name} is {value} there, but {values[name]} in {origin[name]}")
            if name not in values:
                values[name], origin[name] = value, str(file)
    kinds = spec_fields(contract.load(SYSTEM))
    missing = [entry.name for entry in fields(Spec) if entry.default is MISSING and entry.name not in values]
    if missing:
        raise LayoutError(f"{', '.join(missing)} must be given: the files do not state it")
    try:
        spec = Spec(**{name: _as(kinds[name], name, value) for name, value in values.items()})
    except SpecError as error:
        raise LayoutError(f"no such point: {error}") from None
    step = values.get("trotter_step")
    if step is not None and not math.isclose(float(step), spec.trotter_step, rel_tol=1e-9):
        raise LayoutError(
            f"trotter_step: {step} does not divide beta = {1 / spec.temperature:.10g}; {spec.slices} slices of it are "
            f"temperature {1 / (spec.slices * float(step)):.10g}, or trotter_step {spec.trotter_step:.10g}"
        )
    return spec


def _as(kind: type, name: str, value: Scalar) -> Any:
    """A value as the type of the spec's field, without rounding."""
    types = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, types):
        words = {int: "a whole number", float: "a number", str: "text"}[kind]
        raise LayoutError(f"{name} must be {words}, got {value!r}")
    return kind(value)


def _same(a: Scalar, b: Scalar) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def _chains(files: list[Path], contents: list[FileFields], pieces: bool) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Chain and sweep of every sample.

    Files of one name, in whatever folders, count as snapshots of one chain. If correlated snapshots counted as
    independent, errors would be too small; independent ones in one chain only make the errors less certain.
    """
    names = list(dict.fromkeys(file.name for file in files))
    samples = [len(content.field_STIJ) for content in contents]
    keys: list[NDArray[np.int64]] = []
    for file, content, count in zip(files, contents, samples, strict=True):
        own = np.zeros(count, dtype=np.int64) if content.chain_S is None else content.chain_S
        keys.append(np.stack([np.full(count, names.index(file.name)), own], axis=1))
    chain_S = np.unique(np.concatenate(keys), axis=0, return_inverse=True)[1].astype(np.int32)
    if pieces:
        chain_S = pseudo_chains(sum(samples))
    chains = len(np.unique(chain_S))
    if chains < FEWEST_CHAINS:
        raise LayoutError(
            f"{sum(samples)} samples of {chains} chains; errors need at least {FEWEST_CHAINS}. Add files of others, "
            f"or say --pieces: consecutive pieces then stand for chains"
        )
    stated = [content.sweep_S for content in contents]
    if pieces or any(sweep is None for sweep in stated) or len(names) < len(files):
        return chain_S, position_in_chain(chain_S)
    return chain_S, np.concatenate([sweep for sweep in stated if sweep is not None])


def _measured(spec: Spec, field_STIJ: NDArray[np.int8], quiet: bool) -> dict[str, NDArray[np.float64]]:
    """The shard's columns, measured as a simulation measures its own fields."""
    parts = []
    with Progress("import", len(field_STIJ), "fields", quiet) as progress:
        for first in range(0, len(field_STIJ), AT_ONCE):
            part = field_STIJ[first : first + AT_ONCE]
            try:
                parts.append(hubbard.Simulation.of_fields(spec, part).measure())
            except SingularField as error:
                raise LayoutError(f"a field among samples {first} to {first + len(part) - 1}: {error}") from None
            progress.advance(len(part))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
