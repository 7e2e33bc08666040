"""The study file: what is read, and every problem of it at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

from models.config import ModelConfig, TrainConfig
from simulators import contract
from workflow.blocks import (
    MODEL_SETTINGS,
    AnalyzeBlock,
    Sampling,
    SimulateBlock,
    Study,
    Top,
    TrainBlock,
    listed,
    parse_beta,
)
from workflow.checking import build
from workflow.cluster_blocks import parse_cluster
from workflow.data_study import parse_sources, split_problem
from workflow.data_tasks import DataSource
from workflow.dataset_info import DatasetInfo
from workflow.grid import Point, Problem, expand, points, spec_fields
from workflow.selection import Source, info_at, selected


class StudyError(ValueError):
    """A study that cannot be used; the message lists every problem with its dotted place."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n  ".join([f"{source} cannot be used:", *map(str, self.problems)]))


def preset_names() -> tuple[str, ...]:
    """The studies that come with the program."""
    folder = resources.files("workflow.presets")
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


def preset_text(name: str) -> str:
    """The study file of the preset ``name``."""
    return (resources.files("workflow.presets") / f"{name}.toml").read_text()


def load(source: str, seed: int | None = None) -> Study:
    """The study in the TOML file, or the preset, called ``source``; ``seed`` replaces the file's.

    Raises:
        StudyError: everything wrong with it at once, each with its dotted place.
    """
    path = Path(source)
    if path.is_file():
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(source, [Problem("file", str(error))]) from None
    elif source in preset_names():
        text = preset_text(source)
    else:
        raise StudyError(source, [Problem("file", f"is neither a file nor a preset ({', '.join(preset_names())})")])
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(source, [Problem("file", f"is not TOML: {error}")]) from None
    return parse(raw if seed is None else raw | {"seed": seed}, source, path.parent)


def parse(raw: dict[str, Any], source: str = "study", folder: Path = Path()) -> Study:
    """``raw`` (a parsed TOML file) as a study; the paths of its data begin at ``folder``.

    Raises:
        StudyError: as in ``load``.
    """
    problems: list[Problem] = []
    blocks = {key: raw.get(key, []) for key in ("simulate", "data", "train")}
    for key, value in blocks.items():
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            problems.append(Problem(key, f"must be written as [[{key}]] blocks"))
            blocks[key] = []
    rest = {key: value for key, value in raw.items() if key not in (*blocks, "analyze", "cluster")}
    top = build(Top, rest, "", problems)
    analyze = build(AnalyzeBlock, raw.get("analyze", {}), "analyze", problems)
    cluster = parse_cluster(raw.get("cluster", {}), problems)
    if not blocks["simulate"] and not blocks["data"] and not {"simulate", "data"} & {p.place for p in problems}:
        problems.append(Problem("simulate", "a study needs at least one [[simulate]] block, or a [[data]] block"))
    simulate = [_simulate(item, f"simulate.{i}", problems) for i, item in enumerate(blocks["simulate"])]
    data = parse_sources(blocks["data"], folder, top.seed if top else 0, problems)
    train = [_train(item, f"train.{i}", problems) for i, item in enumerate(blocks["train"])]
    good = [block for block in simulate if block is not None]
    good_data = [source for source in data if source is not None]
    complete = len(good) + len(good_data) == len(simulate) + len(data)
    problems += _duplicates(simulate)
    problems += _repeated_names(train)
    for i, block in enumerate(train):
        if block is not None:
            problems += _check_train(block, f"train.{i}", [*good, *good_data], complete)
    if problems or top is None or analyze is None:
        raise StudyError(source, dict.fromkeys(problems))
    trained = tuple(_with_likelihood(block, [*good, *good_data]) for block in train if block is not None)
    resolved: dict[str, Any] = {
        **asdict(top),
        "simulate": [_resolved_simulate(block, item) for block, item in zip(good, blocks["simulate"], strict=True)],
        **({"data": [source.resolved for source in good_data]} if good_data else {}),
        "train": [{k: v for k, v in asdict(block).items() if v is not None} for block in trained],
        "analyze": {k: v for k, v in asdict(analyze).items() if v is not None},
        **({"cluster": cluster} if cluster else {}),
    }
    return Study(
        name=top.name,
        seed=top.seed,
        simulate=tuple(good),
        data=tuple(good_data),
        train=trained,
        analyze=analyze,
        allow_uncertified=top.allow_uncertified,
        cluster=cluster,
        resolved=resolved,
    )


