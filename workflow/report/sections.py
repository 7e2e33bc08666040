"""Tables of the page that parts of the analysis, and the training, bring along, each with its heading."""

from __future__ import annotations

from collections.abc import Sequence

from workflow.analyze.models import AnalyzedModel
from workflow.analyze.part import Section
from workflow.analyze.registry import all_parts
from workflow.plan.tasks import ModelPlan
from workflow.report.training import restart_section, settling_section
from workflow.storage.run_directory import RunDirectory

ORDER = ("geometry", "ideal", "squares", "fluctuations", "local_temperatures", "settling", "sign", "restarts")
"""In which they stand, by the name of the part or of the table; others follow."""


def sections(run: RunDirectory, models: Sequence[AnalyzedModel], plans: Sequence[ModelPlan]) -> list[Section]:
    """Every table that the results of this run allow.

    Args:
        run: where the trainings are.
        models: that were analyzed.
        plans: all that were trained, restarts too.
    """
    named = {part.name: part.section(models) for part in all_parts()}
    named |= {"settling": settling_section(run, models), "restarts": restart_section(plans, run)}
    order = [*ORDER, *(name for name in named if name not in ORDER)]
    return [section for name in order if (section := named.get(name)) is not None]
