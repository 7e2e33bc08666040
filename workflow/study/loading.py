"""From a study file to a ``Study``, or to all of its problems at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

from simulators import contract
from workflow.dataset.inputs import network_input
from workflow.dataset.origins import DataSource
from workflow.study.blocks import AnalyzeBlock, Sampling, SimulateBlock, Study, TopLevel, TrainBlock
from workflow.study.checking import build
from workflow.study.cluster_blocks import parse_cluster
from workflow.study.data_blocks import parse_sources
from workflow.study.grid import Grid, Problem, points, spec_fields
from workflow.study.selection import Source, infos_at, selected
from workflow.study.train_checks import check_train


class StudyError(ValueError):
    """A study that cannot be used; the message lists every problem with its dotted place."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n  ".join([f"{source} cannot be used:", *map(str, self.problems)]))


def preset_names() -> tuple[str, ...]:
    """The studies that come with the program."""
    folder = resources.files("workflow.study.presets")
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".toml")))


def preset_text(name: str) -> str:
    """The study file of the preset ``name``."""
    return (resources.files("workflow.study.presets") / f"{name}.toml").read_text()


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
    blocks = _blocks(raw, problems)
    rest = {key: value for key, value in raw.items() if key not in (*blocks, "analyze", "cluster")}
    top = build(TopLevel, rest, "", problems)
    analyze = build(AnalyzeBlock, raw.get("analyze", {}), "analyze", problems)
    cluster = parse_cluster(raw.get("cluster", {}), problems)
    if not blocks["simulate"] and not blocks["data"] and not {"simulate", "data"} & {p.place for p in problems}:
        problems.append(Problem("simulate", "a study needs at least one [[simulate]] block, or a [[data]] block"))
    simulate = [_simulate(block, f"simulate.{i}", problems) for i, block in enumerate(blocks["simulate"])]
    data = parse_sources(blocks["data"], folder, top.seed if top else 0, problems)
    train = [_train(block, f"train.{i}", problems) for i, block in enumerate(blocks["train"])]
    good = [block for block in simulate if block is not None]
    good_data = [source for source in data if source is not None]
    complete = len(good) + len(good_data) == len(simulate) + len(data)
    problems += _duplicates(simulate)
    problems += _repeated_names(train)
    for i, block in enumerate(train):
        if block is not None:
            problems += check_train(block, f"train.{i}", [*good, *good_data], complete)
    if problems or top is None or analyze is None:
        raise StudyError(source, dict.fromkeys(problems))
    trained = tuple(_with_likelihood(block, [*good, *good_data]) for block in train if block is not None)
    return Study(
        name=top.name,
        seed=top.seed,
        simulate=tuple(good),
        data=tuple(good_data),
        train=trained,
        analyze=analyze,
        allow_uncertified=top.allow_uncertified,
        cluster=cluster,
        resolved=_resolved(top, good, good_data, trained, analyze, cluster),
    )


def _blocks(raw: dict[str, Any], problems: list[Problem]) -> dict[str, list[Any]]:
    """The lists of blocks of a study file, by their key; none under a key that is written in another form."""
    blocks = {key: raw.get(key, []) for key in ("simulate", "data", "train")}
    for key, value in blocks.items():
        if not isinstance(value, list) or not all(isinstance(block, dict) for block in value):
            problems.append(Problem(key, f"must be written as [[{key}]] blocks"))
            blocks[key] = []
    return blocks