def _train(raw: dict[str, Any], place: str, problems: list[Problem]) -> TrainBlock | None:
    """A ``[[train]]`` block; its wrong entries replaced by defaults so that the rest is checked too."""
    before = len(problems)
    block: TrainBlock | None = build(TrainBlock, raw, place, problems)
    if block is not None:
        return block
    wrong = {problem.place.removeprefix(f"{place}.").split(".")[0] for problem in problems[before:]}
    rest = {key: value for key, value in raw.items() if key not in wrong}
    return cast(TrainBlock | None, build(TrainBlock, {"name": place, **rest}, place, []))


def _simulate(raw: dict[str, Any], place: str, problems: list[Problem]) -> SimulateBlock | None:
    name = raw.get("system")
    if not isinstance(name, str):
        problems.append(Problem(f"{place}.system", f"must name a system ({', '.join(contract.names())}), got {name!r}"))
        return None
    try:
        system = contract.load(name)
    except (contract.UnknownSystem, contract.IncompleteSystem) as error:
        problems.append(Problem(f"{place}.system", str(error)))
        return None
    physics = {key: value for key, value in raw.items() if key in spec_fields(system)}
    other = {key: value for key, value in raw.items() if key not in physics}
    before = len(problems)
    sampling = build(Sampling, other, place, problems)
    grid, found = points(system, physics, place)
    problems += found
    if sampling is not None:
        problems += _check_algorithm(system, sampling.algorithm, grid, place)
    if sampling is not None and sampling.samples < sampling.chains:
        text = f"must be at least the number of chains, {sampling.chains}, so that each gives one"
        problems.append(Problem(f"{place}.samples", f"{text}; got {sampling.samples}"))
    if len(problems) > before:
        return None
    entries = {key: getattr(sampling, key) for key in ("samples", "chains", "algorithm", "thermalization", "spacing")}
    return SimulateBlock(system=name, points=grid, **entries)


def _check_algorithm(system: contract.System, algorithm: str, grid: tuple[Point, ...], place: str) -> list[Problem]:
    """Whether ``algorithm`` is offered, and valid at every point."""
    if algorithm == "auto":
        return []
    offered = ("auto", *system.algorithms, contract.TEMPERING)
    if algorithm not in offered:
        text = f"must be one of {', '.join(offered)} for {system.name}, got {algorithm!r}"
        return [Problem(f"{place}.algorithm", text)]
    refusals = [(point, system.refusal(system.spec(**dict(point.values)), algorithm)) for point in grid]
    found = {text: Problem(f"{place}.algorithm", f"{text} (at {point})") for point, text in refusals[::-1] if text}
    problems = list(found.values())
    if algorithm == contract.TEMPERING and grid and len({point[system.ladder] for point in grid}) < 2:
        text = f"parallel tempering needs at least two values, got {grid[0][system.ladder]} alone"
        problems.append(Problem(f"{place}.{system.ladder}", text))
    return problems


def _duplicates(blocks: list[SimulateBlock | None]) -> list[Problem]:
    seen: dict[tuple[str, Point], int] = {}
    problems = []
    for i, block in enumerate(blocks):
        repeated = [p for p in block.points if (block.system, p) in seen] if block else []
        if block and repeated:
            first = seen[block.system, repeated[0]]
            more = f" and {len(repeated) - 1} more" if len(repeated) > 1 else ""
            problems.append(
                Problem(
                    f"simulate.{i}",
                    f"repeats a point of simulate.{first}: {repeated[0]}{more}; name each once",
                )
            )
        if block:
            seen.update({(block.system, p): i for p in block.points if (block.system, p) not in seen})
    return problems


def _repeated_names(blocks: list[TrainBlock | None]) -> list[Problem]:
    names = [block.name if block else None for block in blocks]
    return [
        Problem(f"train.{i}.name", f"must differ from the other blocks' names, got {name!r} again")
        for i, name in enumerate(names)
        if name is not None and names.index(name) < i
    ]


def _with_likelihood(block: TrainBlock, sources: list[Source]) -> TrainBlock:
    """``block`` with the natural likelihood in place of "auto"."""
    if block.likelihood != "auto":
        return block
    return replace(block, likelihood=info_at(*selected(block, sources)[0]).stored.likelihood)


def _resolved_simulate(block: SimulateBlock, raw: dict[str, Any]) -> dict[str, Any]:
    system = contract.load(block.system)
    grids: dict[str, Any] = {}
    defaults = {field.name: field.default for field in fields(system.spec)}
    for name, kind in spec_fields(system).items():
        grids[name] = list(expand(raw[name], kind)) if name in raw else [defaults[name]]
    entries = {key: getattr(block, key) for key in ("samples", "chains", "algorithm", "thermalization", "spacing")}
    return {"system": block.system, **grids, **entries}


