"""Results are typed from one end to the other: ``dict[str, Any]`` stands only where a format or a library has one.

``PLACES`` lists every file of ``workflow`` that says ``dict[str, Any]`` (or the same as a ``Mapping``), how often, and
why. A new place needs a reason here, or better a dataclass or a NamedTuple there.
"""

import re
from pathlib import Path

WORKFLOW = Path(__file__).parents[1] / "workflow"
UNTYPED = re.compile(r"\b(?:dict|Mapping|MutableMapping)\[str, Any\]")

PLACES: dict[str, tuple[int, str]] = {
    "analyze/analysis.py": (2, "results by part, which analysis[part] gives with their types"),
    "analyze/context.py": (1, "results by part, which context.result gives with their types"),
    "analyze/results.py": (5, "the JSON of an analysis"),
    "bench/_figure.py": (2, "the JSON of a benchmark report"),
    "bench/_machine.py": (2, "facts of the machine, for the JSON of a benchmark report"),
    "bench/fanout.py": (1, "a study as TOML"),
    "bench/physics.py": (1, "a study as TOML"),
    "cli/exchange.py": (2, "a parameter point as TOML, and options of click"),
    "dataset/identity.py": (1, "content of a task, hashed as JSON"),
    "dataset/origins.py": (3, "content of tasks, hashed as JSON; a [[data]] block as TOML"),
    "dataset/reading.py": (1, "parameters in the JSON of shards"),
    "dataset/shards.py": (3, "the JSON in a shard's metadata"),
    "dataset/variables.py": (1, "a task in the JSON of a shard"),
    "exchange/importing.py": (1, "content of a task, hashed as JSON"),
    "exchange/smoqydqmc.py": (1, "members of a Julia struct in an HDF5 file"),
    "execution/ray_executor.py": (3, "options of Ray"),
    "execution/run_folder.py": (4, "the study file of a run folder, as TOML"),
    "plan/planned.py": (1, "the JSON of a noted plan"),
    "sources/folder.py": (1, "contents of a folder as TOML"),
    "storage/stores.py": (1, "options of pyarrow's file systems"),
    "storage/typed_json.py": (2, "fields of a result, on their way to JSON"),
    "study/blocks.py": (3, "select, [cluster.*] and the resolved study, as TOML"),
    "study/cluster_blocks.py": (4, "[cluster.*] tables as TOML"),
    "study/data_blocks.py": (3, "[[data]] blocks as TOML"),
    "study/data_columns.py": (1, "a resolved [[data]] block, as TOML"),
    "study/grid.py": (2, "entries of a [[simulate]] block, as TOML"),
    "study/loading.py": (8, "the study file as TOML"),
    "submit/kubernetes.py": (7, "manifests, as YAML"),
    "submit/ray_job.py": (1, "arguments of Ray's Jobs API"),
    "submit/submission.py": (1, "tables of a site file, as TOML"),
    "train/on_ray.py": (3, "options of Ray Train"),
    "train/record.py": (2, "JSON of a training's files"),
    "verdict/records.py": (2, "the JSON of summary.json"),
}


def untyped(root: Path) -> dict[str, int]:
    """How often each file below ``root`` says that a dictionary may hold anything."""
    counts = {path.relative_to(root).as_posix(): len(UNTYPED.findall(path.read_text())) for path in root.rglob("*.py")}
    return {name: count for name, count in sorted(counts.items()) if count}


def deviations(counts: dict[str, int], places: dict[str, tuple[int, str]]) -> list[str]:
    """Files that say it more or less often than the table."""
    return [
        f"{name}: {counts.get(name, 0)} times, the table has {places.get(name, (0, ''))[0]}"
        for name in sorted({*counts, *places})
        if counts.get(name, 0) != places.get(name, (0, ""))[0]
    ]


def test_the_table_lists_every_place() -> None:
    assert deviations(untyped(WORKFLOW), PLACES) == []


def test_every_place_has_a_reason() -> None:
    assert all(count > 0 and len(reason.split()) >= 3 for count, reason in PLACES.values())


def test_new_and_stale_places_are_noticed(tmp_path: Path) -> None:
    """Negative control."""
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "new.py").write_text("def results() -> dict[str, Any]: ...\nx: Mapping[str, Any]\n")
    (tmp_path / "plan" / "typed.py").write_text("def results() -> dict[str, int]: ...\n")
    assert deviations(untyped(tmp_path), {"plan/old.py": (1, "no longer there")}) == [
        "plan/new.py: 2 times, the table has 0",
        "plan/old.py: 0 times, the table has 1",
    ]
