"""Folders of Parquet files made elsewhere: what their columns mean, and every way in which they can be wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import spin_file, spins, write_parquet

from workflow.dataset.origins import DataTask, position_in_chain, pseudo_chains, renumbered
from workflow.study.loading import StudyError, parse


def study(**block: Any) -> dict[str, Any]:
    return {"name": "s", "data": [{"name": "elsewhere", "path": "files"} | block]}


def tasks(folder: Path, **block: Any) -> tuple[DataTask, ...]:
    return parse(study(**block), folder=folder).data[0].tasks


def refused(folder: Path, **block: Any) -> str:
    with pytest.raises(StudyError) as caught:
        parse(study(**block), folder=folder)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two temperatures of random spins."""
    spin_file(tmp_path / "files" / "cold.parquet", 1, 1.5)
    spin_file(tmp_path / "files" / "deep" / "hot.parquet", 2, 4.0, samples=100)
    return tmp_path


def test_parameters_are_constant_and_other_floats_are_order_parameters(folder: Path) -> None:
    cold, hot = tasks(folder)
    assert cold.spec == (("size", 4), ("temperature", 1.5))
    assert hot.spec == (("size", 4), ("temperature", 4.0))
    assert (cold.part, hot.part) == ("cold.parquet", "deep/hot.parquet")
    assert cold.info.order_parameters == ("magnetization",)
    assert cold.columns == ("magnetization", "energy")
    assert (cold.info.shape, cold.info.variable, cold.size) == ((1, 4, 8), "spins", 4)
    assert (cold.samples, cold.chains, hot.samples, hot.chains) == (40, 40, 100, 64)


def test_order_parameters_that_are_named(folder: Path) -> None:
    assert tasks(folder, order_parameters=["energy"])[0].info.order_parameters == ("energy",)
    assert tasks(folder, order_parameters=[])[0].info.order_parameters == ()
    text = refused(folder, order_parameters=["temperature", "spam", "energy", "energy"])
    assert "data.0.order_parameters.0: must be a column of floats that is no parameter" in text
    assert "data.0.order_parameters.1" in text and "got 'spam'" in text
    assert "data.0.order_parameters: must not name a column twice" in text


def test_a_float_that_happens_to_be_constant_can_be_an_order_parameter(tmp_path: Path) -> None:
    spin_file(tmp_path / "files" / "a.parquet", 1, 1.5, length=1.0)
    assert ("length", 1.0) in tasks(tmp_path)[0].spec
    named = tasks(tmp_path, order_parameters=["length"])[0]
    assert named.info.order_parameters == ("length",)
    assert "length" not in dict(named.spec)


def test_where_files_lie_does_not_matter_but_what_they_hold(folder: Path) -> None:
    before = [task.task_id for task in tasks(folder)]
    (folder / "files").rename(folder / "moved")
    assert [task.task_id for task in tasks(folder, path=str(folder / "moved"))] == before
    spin_file(folder / "moved" / "cold.parquet", 3, 1.5)
    after = [task.task_id for task in tasks(folder, path="moved")]
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_the_resolved_study_needs_no_files(folder: Path) -> None:
    first = parse(study(), folder=folder)
    (folder / "files" / "cold.parquet").unlink()
    assert parse(first.resolved).data == first.data


@pytest.mark.parametrize(
    ("values", "block", "states", "lowest"),
    [
        ([0, 1, 2], {}, 3, 0),
        ([-1, 0, 1], {}, 3, -1),
        ([0, 1], {"states": 4}, 4, 0),
        ([1, 2, 3], {"lowest": 1}, 3, 1),
        ([-1, 1], {"variable": "states"}, 3, -1),
    ],
)
def test_states(values: list[int], block: dict[str, Any], states: int, lowest: int, tmp_path: Path) -> None:
    x_SCHW = np.random.default_rng(1).choice(np.array(values, np.int8), size=(20, 1, 4, 4))
    write_parquet(tmp_path / "files" / "a.parquet", x_SCHW, "int8")
    (task,) = tasks(tmp_path, **block)
    assert task.info.stored == ("states", states, lowest)


def test_a_column_says_how_many_states(tmp_path: Path) -> None:
    x_SCHW = np.random.default_rng(1).integers(0, 2, (20, 1, 4, 4)).astype(np.int8)
    write_parquet(tmp_path / "files" / "a.parquet", x_SCHW, "int8", states=5)
    assert tasks(tmp_path)[0].info.states == 5


def test_spins_that_are_stored_as_numbers(tmp_path: Path) -> None:
    write_parquet(tmp_path / "files" / "a.parquet", spins(1), "int8")
    assert 'data.0.variable: holds -1 and 1 alone: say "spins"' in refused(tmp_path)
    (task,) = tasks(tmp_path, variable="spins")
    assert (task.info.stored, task.info.encoding) == (("spins", 2, 0), "bits")


