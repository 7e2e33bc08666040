"""The ``[[data]]`` blocks of a study: data made elsewhere, the paper's synthetic set, MNIST."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import annotated_types
from pydantic import ConfigDict, Strict

from simulators import contract
from workflow.dataset.info import DatasetInfo
from workflow.dataset.origins import FEWEST_CHAINS, PSEUDO_CHAINS, VERSIONS, DataSource, DataTask
from workflow.dataset.points import Point
from workflow.sources import mnist, synthetic
from workflow.sources.folder import FolderContents, inspect_folder
from workflow.study.blocks import Whole
from workflow.study.checking import build
from workflow.study.data_columns import StatedVariable, folder_source
from workflow.study.grid import Problem

Name = Annotated[str, annotated_types.Predicate(lambda s: bool(re.fullmatch(r"\w[\w.-]*", s)))]
KINDS = ("multinomial", "mnist")


@dataclass(frozen=True, kw_only=True)
class FolderBlock:
    """A folder of Parquet files in the dataset format."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Name
    path: str
    """Relative to the study file's folder, or absolute."""
    variable: Literal["spins", "states", "angles", "values"] | None = None
    states: Annotated[int, Strict(), annotated_types.Ge(2), annotated_types.Le(256)] | None = None
    lowest: Annotated[int, Strict()] | None = None
    order_parameters: list[str] | None = None
    contents: FolderContents | None = None
    """What the files hold. The program writes it, and later compares it with every file that it reads."""


@dataclass(frozen=True, kw_only=True)
class MultinomialBlock:
    """The paper's synthetic set (``workflow.sources.synthetic``)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Name
    source: Literal["multinomial"]
    size: Whole | list[Whole]
    samples: Annotated[int, Strict(), annotated_types.Ge(FEWEST_CHAINS)]
    """Per row of probabilities and size."""
    probabilities: list[list[float]] | None = None


@dataclass(frozen=True, kw_only=True)
class MnistBlock:
    """MNIST (``workflow.sources.mnist``)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Name
    source: Literal["mnist"]
    path: str | None = None
    """Folder with the four IDX files; None: the npm package."""
    contents: dict[str, str] | None = None
    """Checksums of the files, which the program writes."""


def parse_sources(
    blocks: Sequence[dict[str, Any]], folder: Path, seed: int, problems: list[Problem]
) -> list[DataSource | None]:
    """The ``[[data]]`` blocks of a study; None for each with problems, which are noted.

    Args:
        blocks: as they stand in the file.
        folder: what relative paths begin at.
        seed: of the study.
        problems: the list to add to.
    """
    sources = [_parse(raw, f"data.{i}", folder, seed, problems) for i, raw in enumerate(blocks)]
    first_of: dict[str, int] = {}
    for i, raw in enumerate(blocks):
        name = raw.get("name")
        if not isinstance(name, str):
            continue
        if name in contract.names():
            problems.append(Problem(f"data.{i}.name", f"must not be that of a system, got {name!r}"))
        elif first_of.setdefault(name, i) != i:
            problems.append(Problem(f"data.{i}.name", f"must differ from that of data.{first_of[name]}, got {name!r}"))
    return sources


def _parse(raw: dict[str, Any], place: str, folder: Path, seed: int, problems: list[Problem]) -> DataSource | None:
    source = raw.get("source")
    if source is None and "path" not in raw:
        text = f"needs a path (a folder of Parquet files) or a source ({', '.join(KINDS)})"
        problems.append(Problem(place, text))
        return None
    if source is None:
        block = build(FolderBlock, raw, place, problems)
        return _folder(block, place, folder, problems) if block else None
    if source == "multinomial":
        block = build(MultinomialBlock, raw, place, problems)
        return _multinomial(block, place, seed, problems) if block else None
    if source == "mnist":
        block = build(MnistBlock, raw, place, problems)
        return _mnist(block, place, folder, problems) if block else None
    text = f"must be one of {', '.join(KINDS)}, or be left out beside a path, got {source!r}"
    problems.append(Problem(f"{place}.source", text))
    return None


