"""Pages of every kind of study, from tiny runs: figures and tables that its results allow, and no others."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from contexts import analysis, information, number
from data_files import write_parquet
from pages import parsed
from studies import serial, write_study

from workflow.analyze.parts import squares
from workflow.analyze.parts.squares import SquareCorrelation
from workflow.storage.run_directory import RunDirectory

ANALYZE = {"resamples": 50, "generated": 16}
ISING = {"system": "ising", "size": 4, "coupling": [1.0, -1.0], "temperature": [1.2, 4.5], "samples": 128}


def simulated(system: str, **grid: Any) -> dict[str, Any]:
    return {"system": system, "size": 4, "samples": 128, **grid}


def page_of(folder: Path, **study: Any) -> tuple[RunDirectory, str]:
    """The run folder and the page of a study that went through every stage."""
    path = write_study(folder / "study.toml", {"name": "kind", "analyze": ANALYZE, **study})
    result = serial("run", path, folder / "run")
    assert result.exit_code == 0, result.output
    run = RunDirectory(folder / "run")
    text = run.page.read_text()
    page = parsed(text)
    assert page.open == [] and page.loads == []
    assert {path.stem for path in run.figures.glob("*.svg")} <= page.ids
    return run, text


def figures(run: RunDirectory) -> set[str]:
    return {path.stem for path in run.figures.glob("*.svg")}


def subjects(run: RunDirectory) -> list[str]:
    return [verdict["subject"] for verdict in json.loads(run.verdict.read_text())]


def test_single_points_local_temperatures_and_free_energy(tmp_path: Path) -> None:
    run, text = page_of(
        tmp_path,
        simulate=[ISING],
        train=[
            {"name": "all", "model": "beta2-vae", "epochs": 4, "free_energy": True, "seed": [0, 1]},
            {"name": "fm", "select": {"coupling": 1.0, "temperature": 1.2}, "model": "beta2-vae", "epochs": 2},
            {"name": "pm", "select": {"coupling": 1.0, "temperature": 4.5}, "model": "beta2-vae", "epochs": 2},
        ],
    )
    assert subjects(run)[1:] == ["one point", "one point"]
    of_all = ("latents", "generated", "plane", "learning", "free-energy", "thermal", "readings")
    energies = {"generated-points-ising", "energies-ising-L=4-J=1", "energies-ising-L=4-J=-1"}
    energies |= {"local-shallow", "local-points"}
    assert figures(run) == energies | {f"{kind}-shallow" for kind in of_all}
    for head in ("Local temperatures", "Free energy of latent space", "Distances between phases"):
        assert f"<h2>{head}</h2>" in text
    assert "Only the product" in text and "Restarts" not in text


def test_a_sweep_over_sizes(tmp_path: Path) -> None:
    run, text = page_of(
        tmp_path,
        simulate=[ISING | {"size": [4, 6]}],
        train=[{"name": "sweep", "beta": ["0.1 lam", "0.2 lam", "1.2 lam"], "epochs": 4}],
    )
    assert {"collapse-shallow", "sweep-shallow", "sizes-shallow", "trade-off-shallow"} <= figures(run)
    assert "<h2>Where the latents collapse</h2>" in text
    assert "<h2>Against lattice size</h2>" in text


def test_classes_with_restarts(tmp_path: Path) -> None:
    synthetic = {"name": "synthetic", "source": "multinomial", "size": 4, "samples": 64}
    run, text = page_of(
        tmp_path,
        data=[synthetic],
        train=[{"name": "three", "latent": 3, "epochs": 6, "restarts": 2, "beta": [1.0, 20.0]}],
    )
    assert subjects(run) == ["classes", "classes"]
    assert {"latents-shallow", "cosines-shallow", "generated-shallow", "learning-shallow"} == figures(run)
    assert "<h2>Restarts</h2>" in text and "<h2>How the phases lie in latent space</h2>" in text
    assert "Certificates" not in text


def test_images_with_labels_and_any_number_of_latents(tmp_path: Path) -> None:
    """Odd sides, no temperature; with one latent there is no plane to draw."""
    rng = np.random.default_rng(0)
    label = np.arange(120) % 3
    # Three bands of five rows, one of them bright.
    bands = np.repeat(np.eye(3)[label], 5, axis=1)[:, None, :, None]
    image = np.clip(bands + 0.1 * rng.random((120, 1, 15, 7)), 0, 1).astype("f4")
    write_parquet(tmp_path / "files" / "a.parquet", image, "float32", label=label, chain=np.arange(120) % 12)
    run, text = page_of(
        tmp_path,
        data=[{"name": "images", "path": "files"}],
        train=[
            {"name": "one", "latent": 1, "epochs": 2, "beta": 0.1},
            {"name": "six", "latent": 6, "epochs": 2, "beta": 0.1},
        ],
    )
    assert subjects(run) == ["labels", "labels"]
    assert not {"latents-one", "plane-one", "latents-six"} & figures(run)
    assert {"generated-one", "cosines-six", "learning-six"} <= figures(run)
    assert "read KL and the probe" in text


def test_a_study_without_training(tmp_path: Path) -> None:
    run, text = page_of(tmp_path, simulate=[simulated("ising", coupling=1.0, temperature=[1.2, 2.0, 4.5])])
    assert figures(run) == {"neighbours"}
    assert "<h2>Certificates</h2>" in text and "<h2>Models</h2>" not in text


@pytest.mark.slow
def test_several_systems_of_states(tmp_path: Path) -> None:
    run, text = page_of(
        tmp_path,
        simulate=[
            simulated("potts", states=3, coupling=1.0, temperature=[0.5, 2.0, 3.0]),
            simulated("clock", states=6, coupling=1.0, temperature=[0.2, 2.0, 3.0]),
        ],
        train=[
            {"name": "potts", "select": {"system": "potts"}, "epochs": 6},
            {"name": "clock", "select": {"system": "clock"}, "latent": 5, "epochs": 6},
        ],
    )
    assert subjects(run) == ["vector", "vector"]
    drawn = figures(run)
    assert {"latents-potts", "plane-potts", "cosines-clock", "neighbours-potts", "neighbours-clock"} <= drawn
    assert {"thermal-potts", "thermal-clock", "energies-potts-L=4-J=1"} <= drawn
    assert "canonical corr²" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "grid", "train", "subject"),
    [
        ("xy", {"coupling": 1.0, "temperature": [0.2, 3.0]}, {"likelihood": "von-mises"}, "continuous vector"),
        ("phi4", {"quartic": 0.5, "hopping": [0.15, 0.2, 0.4]}, {"variance": "learned"}, "order parameters"),
        (
            "blume-capel",
            {"coupling": [1.0, -1.0], "crystal_field": 0.5, "temperature": [0.6, 4.0]},
            {"latent": 3},
            "order parameters",
        ),
        ("ising", {"coupling": 1.0, "temperature": [1.5, 2.5]}, {"likelihood": "thermal"}, "energies"),
    ],
)
def test_a_system_of_each_kind(
    tmp_path: Path, system: str, grid: dict[str, Any], train: dict[str, Any], subject: str
) -> None:
    run, _ = page_of(tmp_path, simulate=[simulated(system, **grid)], train=[{"name": "a", "epochs": 6, **train}])
    assert subjects(run)[0].startswith(subject)
    assert {"latents-shallow", "generated-shallow", "learning-shallow", "thermal-shallow"} <= figures(run)


def test_squares_of_several_seeds_are_one_line() -> None:
    """Worst, best, and what takes no network as it is beside the worst; models without a unit in use are left out."""

    def model(seed: int, value: float, active: tuple[int, ...] = (0,), beta: str = "0.2 λ") -> Any:
        baselines = {"staggered_field": number(0.5 + seed / 100)}
        squared = {name: SquareCorrelation(number(value), 0, baselines) for name in ("spin_structure", "energy")}
        plan = SimpleNamespace(name="block", input_name="green", network="shallow", size=4, seed=seed)
        return SimpleNamespace(
            plan=plan, beta=beta, analysis=analysis(squares=squared, information=information(active))
        )

    nan = float("nan")
    models = [model(0, 0.9), model(1, -0.7), model(2, 0.95), model(3, 0.1, active=()), model(4, nan, beta="1 λ")]
    section = squares.section(models)
    assert section is not None and section.table.heads[-1] == "staggered field"
    first, second = section.table.rows
    assert first == ("block on green", "4", "0.2 λ", "3", "spin structure", "-0.700(10)", "0.950(10)", "0.510(10)")
    assert second[2:7] == ("1 λ", "1", "spin structure", "undefined", "")
    assert squares.section(models[3:4]) is None