def test_floats_are_values_unless_they_are_angles(tmp_path: Path) -> None:
    x_SCHW = np.random.default_rng(1).random((20, 1, 4, 4), dtype=np.float32)
    write_parquet(tmp_path / "files" / "a.parquet", x_SCHW, "float32")
    assert tasks(tmp_path)[0].info.stored == ("values", 2, 0)
    assert tasks(tmp_path, variable="angles")[0].info.stored == ("angles", 2, 0)


def test_labels(tmp_path: Path) -> None:
    spin_file(tmp_path / "files" / "a.parquet", 1, 1.5, label=np.arange(40) % 3)
    spin_file(tmp_path / "files" / "b.parquet", 2, 1.5, label=4)
    first, second = tasks(tmp_path)
    assert first.info.labels == second.info.labels == ("0", "1", "2", "3", "4")
    assert "label" in first.columns and "label" not in dict(second.spec)


def test_a_split_of_their_own(tmp_path: Path) -> None:
    spin_file(tmp_path / "files" / "a.parquet", 1, 1.5, held_out=np.arange(40) >= 30)
    assert tasks(tmp_path)[0].held_out == 10


BAD_BLOCKS = [
    ({"variable": "angles"}, 'data.0.variable: bits configurations are spins, got "angles"'),
    ({"variable": "spam"}, "data.0.variable: "),
    ({"states": 3}, "data.0.states: is for states alone; these are spins"),
    ({"lowest": -1}, "data.0.lowest: is for states alone; these are spins"),
    ({"path": "nowhere"}, "data.0.path: no such folder: "),
    ({"path": "."}, None),
    ({"spam": 1}, "data.0.spam: unknown key"),
    ({"name": "../up"}, "data.0.name: must consist of letters"),
    ({"name": ".."}, "data.0.name: must consist of letters"),
    ({"name": "a/b"}, "data.0.name: must consist of letters"),
    ({"name": 3}, "data.0.name: "),
    ({"contents": {}}, "data.0.contents.encoding: is missing"),
]


@pytest.mark.parametrize(("block", "message"), BAD_BLOCKS, ids=[str(block) for block, _ in BAD_BLOCKS])
def test_bad_blocks(block: dict[str, Any], message: str | None, folder: Path) -> None:
    if message is None:
        assert len(tasks(folder, **block)) == 2, "folders below are searched too"
    else:
        assert message in refused(folder, **block)


def test_everything_at_once(folder: Path) -> None:
    """Problems of several blocks, and of several files, are reported together."""
    (folder / "files" / "junk.parquet").write_bytes(b"junk")
    spin_file(folder / "files" / "few.parquet", 5, 1.5, samples=3)
    raw = study() | {"data": [*study()["data"], {"name": "ising", "source": "spam"}, {"name": "x"}], "spam": 1}
    with pytest.raises(StudyError) as caught:
        parse(raw, folder=folder)
    text = str(caught.value)
    for part in (
        "data.0.path: junk.parquet: is not a Parquet file",
        "data.0.path: few.parquet: has 3 samples",
        "data.1.source: must be one of multinomial, mnist",
        "data.1.name: must not be that of a system, got 'ising'",
        "data.2: needs a path (a folder of Parquet files) or a source (multinomial, mnist)",
        "spam: unknown key",
    ):
        assert part in text


def test_two_blocks_of_one_name(folder: Path) -> None:
    raw = study()
    with pytest.raises(StudyError, match=r"data.1.name: must differ from that of data.0, got 'elsewhere'"):
        parse(raw | {"data": raw["data"] * 2}, folder=folder)


ROWS = np.arange(40)
BAD_COLUMNS = [
    ({"temperature": ROWS / 10.0}, "column temperature must be constant in a file (one parameter point), got 40"),
    ({"size": 8}, "column size is 8, but configurations have 4 rows"),
    ({"comment": list(map(str, ROWS))}, "column comment must be constant in a file"),
    ({"order": np.where(ROWS == 3, np.nan, 0.5)}, "column order holds values that are not finite"),
    ({"order": [None, *map(float, ROWS[1:])]}, "column order lacks 1 of its values"),
    ({"order": [[1.0]] * 40}, "column order has type list"),
    ({"order": ROWS > 3}, "column order has type bool"),
    ({"chain": ROWS / 2}, "column chain must be of kind int"),
    ({"chain": ROWS % 2}, "has 2 chains; errors need at least 4; without the column chain"),
    ({"label": ROWS - 1}, "labels are numbers from 0 below 256, got -1 to 38"),
    ({"label": ROWS / 2}, "column label must be of kind int"),
    ({"chain": ROWS % 5, "held_out": ROWS % 5 == 2}, "all 8 held-out samples are of one chain; errors need two chains"),
    ({"held_out": ROWS == 7}, "all 1 held-out samples are of one chain; errors need two chains, which are 40 consec"),
    ({"held_out": ROWS}, "column held_out must be of kind bool"),
    ({"many": 2**40}, "column many must fit into 32 bits"),
]


