"""From the analyses of single models to the records and the verdict of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from analysis.errors import Estimate
from simulators.sampling.certificate import FEWEST_SIGN_ERRORS
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.models import is_one_point
from workflow.analyze.registry import all_parts
from workflow.analyze.results import read_analysis
from workflow.analyze.sizes import read_sizes
from workflow.analyze.subjects import subject_of
from workflow.plan.tasks import model_plans, shard_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.storage.typed_json import to_json
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import Study
from workflow.train.restarts import best_restarts
from workflow.verdict.gates import Gate
from workflow.verdict.judging import judge
from workflow.verdict.records import ModelLabel, Record, record_to_json


def records_of(analysis: ModelAnalysis, is_one_point: bool = False) -> list[Record]:
    """The headline numbers of one analyzed model, and what it is judged by.

    Args:
        analysis: of the model.
        is_one_point: it was trained at a single point of a simulation.
    """
    training = analysis.training
    label = ModelLabel(
        network=training.model.network,
        input=analysis.input,
        name=training.name,
        beta=training.beta,
        beta_setting=training.beta_setting,
        # Rounded, so that a setting such as "0.06 lam" is the ratio it says.
        beta_over_lam=round(training.beta_over_lam, 9),
        seed=training.seed,
        train_id=training.train_id,
        subject=subject_of(analysis, is_one_point),
    )
    return [
        Record(quantity, training.system, training.size, estimate, label)
        for part in all_parts()
        for quantity, estimate in part.numbers(analysis)
    ]


def _in_input_space(run: RunDirectory) -> Iterator[Record]:
    for result in read_sizes(run):
        for order, ratio in (result.isometry or {}).items():
            yield Record(f"input_isometry_{order}", result.system, result.size, ratio, None)


def write_summary(study: Study, run: RunDirectory) -> list[Record]:
    """Gather ``summary.json`` and ``verdict.json`` from the results of all models and sizes; returns the records."""
    tasks = {task.task_id: task for task in shard_tasks(study)}
    records = [
        record
        for model in best_restarts(model_plans(study), run)
        for record in records_of(read_analysis(run, model.train_id), is_one_point(model, tasks))
    ]
    records += _in_input_space(run)
    write_whole(run.summary, json.dumps([record_to_json(record) for record in records], indent=1) + "\n")
    verdicts = judge(records, study.analyze, further_gates())
    write_whole(run.verdict, json.dumps(to_json(verdicts), indent=1) + "\n")
    return records


def further_gates() -> dict[str, tuple[Gate, ...]]:
    """Conditions that parts bring along, by subject."""
    gates: dict[str, tuple[Gate, ...]] = {}
    for part in all_parts():
        for subject, of_part in part.gates.items():
            gates[subject] = (*gates.get(subject, ()), *of_part)
    return gates


def lost_signs(records: Iterable[Record]) -> list[str]:
    """What to say of models with a parameter point whose average sign is too small for thermal averages."""
    lines: dict[str, None] = {}
    for record in records:
        if record.model is not None and record.quantity == "average_sign" and _is_lost(record.estimate):
            value, error = record.estimate.value, record.estimate.error
            text = f"the average sign of a point is {value:.2g} +- {error:.1g}, less than {FEWEST_SIGN_ERRORS:g} errors"
            lines[f"  {record.model.name}, L = {record.size}: {text}: no thermal average with it means anything"] = None
    return list(lines)


def _is_lost(sign: Estimate) -> bool:
    return abs(sign.value) < FEWEST_SIGN_ERRORS * sign.error