def _folder(block: FolderBlock, place: str, folder: Path, problems: list[Problem]) -> DataSource | None:
    path = (folder / block.path).resolve()
    contents = block.contents
    if contents is None:
        contents, texts = inspect_folder(path)
        problems += [Problem(f"{place}.path", text) for text in texts]
    if contents is None:
        return None
    stated = StatedVariable(block.variable, block.states, block.lowest)
    return folder_source(block.name, path, contents, stated, block.order_parameters, place, problems)


def _multinomial(block: MultinomialBlock, place: str, seed: int, problems: list[Problem]) -> DataSource | None:
    raw = [list(row) for row in (synthetic.PAPER if block.probabilities is None else block.probabilities)]
    sizes = block.size if isinstance(block.size, list) else [block.size]
    before = len(problems)
    if not sizes or len(set(sizes)) < len(sizes):
        problems.append(Problem(f"{place}.size", f"must name at least one value, each once, got {sizes}"))
    if not raw or len({len(row) for row in raw}) > 1:
        problems.append(Problem(f"{place}.probabilities", "must be rows of equal length, one probability per state"))
    rows = []
    for i, row in enumerate(raw):
        try:
            rows.append(synthetic.normalized(row))
        except ValueError as error:
            problems.append(Problem(f"{place}.probabilities.{i}", str(error)))
    if len(problems) > before:
        return None
    labels = synthetic.names(rows)
    tasks = [
        DataTask(
            system=block.name,
            source="multinomial",
            version=VERSIONS["multinomial"],
            part=labels[i],
            checksums=(),
            spec=(("size", size), ("row", i), *((f"probability_{s}", p) for s, p in enumerate(row))),
            samples=block.samples,
            chains=min(block.samples, PSEUDO_CHAINS),
            held_out=None,
            columns=("label",),
            info=DatasetInfo(shape=(1, size, size), encoding="int8", variable="states", states=len(row), labels=labels),
            seed=seed,
        )
        for size in sizes
        for i, row in enumerate(rows)
    ]
    resolved = {
        "name": block.name,
        "source": block.source,
        "size": sizes,
        "probabilities": raw,
        "samples": block.samples,
    }
    return DataSource(system=block.name, path=None, tasks=tuple(tasks), resolved=resolved)


def _mnist(block: MnistBlock, place: str, folder: Path, problems: list[Problem]) -> DataSource | None:
    path = None if block.path is None else (folder / block.path).resolve()
    checksums = {name: md5 for part in mnist.PARTS.values() for name, md5 in part.checksums}
    faults: list[Problem] = []
    if block.contents is not None:
        if block.contents != checksums:
            faults.append(Problem(f"{place}.contents", f"must be the checksums of MNIST, {checksums}"))
    elif path is not None and not path.is_dir():
        faults.append(Problem(f"{place}.path", f"no such folder: {path}"))
    elif path is not None:
        faults += [Problem(f"{place}.path", text) for text in mnist.problems(path)]
    problems += faults
    if faults:
        return None
    info = DatasetInfo(shape=mnist.SHAPE, encoding="float32", variable="values", labels=mnist.DIGITS)
    tasks = [
        DataTask(
            system=block.name,
            source="mnist",
            version=VERSIONS["mnist"],
            part=name,
            checksums=part.checksums,
            spec=(("size", mnist.SHAPE[1]), ("part", name)),
            samples=part.samples,
            chains=min(part.samples, PSEUDO_CHAINS),
            held_out=part.samples if part.held_out else 0,
            columns=("label", "held_out"),
            info=info,
            seed=None,
        )
        for name, part in mnist.PARTS.items()
    ]
    resolved: dict[str, Any] = {"name": block.name, "source": block.source, "contents": checksums}
    if path is not None:
        resolved["path"] = str(path)
    return DataSource(system=block.name, path=path, tasks=tuple(tasks), resolved=resolved)


def split_problem(source: DataSource, points: Iterable[Point]) -> str | None:
    """Why points of one size cannot be trained on and judged; None if they can.

    Data that say themselves what is held out may leave one part empty.
    """
    tasks = [task for point in points for task in source.at(point)]
    if not tasks or any(task.held_out is None for task in tasks):
        return None
    held_out = sum(task.held_out or 0 for task in tasks)
    if 0 < held_out < sum(task.samples for task in tasks):
        return None
    what = "training sample" if held_out else "held-out sample, on which all analysis is done"
    return f"leaves no {what}: {source.system} says itself what is held out; select all of its parts"