def _resolved(
    top: TopLevel,
    simulate: list[SimulateBlock],
    data: list[DataSource],
    train: tuple[TrainBlock, ...],
    analyze: AnalyzeBlock,
    cluster: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """The study file with every default filled in."""
    return {
        **asdict(top),
        "simulate": [_resolved_simulate(block) for block in simulate],
        **({"data": [source.resolved for source in data]} if data else {}),
        "train": [_without_none(block) for block in train],
        "analyze": _without_none(analyze),
        **({"cluster": cluster} if cluster else {}),
    }


def _without_none(block: TrainBlock | AnalyzeBlock) -> dict[str, Any]:
    """The entries of a block; TOML has no value for those that are None."""
    return {key: value for key, value in asdict(block).items() if value is not None}


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
    grid, faults = points(system, physics, place)
    problems += faults
    if sampling is not None:
        problems += _check_algorithm(system, sampling.algorithm, grid, place)
        problems += _check_measure(system, sampling.measure, grid, place)
    if sampling is not None and sampling.samples < sampling.chains:
        text = f"must be at least the number of chains, {sampling.chains}, so that each gives one"
        problems.append(Problem(f"{place}.samples", f"{text}; got {sampling.samples}"))
    if len(problems) > before:
        return None
    entries = {key: getattr(sampling, key) for key in ("samples", "chains", "algorithm", "thermalization", "spacing")}
    # Their order has no say in a shard.
    measure = tuple(sorted(sampling.measure))
    return SimulateBlock(system=name, points=grid, measure=measure, **entries)


def _check_algorithm(system: contract.System, algorithm: str, grid: Grid, place: str) -> list[Problem]:
    """Problems of ``algorithm``: the system does not offer it, or it is not valid at a point."""
    if algorithm == "auto":
        return []
    offered = ("auto", *system.algorithms, contract.TEMPERING)
    if algorithm not in offered:
        text = f"must be one of {', '.join(offered)} for {system.name}, got {algorithm!r}"
        return [Problem(f"{place}.algorithm", text)]
    by_refusal: dict[str, Problem] = {}
    for point in grid:
        refusal = system.refusal(system.spec(**dict(point.values)), algorithm)
        if refusal is not None:
            by_refusal.setdefault(refusal, Problem(f"{place}.algorithm", f"{refusal} (at {point})"))
    problems = list(by_refusal.values())
    if algorithm == contract.TEMPERING and grid and len(grid.axes[system.ladder]) < 2:
        text = f"parallel tempering needs at least two values, got {grid[0][system.ladder]} alone"
        problems.append(Problem(f"{place}.{system.ladder}", text))
    return problems


def _check_measure(system: contract.System, measure: list[str], grid: Grid, place: str) -> list[Problem]:
    """Problems of ``measure``: it names something twice, or that cannot be measured at a point."""
    if len(set(measure)) < len(measure):
        return [Problem(f"{place}.measure", f"must not name anything twice, got {measure}")]
    by_refusal: dict[str, Problem] = {}
    for point in grid if measure else ():
        refusal = system.cannot_measure(system.spec(**dict(point.values)), tuple(measure))
        if refusal is not None:
            by_refusal.setdefault(refusal, Problem(f"{place}.measure", f"{refusal} (at {point})"))
    return list(by_refusal.values())


def _duplicates(blocks: list[SimulateBlock | None]) -> list[Problem]:
    """A problem for every block that shares points with an earlier one."""
    problems = []
    for i, block in enumerate(blocks):
        for first, earlier in enumerate(blocks[:i]):
            if block is None or earlier is None or earlier.system != block.system:
                continue
            repeated = block.points.shared(earlier.points)
            if repeated:
                more = f" and {len(repeated) - 1} more" if len(repeated) > 1 else ""
                text = f"repeats a point of simulate.{first}: {repeated[0]}{more}; name each once"
                problems.append(Problem(f"simulate.{i}", text))
                break
    return problems


def _repeated_names(blocks: list[TrainBlock | None]) -> list[Problem]:
    names = [block.name if block else None for block in blocks]
    return [
        Problem(f"train.{i}.name", f"must differ from the other blocks' names, got {name!r} again")
        for i, name in enumerate(names)
        if name is not None and names.index(name) < i
    ]


def _with_likelihood(block: TrainBlock, sources: list[Source]) -> TrainBlock:
    """``block`` with the natural likelihood in place of "auto", where its inputs have the same one."""
    if block.likelihood != "auto":
        return block
    info = infos_at(*selected(block, sources)[0])[0]
    natural = {network_input(info, input_name).stored.likelihood for input_name in block.inputs}
    return replace(block, likelihood=natural.pop()) if len(natural) == 1 else block


def _resolved_simulate(block: SimulateBlock) -> dict[str, Any]:
    grids = {name: list(values) for name, values in block.points.axes.items()}
    entries = {key: getattr(block, key) for key in ("samples", "chains", "algorithm", "thermalization", "spacing")}
    return {"system": block.system, **grids, **entries, **({"measure": list(block.measure)} if block.measure else {})}
