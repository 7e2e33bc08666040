"""What ``latentphase submit`` would hand over, and what it says where it cannot."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import yaml
from click.testing import CliRunner, Result
from studies import small, write_study

from workflow.cli.main import main
from workflow.own_packages import PACKAGES
from workflow.study.cluster_blocks import Slurm
from workflow.study.loading import parse
from workflow.submit import ray_job as submit_ray
from workflow.submit.slurm import hours, refusal
from workflow.submit.submission import prepare

GPUS = {"nodes": 2, "cpus": 8, "gpus": 4, "memory": "64G", "time": "1-12:00:00", "partition": "gpu", "account": "phys"}


def submit(tmp_path: Path, target: str, *more: str | Path, site: dict[str, Any] | None = None, **top: Any) -> Result:
    """``latentphase submit`` on a small study."""
    words: list[str | Path] = ["submit", write_study(tmp_path / "study.toml", small(**top)), "--to", target, *more]
    if site is not None:
        (tmp_path / "site.toml").write_text(tomli_w.dumps({"cluster": {target: site}}))
        words += ["--site", tmp_path / "site.toml"]
    return CliRunner().invoke(main, [str(word) for word in words])


def dry(tmp_path: Path, target: str, *more: str | Path, **settings: Any) -> str:
    before = sorted(tmp_path.rglob("*"))
    result = submit(tmp_path, target, "--dry-run", *more, **settings)
    assert result.exit_code == 0, result.output
    made = {path for path in tmp_path.rglob("*") if path not in before}
    assert {path.name for path in made} <= {"study.toml", "site.toml"}, "a dry run touches nothing"
    return result.stdout


def refused(tmp_path: Path, target: str, *more: str | Path, **settings: Any) -> str:
    result = submit(tmp_path, target, *more, **settings)
    assert result.exit_code == 2, result.output
    return result.stderr


# SLURM


def test_the_script_asks_for_what_the_study_says(tmp_path: Path) -> None:
    text = dry(tmp_path, "slurm", "--run-dir", tmp_path / "run", "--seed", "5", cluster={"slurm": GPUS})
    given = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, re.MULTILINE))
    assert given == {
        "job-name": "latentphase-small",
        "output": f"{tmp_path}/run-%j.log",
        "nodes": "2",
        "ntasks-per-node": "1",
        "cpus-per-task": "8",
        "gpus-per-node": "4",
        "mem": "64G",
        "time": "1-12:00:00",
        "partition": "gpu",
        "account": "phys",
        "signal": "B:USR1@120",
        "requeue": "",
        "open-mode": "append",
        "no-kill": "",
    }
    assert f"-m latentphase run {tmp_path}/study.toml --run-dir {tmp_path}/run --device auto --seed 5 --address" in text
    assert "--num-gpus=0" not in text, "Ray finds them"
    assert "--gpus 4" in text


def test_the_script_is_bash(tmp_path: Path) -> None:
    site = {
        "setup": ["module load 'python/3.11'"],
        "extra": ["--exclusive"],
        "python": "/opt/my python",
        "suffix": "-ib0",
    }
    text = dry(tmp_path, "slurm", "--run-dir", tmp_path / "it's a run", site=site)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert (
        text.index("#SBATCH --exclusive")
        < text.index("module load 'python/3.11'")
        < text.index("python='/opt/my python'")
    )
    assert 'lookup "$1-ib0"' in text


def test_a_script_that_is_no_bash_would_be_noticed() -> None:
    """Negative control."""
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(["bash", "-n"], input="if true; then", text=True, check=True, capture_output=True)


def test_a_dry_run_tells_the_cost(tmp_path: Path) -> None:
    text = dry(tmp_path, "slurm", cluster={"slurm": GPUS})
    assert re.search(r"^# plan: 0\.\d{4} core-hours to simulate, 0\.\d{4} core-hours to train", text, re.MULTILINE)
    assert "# each allocation reserves at most 576.00 core-hours and 288.00 GPU-hours" in text


@pytest.mark.parametrize(
    ("time", "expected"),
    [("30", 0.5), ("90:00", 1.5), ("04:30:00", 4.5), ("1-12", 36), ("1-12:30", 36.5), ("2-00:00:36", 48.01)],
)
def test_hours(time: str, expected: float) -> None:
    assert hours(time) == pytest.approx(expected)


def test_without_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no sbatch on this machine" in refused(tmp_path, "slurm", "--run-dir", tmp_path / "run")
    assert not (tmp_path / "run.slurm.sh").exists()


def test_a_path_that_slurm_would_read_differently(tmp_path: Path) -> None:
    assert "SLURM reads %" in refused(tmp_path, "slurm", "--run-dir", tmp_path / "100%")


def test_an_unknown_refusal_is_left_to_sbatch() -> None:
    assert refusal("sbatch: error: the moon is full", Slurm()) is None
    assert refusal("Batch job submission failed: Invalid qos specification", Slurm(qos="gold")) is not None


# Ray


def test_the_request_of_a_ray_job(tmp_path: Path) -> None:
    text = dry(tmp_path, "ray", "--run-dir", "/shared/small", "--device", "cuda", cluster={"ray": {"cpus": 2}})
    request = json.loads("\n".join(line for line in text.splitlines() if not line.startswith("#")))
    assert request["entrypoint"] == (
        "python -m latentphase run study.toml --run-dir /shared/small --device cuda --address auto"
    )
    assert request["entrypoint_num_cpus"] == 2
    assert "# plan: " in text


def test_a_job_is_shipped_without_runs_and_environments(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study.toml", small())
    folder = tmp_path / "staged"
    folder.mkdir()
    job = prepare(study, "ray", seed=5)
    submit_ray.stage(job, folder)
    assert {path.name for path in folder.iterdir()} == {*PACKAGES, "study.toml"}
    assert not list(folder.rglob("__pycache__"))
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 5e6
    shipped = CliRunner().invoke(main, ["plan", str(folder / "study.toml")])
    assert shipped.exit_code == 0, shipped.output
    assert "seed = 5" in (folder / "study.toml").read_text()
    # The packages stand alone.
    done = subprocess.run(
        [sys.executable, "-m", "latentphase", "--version"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--run-dir: give a folder that all nodes of the cluster share"),
        (["--run-dir", "runs/small"], "--run-dir: must be absolute or a URI"),
        (["--run-dir", "/shared/small", "--address", "http://127.0.0.1:9"], "Ray dashboard at http://127.0.0.1:9"),
    ],
)
def test_what_a_ray_job_needs(words: list[str], said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, "ray", *words)


# Kubernetes

IMAGES = {
    "image": "registry.example/latentphase:1",
    "training_image": "registry.example/latentphase:1-gpu",
    "claim": "data",
}
"""What a site has to name."""


@pytest.fixture
def documents(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ConfigMap and the RayJob."""
    groups = {
        "simulation": {"most": 16, "cpus": 32, "memory": "64Gi"},
        "training": {"most": 2, "cpus": 8, "memory": "32Gi", "gpus": 1},
        "namespace": "physics",
    }
    text = dry(
        tmp_path, "kubernetes", site=IMAGES | {"mount": "/data"}, cluster={"kubernetes": groups}, name="My_Study.2"
    )
    config, job = yaml.safe_load_all(text)
    return config, job


