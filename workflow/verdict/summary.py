"""From the analysis of single models to records, and their verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from simulators.sampling.certificate import FEWEST_SIGN_ERRORS
from workflow.dataset.origins import ShardTask, SimulationTask
from workflow.plan.tasks import ModelPlan, model_plans, shard_tasks
from workflow.storage.run_directory import RunDirectory
from workflow.storage.whole_files import write_whole
from workflow.study.blocks import Study
from workflow.train.restarts import best_restarts
from workflow.verdict.decoder_records import decoder_records
from workflow.verdict.gates import components, subject_of
from workflow.verdict.judging import Record, judge
from workflow.verdict.latent_records import latent_records


def records_of(content: dict[str, Any], is_one_point: bool = False) -> list[Record]:
    """The headline numbers of one analyzed model, and what it is judged by.

    Args:
        content: its analysis, from JSON.
        is_one_point: it was trained at a single point of a simulation.
    """
    result = content["result"]
    names = content["order_parameters"]
    common = {
        "system": result["system"],
        "size": result["size"],
        "network": result["model"]["network"],
        "input": content.get("input", "raw"),
        "name": result["name"],
        "beta": result["beta"],
        "beta_setting": result["beta_setting"],
        # Rounded, so that a setting such as "0.06 lam" is the ratio it says.
        "beta_over_lam": round(result["beta"] / result["top_eigenvalue"], 9),
        "seed": result["seed"],
        "train_id": result["train_id"],
        "subject": subject_of(content, is_one_point),
    }
    found: list[tuple[str, dict[str, Any] | None]] = []
    information = content["information"]
    found += [(f"kl_{unit}", estimate) for unit, estimate in enumerate(information["divergence"])]
    strongest = max(information["divergence"], key=lambda estimate: estimate["value"])
    found.append(("kl_strongest", strongest))
    found.append(("active_units", _count(len(information["active"]), content["held_out_samples"])))
    found.append(("psi4", information["psi4"]))
    found.append(("reconstruction", content["reconstruction"]))
    if content.get("sign"):
        # The point whose averages are worth least.
        averages = [of_point["average"] for of_point in content["sign"]]
        found.append(
            ("average_sign", min(averages, key=lambda average: abs(average["value"]) / (average["error"] or 1)))
        )
    if (matched := content["correlation"]) is not None:
        orders = [names[content["orders"][pair["order"]]] for pair in matched["pairs"]]
        kl = [information["divergence"][content["units"][pair["latent"]]] for pair in matched["pairs"]]
        found += [(f"kl_of_{order}", estimate) for order, estimate in zip(orders, kl, strict=True)]
        found += [(f"correlation_{order}", pair["own"]) for order, pair in zip(orders, matched["pairs"], strict=True)]
        found += [("cross_correlation", matched["cross"]), ("angle", matched["angle"]), ("cosine", matched["cosine"])]
        if (rotated := matched["rotated"]) is not None:
            found += [(f"rotated_correlation_{o}", e) for o, e in zip(orders, rotated["own"], strict=True)]
            found.append(("rotation_angle", rotated["angle"]))
    found += _needed(content)
    if content["separation"] is not None:
        found.append(("accuracy", content["separation"]["accuracy"]))
    found += [(f"isometry_{order}", estimate) for order, estimate in content["isometry"].items()]
    found += [(f"generated_{share['phase']}", share["share"]) for share in content["generated"] or []]
    found += latent_records(content) + decoder_records(content)
    return [_record(quantity, estimate, common) for quantity, estimate in found if estimate is not None]


def _needed(content: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """KL of the weakest of as many units as a vector has independent components, or classes have dimensions.

    The units are taken by KL, largest first: a vector has no latent of its own.
    """
    largest = sorted(content["information"]["divergence"], key=lambda estimate: -estimate["value"])
    needed = {
        order: len(result["squared"])
        for order, result in content["canonical"].items()
        if len(components(content, order)) > 1
    }
    if not content["order_parameters"] and (classes := content["geometry"].get("classes")) is not None:
        # Classes about one without order span a dimension less than they are.
        needed["classes"] = max(1, len(classes["phases"]) - 1 - ("disordered" in classes["phases"]))
    return [(f"kl_of_{name}", largest[min(count, len(largest)) - 1]) for name, count in needed.items()]


def _count(value: int, samples: int) -> dict[str, Any]:
    return {"value": value, "error": 0, "samples": samples, "method": "units with more than 0.1 nat"}


def _record(quantity: str, estimate: dict[str, Any], common: dict[str, Any]) -> Record:
    return {
        "quantity": quantity,
        **common,
        "estimate": estimate["value"],
        "error": estimate["error"],
        "samples": estimate["samples"],
        "method": estimate["method"],
    }


def write_summary(study: Study, run: RunDirectory) -> list[Record]:
    """Gather ``summary.json`` and ``verdict.json`` from the results of all models and sizes; returns the records."""
    records: list[Record] = []
    tasks = {task.task_id: task for task in shard_tasks(study)}
    for model in best_restarts(model_plans(study), run):
        content = json.loads((run.analysis / f"{model.train_id}.json").read_text())
        records += records_of(content, is_one_point(model, tasks))
    for path in sorted(run.analysis.glob("*-L=*.json")):
        content = json.loads(path.read_text())
        common = {"system": content["system"], "size": content["size"], "beta": None, "seed": None}
        records += [
            _record(f"input_isometry_{order}", estimate, common)
            for order, estimate in content.get("isometry", {}).items()
        ]
    write_whole(run.summary, json.dumps(records, indent=1) + "\n")
    verdicts = [
        {**verdict._asdict(), "judgements": [j._asdict() for j in verdict.judgements]}
        for verdict in judge(records, study.analyze)
    ]
    write_whole(run.verdict, json.dumps(verdicts, indent=1) + "\n")
    return records


def lost_signs(records: Iterable[Record]) -> list[str]:
    """What to say of models with a parameter point whose average sign is too small for thermal averages."""
    found: dict[str, None] = {}
    for record in records:
        value, error = record["estimate"], record["error"] or 0.0
        if record["quantity"] == "average_sign" and abs(value) < FEWEST_SIGN_ERRORS * error:
            text = f"the average sign of a point is {value:.2g} +- {error:.1g}, less than {FEWEST_SIGN_ERRORS:g} errors"
            found[f"  {record['name']}, L = {record['size']}: {text}: no thermal average with it means anything"] = None
    return list(found)


def is_one_point(model: ModelPlan, tasks: dict[str, ShardTask]) -> bool:
    """Whether all that a model was trained on was simulated at one point; ``tasks`` by their ids."""
    mine = [tasks[task_id] for task_id in model.task_ids]
    return all(isinstance(task, SimulationTask) for task in mine) and len({task.spec for task in mine}) == 1
