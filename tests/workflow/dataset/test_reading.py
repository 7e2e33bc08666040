"""What training reads: whole chains are held out, both starts in both parts, in the order of the task ids."""

import numpy as np
import pytest
from studies import small

from models.data.samples import PackedSamples, samples_of
from workflow.dataset import shards
from workflow.dataset.gathered import GatheredArray
from workflow.dataset.origins import SimulationTask
from workflow.dataset.reading import held_out, label_samples, training_data
from workflow.dataset.shards import ShardError
from workflow.execution.executors import SerialExecutor
from workflow.execution.run_folder import begin_run
from workflow.execution.stage import Execution
from workflow.plan.tasks import simulation_tasks
from workflow.simulate.stage import simulate
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

NAMES = ("magnetization", "staggered_magnetization")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    study = parse(small())
    folder = begin_run(study, tmp_path_factory.mktemp("data") / "run")
    simulate(study, folder, Execution(SerialExecutor(), quiet=True))
    return folder


@pytest.fixture(scope="module")
def tasks() -> tuple[SimulationTask, ...]:
    return simulation_tasks(parse(small()))


@pytest.mark.parametrize(
    ("chains", "fraction", "count"),
    [(64, 0.25, 16), (64, 0.5, 32), (64, 0.001, 2), (6, 0.25, 2), (4, 0.25, 2), (10, 0.25, 2), (10, 0.3, 3)],
)
def test_the_last_chains_are_held_out(chains: int, fraction: float, count: int) -> None:
    """At least two, so that there is a scatter between chains, one of each start."""
    chain = np.tile(np.arange(chains), 3)
    unseen = held_out(chain, chains, fraction)
    assert sorted(set(chain[unseen])) == list(range(chains - count, chains))
    for part in (chain[unseen], chain[~unseen]):
        assert set(part % 2) == {0, 1}, "even chains start hot, odd ones ordered"


def test_a_chain_is_never_in_both_parts() -> None:
    chain = np.random.default_rng(1).integers(0, 8, 500)
    unseen = held_out(chain, 8, 0.25)
    assert not set(chain[unseen]) & set(chain[~unseen])


def test_training_data_leave_out_the_held_out_rows(run: RunDirectory, tasks: tuple[SimulationTask, ...]) -> None:
    ids = [task.task_id for task in tasks]
    packed = training_data(run, "ising", 4, ids, 0.25)
    assert packed.shape == (1, 4, 4)
    expected = []
    for task_id in ids:
        shard = shards.read(run.shard_file("ising", 4, task_id))
        expected.append(shard.packed_SB[shard.columns["chain"] < 48])
    np.testing.assert_array_equal(packed.configurations_SN, np.concatenate(expected))
    assert len(packed.configurations_SN) == 4 * 96


@pytest.mark.parametrize("memory", [1e-9, 1e-6], ids=["from the first shard on", "from a later shard on"])
def test_what_does_not_fit_into_memory_is_read_from_a_file(
    memory: float, run: RunDirectory, tasks: tuple[SimulationTask, ...]
) -> None:
    ids = [task.task_id for task in tasks]
    held = training_data(run, "ising", 4, ids, 0.25, memory=1.0).configurations_SN
    mapped = training_data(run, "ising", 4, ids, 0.25, memory=memory).configurations_SN
    assert isinstance(mapped, np.memmap) and not isinstance(held, np.memmap)
    np.testing.assert_array_equal(mapped, held)
    assert mapped.dtype == held.dtype
    samples = samples_of(mapped, (1, 4, 4), "spins")
    assert isinstance(samples, PackedSamples)
    assert samples.bits.data_ptr() == mapped.ctypes.data, "the samples are the file, not a copy of it"


def test_gathering_nothing_is_refused() -> None:
    with GatheredArray(0) as gathered, pytest.raises(ValueError, match="at least one array"):
        gathered.together()


def test_a_shard_without_training_chains_is_refused(run: RunDirectory, tasks: tuple[SimulationTask, ...]) -> None:
    with pytest.raises(ValueError, match="leave no training sample"):
        training_data(run, "ising", 4, [tasks[0].task_id], 0.999)


def test_a_missing_shard_is_named(run: RunDirectory) -> None:
    with pytest.raises(ShardError, match="0123456789abcdef"):
        training_data(run, "ising", 4, ["0123456789abcdef"], 0.25)


def test_labels_of_several_shards(run: RunDirectory, tasks: tuple[SimulationTask, ...]) -> None:
    paths = [run.shard(task) for task in tasks]
    labelled = label_samples(paths, NAMES, 0.25)
    assert labelled.task_ids == tuple(path.stem for path in paths)
    np.testing.assert_array_equal(labelled.shard, np.repeat(np.arange(4), 128))
    assert len(set(zip(labelled.chain, labelled.shard, strict=True))) == len(set(labelled.chain)) == 4 * 64
    assert labelled.points == tuple(dict(task.spec) for task in tasks)
    for index, path in enumerate(paths):
        mine = labelled.shard == index
        for name in NAMES:
            np.testing.assert_array_equal(labelled.order_parameters[name][mine], shards.read(path).columns[name])


def test_the_order_parameter_tells_the_phases(run: RunDirectory, tasks: tuple[SimulationTask, ...]) -> None:
    """T = 1.2 is deep in the phase that the sign of the coupling asks for, T = 4.5 in neither."""
    labelled = label_samples([run.shard(task) for task in tasks], NAMES, 0.25)
    for index, point in enumerate(labelled.points):
        own, other = NAMES if point["coupling"] > 0 else NAMES[::-1]
        mine = labelled.shard == index
        strength = {name: np.abs(labelled.order_parameters[name][mine]).mean() for name in NAMES}
        if point["temperature"] < 2:
            assert strength[own] > 0.9 > 0.1 > strength[other]
        else:
            assert max(strength.values()) < 0.6