def test_the_study_comes_as_a_config_map(documents: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path) -> None:
    config, job = documents
    assert (config["apiVersion"], config["kind"]) == ("v1", "ConfigMap")
    assert config["metadata"] == job["metadata"] == {"name": "latentphase-my-study-2", "namespace": "physics"}
    (tmp_path / "mounted.toml").write_text(config["data"]["study.toml"])
    assert CliRunner().invoke(main, ["plan", str(tmp_path / "mounted.toml")]).exit_code == 0


def test_the_rayjob_has_what_kuberay_requires(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """RayJobSpec and RayClusterSpec of the v1 API, and the checks of the operator."""
    _, job = documents
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    # A DNS-1035 label of at most 47 characters.
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", job["metadata"]["name"]) and len(job["metadata"]["name"]) <= 47
    spec = job["spec"]
    assert set(spec) == {
        "entrypoint",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "backoffLimit",
        "rayClusterSpec",
    }
    assert spec["entrypoint"] == (
        "latentphase run /etc/latentphase/study.toml --run-dir /data/runs/My_Study.2 --device auto --address auto"
    )
    # A time to live needs the shutdown.
    assert spec["shutdownAfterJobFinishes"] is True and spec["ttlSecondsAfterFinished"] == 600
    assert spec["backoffLimit"] == 3
    cluster = spec["rayClusterSpec"]
    # Token authentication needs a version from 2.52 on.
    assert cluster["authOptions"] == {"mode": "token"}
    assert isinstance(cluster["rayVersion"], str)
    assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52, 0)
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"


