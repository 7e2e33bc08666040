"""The study file: what is read, and every problem of it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

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
from workflow.grid import Point, Problem, expand, matches, points, spec_fields
from workflow.variables import stored


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
    return parse(raw if seed is None else raw | {"seed": seed}, source)


def parse(raw: dict[str, Any], source: str = "study") -> Study:
    """``raw`` (a parsed TOML file) as a study.

    Raises:
        StudyError: as in ``load``.
    """
    problems: list[Problem] = []
    blocks = {key: raw.get(key, []) for key in ("simulate", "train")}
    for key, value in blocks.items():
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            problems.append(Problem(key, f"must be written as [[{key}]] blocks"))
            blocks[key] = []
    rest = {key: value for key, value in raw.items() if key not in ("simulate", "train", "analyze")}
    top = _build(Top, rest, "", problems)
    analyze = _build(AnalyzeBlock, raw.get("analyze", {}), "analyze", problems)
    if not blocks["simulate"] and "simulate" not in {p.place for p in problems}:
        problems.append(Problem("simulate", "a study needs at least one [[simulate]] block"))
    simulate = [_simulate(item, f"simulate.{i}", problems) for i, item in enumerate(blocks["simulate"])]
    train = [_train(item, f"train.{i}", problems) for i, item in enumerate(blocks["train"])]
    good = [block for block in simulate if block is not None]
    problems += _duplicates(simulate)
    names = [block.name for block in train if block is not None]
    problems += [
        Problem(f"train.{i}.name", f"must differ from the other blocks' names, got {block.name!r} again")
        for i, block in enumerate(train)
        if block is not None and names.index(block.name) < i
    ]
    for i, block in enumerate(train):
        if block is not None:
            problems += _check_train(block, f"train.{i}", good, complete=len(good) == len(simulate))
    if problems or top is None or analyze is None:
        raise StudyError(source, dict.fromkeys(problems))
    trained = tuple(block for block in train if block is not None)
    resolved: dict[str, Any] = {
        **asdict(top),
        "simulate": [_resolved_simulate(block, item) for block, item in zip(good, blocks["simulate"], strict=True)],
        "train": [{k: v for k, v in asdict(block).items() if v is not None} for block in trained],
        "analyze": asdict(analyze),
    }
    return Study(
        name=top.name,
        seed=top.seed,
        simulate=tuple(good),
        train=trained,
        analyze=analyze,
        allow_uncertified=top.allow_uncertified,
        resolved=resolved,
    )


def _build(kind: type, raw: Any, place: str, problems: list[Problem]) -> Any:
    """``raw`` as a ``kind``, or None after its problems were noted."""
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        seen: dict[str, list[str]] = {}
        values: dict[str, Any] = {}
        for item in error.errors():
            # Union members appear as extra path elements (a list index is kept, a type's name is not).
            parts = [str(part) for part in item["loc"] if isinstance(part, int) or re.fullmatch(r"[a-z_]+", str(part))]
            parts = [part for part in parts if part not in ("int", "float", "str", "literal", "constrained")]
            where = ".".join(filter(None, [place, *parts])) or "file"
            seen.setdefault(where, []).append(_sentence(item))
            values[where] = item["input"]
        for where, messages in seen.items():
            text = " or ".join(dict.fromkeys(messages))
            shown = "" if text in ("unknown key", "is missing") else f", got {values[where]!r}"
            problems.append(Problem(where, text + shown))
        return None


def _train(raw: dict[str, Any], place: str, problems: list[Problem]) -> TrainBlock | None:
    """A ``[[train]]`` block; its wrong entries replaced by defaults so that the rest is checked too."""
    before = len(problems)
    block: TrainBlock | None = _build(TrainBlock, raw, place, problems)
    if block is not None:
        return block
    wrong = {problem.place.removeprefix(f"{place}.").split(".")[0] for problem in problems[before:]}
    rest = {key: value for key, value in raw.items() if key not in wrong}
    return cast(TrainBlock | None, _build(TrainBlock, {"name": place, **rest}, place, []))


def _sentence(item: Any) -> str:
    kind = item["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return "unknown key"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "is missing"
    if kind == "predicate_failed":
        return "must consist of letters, digits, '.', '_' and '-'"
    return str(item["msg"]).removeprefix("Input ").removeprefix("Value error, ")


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
    sampling = _build(Sampling, other, place, problems)
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


def _resolved_simulate(block: SimulateBlock, raw: dict[str, Any]) -> dict[str, Any]:
    system = contract.load(block.system)
    grids: dict[str, Any] = {}
    for name, kind in spec_fields(system).items():
        values = list(expand(raw[name], kind)) if name in raw else [block.points[0][name]]
        grids[name] = values
    entries = {key: getattr(block, key) for key in ("samples", "chains", "algorithm", "thermalization", "spacing")}
    return {"system": block.system, **grids, **entries}


def selected(block: TrainBlock, blocks: Iterable[SimulateBlock]) -> list[tuple[SimulateBlock, Point]]:
    """The parameter points whose shards ``block`` trains on, whatever their size."""
    wanted = dict(block.select)
    system = wanted.pop("system", None)
    return [
        (simulate, point)
        for simulate in blocks
        if system is None or matches(simulate.system, system)
        for point in simulate.points
        if all(name in dict(point.values) and matches(point[name], value) for name, value in wanted.items())
    ]


def _check_train(block: TrainBlock, place: str, blocks: list[SimulateBlock], complete: bool) -> list[Problem]:
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
    problems += _check_select(block, place, blocks)
    if not complete or any(problem.place.startswith((f"{place}.select", f"{place}.size")) for problem in problems):
        return problems
    chosen = selected(block, blocks)
    if not chosen:
        return [Problem(f"{place}.select", f"matches no shard of this study, got {block.select!r}")]
    if len({simulate.system for simulate, _ in chosen}) > 1:
        return [Problem(f"{place}.select", 'must choose one system; add system = "..."')]
    sizes = {int(point["size"]) for _, point in chosen}
    for size in listed(block.size) if block.size is not None else sorted(sizes):
        if size not in sizes:
            problems.append(Problem(f"{place}.size", f"no selected shard has L = {size}; there are {sorted(sizes)}"))
    wanted = sizes if block.size is None else sizes & set(listed(block.size))
    examples = {int(point["size"]): (simulate.system, point) for simulate, point in chosen}
    kinds = {stored(simulate.system, dict(point.values)) for simulate, point in chosen}
    if len(kinds) > 1:
        found = " and ".join(sorted(str(kind.states) for kind in kinds))
        return [*problems, Problem(f"{place}.select", f"must choose one number of states, got {found}")]
    return problems + _check_configs(block, place, [examples[size] for size in sorted(wanted)])


def _check_configs(block: TrainBlock, place: str, examples: list[tuple[str, Point]]) -> list[Problem]:
    """What the networks themselves refuse: each of their messages begins with the name of the setting.

    Args:
        block: what to train.
        place: of the block in the file.
        examples: a system and point of each size.
    """
    problems: dict[Problem, None] = {}
    for system, point in examples:
        kind = stored(system, dict(point.values))
        shape = contract.load(system).spec(**dict(point.values)).shape
        likelihood = kind.likelihood if block.likelihood == "auto" else block.likelihood
        for network in block.networks:
            try:
                ModelConfig(
                    shape=shape,
                    variable=kind.variable,
                    states=kind.states,
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


def _check_select(block: TrainBlock, place: str, blocks: list[SimulateBlock]) -> list[Problem]:
    problems = []
    known = {"system"} | {name for b in blocks for name in spec_fields(contract.load(b.system))}
    for name, value in block.select.items():
        if blocks and name not in known:
            problems.append(Problem(f"{place}.select.{name}", f"unknown field; there are {', '.join(sorted(known))}"))
        kind = str if name == "system" else int | float | str
        if not isinstance(value, dict) and not all(isinstance(v, kind) for v in listed(value)):
            problems.append(Problem(f"{place}.select.{name}", f"must be a value, a list or a range, got {value!r}"))
        if name == "system" and isinstance(value, dict):
            problems.append(Problem(f"{place}.select.system", f"must be a name or a list of names, got {value!r}"))
        elif isinstance(value, dict) and not (
            set(value) == {"start", "stop"} and all(isinstance(v, int | float) for v in value.values())
        ):
            problems.append(Problem(f"{place}.select.{name}", f"a range needs start and stop, got {value!r}"))
    return problems
