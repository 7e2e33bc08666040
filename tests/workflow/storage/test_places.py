"""Places of run folders: URIs that are refused, errors that pass and errors that do not, files of lines, listings."""

from pathlib import Path

import pytest
from studies import serial, small, write_study

from workflow.execution.run_folder import begin_run
from workflow.storage import errors as storage_errors
from workflow.storage import places
from workflow.storage.errors import FolderError, StorageError, patience, retried
from workflow.storage.places import Lines, ObjectPath
from workflow.study.loading import parse

SECRET = "wJalrXUtnFEMI"
BAD = [
    (f"s3://AKIA:{SECRET}@bucket/run", "must not hold credentials"),
    (f"s3://AKIA:{SECRET}/more@bucket/run", "must not hold credentials"),
    (f"s3://{SECRET}@bucket/run", "must not hold credentials"),
    (f"s3://bucket/run?access_key=AKIA&secret_key={SECRET}", "'access_key' cannot stand in the URI"),
    (f"abfs://box:{SECRET}@account.dfs.core.windows.net/run", "must not hold credentials"),
    (f"gs://bucket/run?token={SECRET}", "'token' cannot stand in the URI"),
    ("s3://bucket", "must name a bucket and a folder in it"),
    ("s3://bucket/../other/run", "without '..'"),
    ("s3://bucket/runs//run", "without '..', empty parts"),
    ("ftp://host/run", "no such kind of storage; there are s3, gs"),
    ("file://host/run", "write three slashes"),
]


@pytest.mark.parametrize(("uri", "message"), BAD)
def test_a_uri_that_cannot_be_used(uri: str, message: str, tmp_path: Path) -> None:
    result = serial("run", write_study(tmp_path / "study.toml", small()), uri)
    assert result.exit_code == 2
    assert message in result.stderr
    assert SECRET not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_what_a_uri_names() -> None:
    assert places.place("runs/x") == Path("runs/x")
    assert places.place("file:///runs/with%20space") == Path("/runs/with space")
    run = places.place("s3://bucket/runs/x?region=eu-west-1")
    assert isinstance(run, ObjectPath)
    shard = run / "dataset" / "a.parquet"
    assert shard.key == "bucket/runs/x/dataset/a.parquet"
    assert str(shard) == "s3://bucket/runs/x/dataset/a.parquet?region=eu-west-1"
    assert places.place(str(shard)) == shard
    assert (shard.name, shard.stem, shard.parent.parent) == ("a.parquet", "a", run)
    assert shard.relative_to(run).as_posix() == "dataset/a.parquet"
    account = places.place("abfs://box@account.dfs.core.windows.net/runs/x")
    assert isinstance(account, ObjectPath) and account.key == "box/runs/x"


PASSES = [
    "AWS Error SLOW_DOWN during PutObject operation: Please reduce your request rate.",
    "AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body.",
    "AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 56, Recv failure: Connection reset by peer",
    "google::cloud::Status(UNAVAILABLE: Retry policy exhausted)",
    "curlCode: 28, Timeout was reached",
]
STAYS = [
    ("AWS Error ACCESS_DENIED during PutObject operation: Access Denied", "not permitted|no credentials"),
    ("AWS Error UNKNOWN (HTTP status 403) during HeadObject operation: No response body.", "not permitted|no cred"),
    (
        "AWS Error NO_SUCH_BUCKET during PutObject operation: no (Request ID: ABC)",
        r"no such bucket; .*: no\)$",
    ),
    ("AWS Error UNKNOWN (HTTP status 301) during PutObject operation", "add region="),
]


@pytest.mark.parametrize("text", PASSES)
def test_what_passes_is_tried_again(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_errors, "FIRST_PAUSE", 0.001)
    calls: list[int] = []

    def work() -> str:
        calls.append(1)
        if len(calls) < 4:
            raise OSError(text)
        return "done"

    assert retried(work, "s3://bucket/x") == "done"
    assert len(calls) == 4


@pytest.mark.parametrize(("text", "advice"), STAYS)
def test_what_stays_is_explained_at_once(text: str, advice: str) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        raise OSError(text)

    with pytest.raises(StorageError, match=advice):
        retried(work, "s3://bucket/x")
    assert len(calls) == 1


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), OSError("Couldn't deserialize thrift")])
def test_other_errors_come_as_they_are(error: OSError) -> None:
    def work() -> None:
        raise error

    with pytest.raises(OSError) as caught:
        retried(work, "s3://bucket/x")
    assert caught.value is error


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_errors, "FIRST_PAUSE", 0.01)

    def work() -> None:
        raise OSError(PASSES[0])

    with patience(0.05), pytest.raises(StorageError, match="the store has failed for 0 s: AWS Error SLOW_DOWN"):
        retried(work, "s3://bucket/x")


def test_lines_are_added_and_a_cut_one_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    with Lines(file) as lines:
        lines.add("one")
        assert file.read_text() == "one\n", "a local file has each line at once"
    file.write_text('one\n{"cut')
    with Lines(file) as lines:
        lines.add("two")
    assert file.read_text() == 'one\n{"cut\ntwo\n'


def test_a_listing_knows_files_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_text("four")
    found = places.listing(tmp_path)
    assert found.names == {"deep/er/file": 4}
    assert tmp_path / "deep" / "er" / "file" in found and found.size(tmp_path / "deep" / "er" / "file") == 4
    assert tmp_path / "deep" not in found and tmp_path / "other" not in found
    assert places.listing(tmp_path / "nothing").names == {}


@pytest.mark.parametrize("name", ["../other", "/etc", "a/b", "..", ""])
def test_a_name_cannot_leave_the_runs_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = serial("run", write_study(tmp_path / "study.toml", small(name=name)), tmp_path / "run")
    assert result.exit_code == 2
    assert "name: must consist of letters, digits, '.', '_' and '-'" in result.stderr


@pytest.mark.parametrize("link", ["training", "manifest.jsonl", "dataset/ising"])
def test_nothing_is_written_through_a_link_out_of_the_folder(link: str, tmp_path: Path) -> None:
    study = parse(small())
    run = begin_run(study, tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "run" / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderError, match=r"is a link to .*elsewhere, outside the run folder"):
        begin_run(study, tmp_path / "run")
    path.unlink()
    path.symlink_to(tmp_path / "run" / "study.toml")
    assert begin_run(study, tmp_path / "run") == run, "a link that stays inside"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "large-disk")
    assert begin_run(parse(small()), tmp_path / "run").root == tmp_path / "large-disk"