def test_the_head_runs_no_tasks_and_is_reached_from_inside(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    head = documents[1]["spec"]["rayClusterSpec"]["headGroupSpec"]
    assert head["serviceType"] == "ClusterIP"
    assert head["labels"] == {"workload": "head"}
    # Parameters are strings, and labels not among them.
    assert head["rayStartParams"] == {"num-cpus": "0"}
    (container,) = head["template"]["spec"]["containers"]
    assert container["image"] == IMAGES["image"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"gcs-server": 6379, "dashboard": 8265, "client": 10001}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"shared": "/data", "study": "/etc/latentphase"}
    volumes = {volume.pop("name"): volume for volume in head["template"]["spec"]["volumes"]}
    assert volumes["study"] == {"configMap": {"name": "latentphase-my-study-2"}}
    assert volumes["shared"] == {"persistentVolumeClaim": {"claimName": "data"}}


@pytest.mark.parametrize(
    ("index", "name", "image", "most", "resources"),
    [
        (0, "simulation", IMAGES["image"], 16, {"cpu": "32", "memory": "64Gi"}),
        (1, "training", IMAGES["training_image"], 2, {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"}),
    ],
)
def test_each_group_of_workers(
    documents: tuple[dict[str, Any], dict[str, Any]],
    index: int,
    name: str,
    image: str,
    most: int,
    resources: dict[str, str],
) -> None:
    """The label is the one that tasks ask for."""
    group = documents[1]["spec"]["rayClusterSpec"]["workerGroupSpecs"][index]
    assert (group["groupName"], group["labels"]) == (name, {"workload": name})
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (0, 0, most)
    assert group["rayStartParams"] == {}
    pod = group["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "as version 2 of the autoscaler wants it"
    (container,) = pod["containers"]
    assert container["image"] == image
    # GPUs are asked for as limits; equal requests and limits are guaranteed.
    assert container["resources"] == {"limits": resources, "requests": resources}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/data"]
    tolerated = [toleration["key"] for toleration in pod.get("tolerations", [])]
    assert tolerated == (["nvidia.com/gpu"] if "nvidia.com/gpu" in resources else [])


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({}, "cluster.kubernetes.image: name a container image"),
        ({"image": "x"}, "cluster.kubernetes.claim: name a persistent volume claim"),
    ],
)
def test_what_a_rayjob_needs(site: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, "kubernetes", "--dry-run", site=site)


def test_a_bucket_needs_no_volume(tmp_path: Path) -> None:
    text = dry(tmp_path, "kubernetes", "--run-dir", "s3://bucket/small", site={"image": "x"})
    assert "--run-dir s3://bucket/small" in text and "persistentVolumeClaim" not in text


def test_without_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no kubectl on this machine" in refused(tmp_path, "kubernetes", site=IMAGES)


# All


@pytest.mark.parametrize("target", ["slurm", "ray", "kubernetes"])
def test_a_bad_study_is_refused_before_anything(target: str, tmp_path: Path) -> None:
    text = refused(tmp_path, target, seed=-1, cluster={"slurm": {"nodes": 0}})
    assert "seed: " in text and "cluster.slurm.nodes: " in text


def test_the_text_that_is_shipped_is_the_study(tmp_path: Path) -> None:
    job = prepare(write_study(tmp_path / "study.toml", small(cluster={"slurm": {"nodes": 2}})), "slurm")
    assert parse(tomllib.loads(job.study_text())).resolved == parse(small()).resolved
