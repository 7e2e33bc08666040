"""What the columns and configurations of a folder of Parquet files mean: parameters, order parameters, variable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from models.config import Variable
from workflow.dataset.codec import ENCODINGS
from workflow.dataset.info import DatasetInfo
from workflow.dataset.origins import VERSIONS, DataSource, DataTask
from workflow.dataset.points import Scalar
from workflow.sources.folder import PARAMETERS, RESERVED, FileContents, FolderContents
from workflow.study.grid import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Names of the columns of all files, by their role."""

    parameters: tuple[str, ...]
    order_parameters: tuple[str, ...]
    stored: tuple[str, ...]
    """All columns of the shards besides parameters, chain and sweep."""


class StatedVariable(NamedTuple):
    """What a block says of the numbers in its files; None where it leaves that to the files."""

    variable: Variable | None
    states: int | None
    lowest: int | None


def folder_source(
    name: str,
    path: Path,
    contents: FolderContents,
    stated: StatedVariable,
    order_parameters: list[str] | None,
    place: str,
    problems: list[Problem],
) -> DataSource | None:
    """The data in a folder, or None after its problems were noted.

    Args:
        name: of the block.
        path: of the folder.
        contents: what its files hold.
        stated: what the block says of its numbers.
        order_parameters: columns, or None.
        place: of the block, for messages.
        problems: the list to add to.
    """
    before = len(problems)
    columns = _roles(contents, order_parameters, place, problems)
    variable = _variable(contents, stated.variable, place, problems)
    infos = [_info(file, contents, variable, stated, columns, place, problems) for file in contents.files]
    if len(problems) > before:
        return None
    tasks = [
        DataTask(
            system=name,
            source="folder",
            version=VERSIONS["folder"],
            part=file.file,
            checksums=((file.file, file.sha256),),
            spec=_spec(file, columns),
            samples=file.samples,
            chains=file.chains,
            held_out=file.held_out,
            columns=columns.stored,
            info=info,
            seed=None,
        )
        for file, info in zip(contents.files, infos, strict=True)
    ]
    resolved: dict[str, Any] = {"name": name, "path": str(path), "variable": variable}
    resolved |= {key: value for key, value in _state_entries(stated).items() if value is not None}
    resolved |= {"order_parameters": list(columns.order_parameters), "contents": contents.to_toml()}
    return DataSource(system=name, path=path, tasks=tuple(tasks), resolved=resolved)


def _state_entries(stated: StatedVariable) -> dict[str, int | None]:
    return {"states": stated.states, "lowest": stated.lowest}


def _roles(contents: FolderContents, chosen: list[str] | None, place: str, problems: list[Problem]) -> Columns:
    """Parameters are constant in every file. All other floats are order parameters, unless the block names some."""
    floats = [name for name, kind in contents.columns.items() if kind == "float"]
    for i, column in enumerate(chosen or ()):
        if column not in floats or column in PARAMETERS:
            others = ", ".join(name for name in floats if name not in PARAMETERS) or "none"
            text = f"must be a column of floats that is no parameter ({others}), got {column!r}"
            problems.append(Problem(f"{place}.order_parameters.{i}", text))
    if chosen is not None and len(set(chosen)) < len(chosen):
        problems.append(Problem(f"{place}.order_parameters", f"must not name a column twice, got {chosen}"))
    constant = set.intersection(*(set(file.constants) for file in contents.files))
    parameters = [name for name in contents.columns if name in constant - set(chosen or ())]
    rest = [name for name in contents.columns if name not in parameters and name not in ("chain", "sweep")]
    if chosen is None:
        chosen = [name for name in rest if name in floats and name not in RESERVED]
    strings = [name for name in rest if contents.columns[name] == "string"]
    problems += [Problem(f"{place}.path", f"column {name} is not constant in every file") for name in strings]
    return Columns(parameters=tuple(parameters), order_parameters=tuple(chosen), stored=tuple(rest))


def _spec(file: FileContents, columns: Columns) -> tuple[tuple[str, Scalar], ...]:
    others = [(name, file.constants[name]) for name in columns.parameters if name != "size"]
    return (("size", file.shape[1]), *others)


def _variable(contents: FolderContents, stated: Variable | None, place: str, problems: list[Problem]) -> Variable:
    offered = ENCODINGS[contents.encoding].variables
    if stated is not None and stated not in offered:
        text = f'{contents.encoding} configurations are {" or ".join(offered)}, got "{stated}"'
        problems.append(Problem(f"{place}.variable", text))
    occurring = {value for file in contents.files for value in file.values}
    if contents.encoding == "int8" and stated is None and occurring == {-1, 1}:
        text = 'holds -1 and 1 alone: say "spins", or "states" if 0 is missing by chance'
        problems.append(Problem(f"{place}.variable", text))
    if stated == "spins" and not occurring <= {-1, 1}:
        problems.append(Problem(f"{place}.variable", f"spins are -1 and 1, got {sorted(occurring)}"))
    return stated or offered[0]


def _info(
    file: FileContents,
    contents: FolderContents,
    variable: Variable,
    stated: StatedVariable,
    columns: Columns,
    place: str,
    problems: list[Problem],
) -> DatasetInfo:
    states, lowest = 2, 0
    if variable == "states" and contents.encoding == "int8":
        states, lowest = _states(file, contents, stated, place, problems)
    else:
        for key, value in _state_entries(stated).items():
            if value is not None:
                problems.append(Problem(f"{place}.{key}", f"is for states alone; these are {variable}"))
    count = max(other.labels for other in contents.files)
    return DatasetInfo(
        shape=file.shape,
        encoding="bits" if variable == "spins" else contents.encoding,
        variable=variable,
        states=states,
        lowest=lowest,
        order_parameters=columns.order_parameters,
        labels=tuple(map(str, range(count))),
    )


def _states(
    file: FileContents, contents: FolderContents, stated: StatedVariable, place: str, problems: list[Problem]
) -> tuple[int, int]:
    """q and the lowest state: from the block, else q from the column ``states``, else both from what occurs."""
    occurring = [value for other in contents.files for value in other.values]
    lowest = min(0, *occurring) if stated.lowest is None else stated.lowest
    column = file.constants.get("states")
    states = stated.states or (column if isinstance(column, int) else max(occurring) - lowest + 1)
    if min(file.values) < lowest or max(file.values) >= lowest + states:
        text = f"{file.file} holds {min(file.values)} to {max(file.values)}, not {states} states from {lowest}"
        problems.append(Problem(f"{place}.states", text))
    elif states < 2:
        problems.append(Problem(f"{place}.states", f"{file.file} holds a single state; say how many there are"))
    return states, lowest
