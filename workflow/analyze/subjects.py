"""What a trained model is judged by: it follows from what is known of the data."""

from __future__ import annotations

from analysis.phases import DISORDERED
from simulators import contract
from workflow.analyze.analysis import ModelAnalysis
from workflow.analyze.parts import aligned, canonical, correlation, energies, information
from workflow.storage.typed_json import Parameters
from workflow.verdict.gates import (
    CLASSES,
    CONTINUOUS,
    ENERGIES,
    HOT_ENERGIES,
    LABELS,
    NOTHING,
    POINT,
    POINT_ENERGIES,
    SIGNS,
    SPARE,
    VECTOR,
)


def subject_of(analysis: ModelAnalysis, is_one_point: bool) -> str:
    """One of the subjects of ``workflow.verdict.gates``.

    Args:
        analysis: of the model.
        is_one_point: it was trained at a single point of a simulation.
    """
    drawn = analysis[energies.PART]
    if analysis.training.model.likelihood == "thermal" and drawn is not None:
        if not is_one_point:
            return ENERGIES
        return HOT_ENERGIES if _is_hot(analysis.training.system, drawn.points[0].point) else POINT_ENERGIES
    if is_one_point:
        return POINT
    if not analysis.order_parameters:
        is_named = len(analysis.phases) > 1
        return NOTHING if not is_named else CLASSES if DISORDERED in analysis.phases else LABELS
    if vectors := canonical.vectors(analysis):
        return CONTINUOUS if all(_is_continuous(analysis, name) for name in vectors) else VECTOR
    matched = analysis[correlation.PART]
    if matched is None:
        return NOTHING
    if analysis.training.model.posterior == "isotropic":
        # The objective is then the same after every rotation: there are no axes to ask for.
        return VECTOR
    used = {pair.latent for pair in matched.pairs}
    spare = {unit for k, unit in enumerate(analysis.units) if k not in used}
    return SIGNS if spare <= set(information.of(analysis).active) else SPARE


def _is_hot(name: str, point: Parameters) -> bool:
    """Whether a parameter point is known to be above the transition of its system."""
    system = contract.load(name)
    critical = system.critical_temperature(system.spec(**point))
    return critical is not None and float(point["temperature"]) >= critical


def _is_continuous(analysis: ModelAnalysis, order: str) -> bool:
    """Whether a vector can be turned, and has no discrete directions: then one ordered phase carries its name."""
    return order in (analysis[aligned.PART] or {}) and order in analysis.phases
