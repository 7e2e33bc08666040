"""Problems of a ``[[train]]`` block that its types do not show: its sweeps, and whether it fits its data."""

from __future__ import annotations

from models.config import ModelConfig, TrainConfig
from simulators import contract
from workflow.dataset.info import DatasetInfo
from workflow.dataset.inputs import Input, is_second, network_input, objection
from workflow.dataset.origins import DataSource
from workflow.dataset.points import Point
from workflow.study.blocks import TrainBlock, listed, parse_beta
from workflow.study.data_blocks import split_problem
from workflow.study.grid import Problem
from workflow.study.selection import Source, infos_at, selected
from workflow.study.symmetries import common
from workflow.study.train_settings import Taker, entries_of

NO_SIGNED_LIKELIHOOD = (
    'must be "ignore", got {!r}: the sign is a function of the configuration, so that a likelihood weighted by it has '
    "no lower bound (a network need only tell the two signs apart). Training takes configurations as often as "
    "abs(weight) says; analyze reweights averages over latents"
)


def check_train(block: TrainBlock, place: str, sources: list[Source], complete: bool) -> list[Problem]:
    """The problems of one block.

    Args:
        block: what to train.
        place: of the block in the file.
        sources: what the study simulates and brings, as far as it can be used.
        complete: whether ``sources`` are all of them; if not, a selection cannot be checked.
    """
    problems = _check_sweeps(block, place)
    if block.sign != "ignore":
        problems.append(Problem(f"{place}.sign", NO_SIGNED_LIKELIHOOD.format(block.sign)))
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
    trained_sizes = sizes if block.size is None else sizes & set(listed(block.size))
    trained = [(source, point) for source, point in chosen if int(point["size"]) in trained_sizes]
    infos = dict.fromkeys(info for source, point in trained for info in infos_at(source, point))
    if len(kinds := {info.stored for info in infos}) > 1:
        numbers = " and ".join(sorted(str(kind.states) for kind in kinds))
        return [*problems, Problem(f"{place}.select", f"must choose one number of states, got {numbers}")]
    for input_name in block.inputs:
        problems += _check_input(block, place, input_name, list(infos))
    return list(dict.fromkeys(problems + _check_augment(block, place, chosen)))


def _check_sweeps(block: TrainBlock, place: str) -> list[Problem]:
    """Lists, and values of beta."""
    problems = []
    for i, value in enumerate(listed(block.beta)):
        try:
            parse_beta(value, block.likelihood)
        except ValueError as error:
            where = f"{place}.beta.{i}" if isinstance(block.beta, list) else f"{place}.beta"
            problems.append(Problem(where, str(error)))
    for name in ("beta", "seed", "network", "size", "input"):
        values = getattr(block, name)
        if isinstance(values, list) and (not values or len({str(v) for v in values}) < len(values)):
            problems.append(Problem(f"{place}.{name}", f"must name at least one value, each once, got {values!r}"))
    return problems


def _check_input(block: TrainBlock, place: str, input_name: Input, infos: list[DatasetInfo]) -> list[Problem]:
    """Whether the selected configurations have this input, in one shape per size, and the networks take that shape.

    Args:
        block: what to train.
        place: of the block in the file.
        input_name: one of its inputs.
        infos: of the selected configurations, each kind once.
    """
    if (text := next(filter(None, (objection(info, input_name) for info in infos)), None)) is not None:
        return [Problem(f"{place}.input", f'"{input_name}" {text}')]
    if input_name.endswith("tau-average") and all(info.shape[0] == 1 for info in infos):
        return [Problem(f"{place}.input", f'"{input_name}" averages channels, of which there is only one')]
    problems = []
    network_inputs = [network_input(info, input_name) for info in infos]
    by_rows: dict[int, DatasetInfo] = {}
    for info in network_inputs:
        other = by_rows.setdefault(info.shape[1], info)
        if other.shape != info.shape:
            shapes = " and ".join(" x ".join(map(str, shape)) for shape in (other.shape, info.shape))
            can_average = not is_second(input_name) and objection(info, "tau-average") is None
            way = ', or input = "tau-average" for one of all' if can_average else ""
            text = f"must choose configurations of one shape per size, got {shapes}; take a block for each{way}"
            problems.append(Problem(f"{place}.select", text))
            break
    return problems + _check_configs(block, place, input_name, list(by_rows.values()))


def _check_configs(block: TrainBlock, place: str, input_name: Input, infos: list[DatasetInfo]) -> list[Problem]:
    """What the networks themselves refuse. Each of their messages begins with the name of the setting.

    Args:
        block: what to train.
        place: of the block in the file.
        input_name: one of its inputs.
        infos: of the network's input, one for each size.
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
                    **{name: getattr(block, name) for name in entries_of(Taker.NETWORK)} | {"likelihood": likelihood},
                )
                if block.free_energy and (block.latent > 2 or likelihood == "thermal"):
                    raise ValueError("free_energy needs one or two latents and a likelihood of independent sites")
                TrainConfig(epochs=block.epochs, batch=block.batch, learning_rate=block.learning_rate, axes=block.axes)
                if block.workers != "auto" and block.workers > block.batch:
                    raise ValueError(f"workers must be at most batch, {block.batch}, to share it; got {block.workers}")
            except ValueError as error:
                name, _, message = str(error).partition(" ")
                if name == "likelihood" and input_name != "raw":
                    message += f', with input = "{input_name}"'
                problems[Problem(f"{place}.{name}", message)] = None
    return list(problems)


def _check_augment(block: TrainBlock, place: str, chosen: list[tuple[Source, Point]]) -> list[Problem]:
    """Whether all selected points have a symmetry to turn samples by."""
    if not block.augment:
        return []
    if any(isinstance(source, DataSource) for source, _ in chosen):
        text = (
            "turns samples by the exact symmetries of their weights, which data from elsewhere do not tell; take false"
        )
        return [Problem(f"{place}.augment", text)]
    if second := [name for name in block.inputs if is_second(name)]:
        text = f'turns samples on their lattice, which input = "{second[0]}" is not on; take false'
        return [Problem(f"{place}.augment", text)]
    systems = {source.system: contract.load(source.system) for source, _ in chosen}
    specs = [(source.system, systems[source.system].spec(**dict(point.values))) for source, point in chosen]
    if all(common(specs, input_name) for input_name in block.inputs):
        return []
    text = f"needs a symmetry that all selected points of {specs[0][0]} have; its SYMMETRIES name none"
    return [Problem(f"{place}.augment", text)]


def _check_select(block: TrainBlock, place: str, sources: list[Source]) -> list[Problem]:
    problems = []
    names = {"system"} | {name for source in sources for point in source.points[:1] for name in dict(point.values)}
    names |= {"data"} if any(isinstance(source, DataSource) for source in sources) else set()
    if {"system", "data"} <= set(block.select):
        problems.append(Problem(f"{place}.select", "must name a system or data, not both"))
    for name, value in block.select.items():
        if sources and name not in names:
            problems.append(Problem(f"{place}.select.{name}", f"unknown field; there are {', '.join(sorted(names))}"))
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