def _check_train(block: TrainBlock, place: str, sources: list[Source], complete: bool) -> list[Problem]:
    """What pydantic cannot see: sweeps, and whether the selection fits the simulated data."""
    problems = []
    for i, value in enumerate(listed(block.beta)):
        try:
            parse_beta(value, block.likelihood)
        except ValueError as error:
            where = f"{place}.beta.{i}" if isinstance(block.beta, list) else f"{place}.beta"
            problems.append(Problem(where, str(error)))
    for name in ("beta", "seed", "network", "size"):
        values = getattr(block, name)
        if isinstance(values, list) and (not values or len({str(v) for v in values}) < len(values)):
            problems.append(Problem(f"{place}.{name}", f"must name at least one value, each once, got {values!r}"))
    problems += _check_select(block, place, sources)
    if not complete or any(problem.place.startswith((f"{place}.select", f"{place}.size")) for problem in problems):
        return problems
    chosen = selected(block, sources)
    if not chosen:
        return [Problem(f"{place}.select", f"matches no shard of this study, got {block.select!r}")]
    first = chosen[0][0]
    if len({source.system for source, _ in chosen}) > 1:
        key = "data" if isinstance(first, DataSource) else "system"
        return [Problem(f"{place}.select", f'must choose one system; add {key} = "..."')]
    sizes = {int(point["size"]) for _, point in chosen}
    for size in listed(block.size) if block.size is not None else sorted(sizes):
        if size not in sizes:
            problems.append(Problem(f"{place}.size", f"no selected shard has L = {size}; there are {sorted(sizes)}"))
        of_size = [point for _, point in chosen if point["size"] == size]
        if isinstance(first, DataSource) and (text := split_problem(first, of_size)):
            problems.append(Problem(f"{place}.select", text))
    wanted = sizes if block.size is None else sizes & set(listed(block.size))
    infos = {int(point["size"]): info_at(source, point) for source, point in chosen}
    kinds = {info_at(source, point).stored for source, point in chosen}
    if len(kinds) > 1:
        found = " and ".join(sorted(str(kind.states) for kind in kinds))
        return [*problems, Problem(f"{place}.select", f"must choose one number of states, got {found}")]
    return problems + _check_configs(block, place, [infos[size] for size in sorted(wanted)])


def _check_configs(block: TrainBlock, place: str, infos: list[DatasetInfo]) -> list[Problem]:
    """What the networks themselves refuse: each of their messages begins with the name of the setting.

    Args:
        block: what to train.
        place: of the block in the file.
        infos: what is selected of each size.
    """
    problems: dict[Problem, None] = {}
    for info in infos:
        likelihood = info.stored.likelihood if block.likelihood == "auto" else block.likelihood
        for network in block.networks:
            try:
                ModelConfig(
                    shape=info.shape,
                    variable=info.variable,
                    states=info.states,
                    network=network,  # type: ignore[arg-type]  # checked by pydantic
                    likelihood=likelihood,
                    **{name: getattr(block, name) for name in MODEL_SETTINGS},
                )
                if block.free_energy and (block.latent > 2 or likelihood == "thermal"):
                    raise ValueError("free_energy needs one or two latents and a likelihood of independent sites")
                TrainConfig(epochs=block.epochs, batch=block.batch, learning_rate=block.learning_rate, axes=block.axes)
            except ValueError as error:
                name, _, message = str(error).partition(" ")
                problems[Problem(f"{place}.{name}", message)] = None
    return list(problems)


def _check_select(block: TrainBlock, place: str, sources: list[Source]) -> list[Problem]:
    problems = []
    known = {"system"} | {name for source in sources for point in source.points[:1] for name in dict(point.values)}
    known |= {"data"} if any(isinstance(source, DataSource) for source in sources) else set()
    if {"system", "data"} <= set(block.select):
        problems.append(Problem(f"{place}.select", "must name a system or data, not both"))
    for name, value in block.select.items():
        if sources and name not in known:
            problems.append(Problem(f"{place}.select.{name}", f"unknown field; there are {', '.join(sorted(known))}"))
        kind = str if name in ("system", "data") else int | float | str
        if not isinstance(value, dict) and not all(isinstance(v, kind) for v in listed(value)):
            problems.append(Problem(f"{place}.select.{name}", f"must be a value, a list or a range, got {value!r}"))
        if name in ("system", "data") and isinstance(value, dict):
            problems.append(Problem(f"{place}.select.{name}", f"must be a name or a list of names, got {value!r}"))
        elif isinstance(value, dict) and not (
            set(value) == {"start", "stop"} and all(isinstance(v, int | float) for v in value.values())
        ):
            problems.append(Problem(f"{place}.select.{name}", f"a range needs start and stop, got {value!r}"))
    return problems