@pytest.mark.parametrize(("columns", "message"), BAD_COLUMNS, ids=[message for _, message in BAD_COLUMNS])
def test_bad_columns(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_parquet(tmp_path / "files" / "a.parquet", spins(1), "bits", **columns)
    assert f"data.0.path: a.parquet: {message}" in refused(tmp_path)


def rewritten(path: Path, **change: Any) -> None:
    """The file with another type or other metadata of its configurations."""
    table = pq.read_table(path)
    field = table.schema.field("configuration")
    column = table.column("configuration")
    if "type" in change:
        field, column = field.with_type(change["type"]), column.cast(change["type"])
    if "metadata" in change:
        field = field.with_metadata(change["metadata"])
    if "name" in change:
        field = field.with_name(change["name"])
    pq.write_table(pa.table([column], schema=pa.schema([field])), path)


BAD_CONFIGURATIONS = [
    ({"name": "spins"}, "has no column configuration"),
    ({"metadata": {}}, "the metadata of configuration must hold encoding and shape"),
    ({"metadata": {"encoding": "bits", "shape": "[4, 8]"}}, "the metadata of configuration must hold"),
    ({"metadata": {"encoding": "zip", "shape": "[1, 4, 8]"}}, "encoding must be bits, int8 or float32, got 'zip'"),
    ({"metadata": {"encoding": "bits", "shape": "[1, 0, 8]"}}, "shape must be channels, rows and columns"),
    ({"metadata": {"encoding": "int8", "shape": "[1, 4, 8]"}}, "configuration must be fixed_size_binary[32]"),
    ({"type": pa.binary()}, "configuration must be fixed_size_binary[4], got binary"),
]


@pytest.mark.parametrize(("change", "message"), BAD_CONFIGURATIONS, ids=[text for _, text in BAD_CONFIGURATIONS])
def test_bad_configurations(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    rewritten(write_parquet(tmp_path / "files" / "a.parquet", spins(1), "bits"), **change)
    assert f"data.0.path: a.parquet: {message}" in refused(tmp_path)


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    x_SCHW = np.ones((20, 1, 4, 4), np.float32)
    x_SCHW[7, 0, 1, 2] = np.inf
    write_parquet(tmp_path / "files" / "a.parquet", x_SCHW, "float32")
    assert "a.parquet: configurations hold values that are not finite" in refused(tmp_path)


def test_states_out_of_bounds(tmp_path: Path) -> None:
    write_parquet(tmp_path / "files" / "a.parquet", np.full((9, 1, 4, 4), 3, np.int8), "int8")
    assert "data.0.states: a.parquet holds 3 to 3, not 3 states from 0" in refused(tmp_path, states=3)
    assert "data.0.states: a.parquet holds a single state" in refused(tmp_path, lowest=3)


def test_files_that_do_not_fit_together(folder: Path) -> None:
    write_parquet(folder / "files" / "other.parquet", spins(3), "int8", temperature=1.0)
    assert "other.parquet: int8 with columns temperature (float); but cold.parquet: bits with" in refused(folder)


def test_one_shape_per_lattice_size(tmp_path: Path) -> None:
    write_parquet(tmp_path / "files" / "a.parquet", spins(1), "bits")
    write_parquet(tmp_path / "files" / "b.parquet", spins(1, shape=(1, 4, 4)), "bits")
    assert "b.parquet has shape (1, 4, 4), a.parquet has (1, 4, 8)" in refused(tmp_path)
    write_parquet(tmp_path / "files" / "b.parquet", spins(1, shape=(1, 8, 8)), "bits")
    assert [task.size for task in tasks(tmp_path)] == [4, 8]


def test_the_same_file_twice(folder: Path) -> None:
    (folder / "files" / "copy.parquet").write_bytes((folder / "files" / "cold.parquet").read_bytes())
    assert "copy.parquet and cold.parquet are the same file" in refused(folder)


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    assert "holds no .parquet file" in refused(tmp_path)


def test_chains_of_samples_without_chains() -> None:
    """Consecutive pieces of equal length, as many as there are chains in a simulation."""
    chain = pseudo_chains(2500)
    assert (np.diff(chain) >= 0).all()
    assert set(np.bincount(chain)) == {39, 40}
    assert len(set(chain)) == 64
    np.testing.assert_array_equal(pseudo_chains(5), np.arange(5))


def test_chain_numbers_and_positions() -> None:
    chain = renumbered(np.array([7, 3, 3, 7, 9, 3]))
    np.testing.assert_array_equal(chain, [1, 0, 0, 1, 2, 0])
    np.testing.assert_array_equal(position_in_chain(chain), [0, 0, 1, 1, 0, 2])
