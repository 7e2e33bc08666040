"""Kubernetes: a RayJob of KubeRay (ray.io/v1), which makes a cluster, runs the study and takes it down again."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from workflow.execution.executors import Unavailable
from workflow.study.cluster_blocks import Kubernetes, WorkerGroup
from workflow.submit.submission import Submission

LONGEST_NAME = 47
"""Of a RayJob: KubeRay appends to it, and Kubernetes allows 63 characters."""
STUDY_FOLDER = "/etc/latentphase"
IDLE_SECONDS = 300
"""After which a worker without work is taken down."""


def name_of(job: Submission[Kubernetes]) -> str:
    """The study's name in the form that Kubernetes accepts: small letters, digits and dashes."""
    return f"latentphase-{re.sub('[^a-z0-9]+', '-', job.study.name.lower())}"[:LONGEST_NAME].strip("-")


def manifest(job: Submission[Kubernetes]) -> list[dict[str, Any]]:
    """A ConfigMap with the resolved study, and the RayJob that runs it.

    Raises:
        Unavailable: no image or no shared volume is known.
    """
    site = job.site
    folder = job.folder(f"{site.mount}/runs")
    if site.image is None:
        raise Unavailable(
            "cluster.kubernetes.image: name a container image with this checkout installed in a site file"
        )
    if site.claim is None and "://" not in folder:
        raise Unavailable(
            "cluster.kubernetes.claim: name a persistent volume claim (ReadWriteMany) in a site file; without one, run "
            "folders would vanish with the pods"
        )
    metadata = {"name": name_of(job), "namespace": site.namespace}
    study = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"study.toml": job.study_text()},
    }
    words = ["latentphase", *job.arguments(f"{STUDY_FOLDER}/study.toml", folder), "--address", "auto"]
    spec = {
        "entrypoint": shlex.join(words),
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": site.keep,
        # A lost head ends the cluster; the next one goes on from what is finished.
        "backoffLimit": site.retries,
        "rayClusterSpec": _cluster(job, folder),
    }
    return [study, {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": metadata, "spec": spec}]


def _cluster(job: Submission[Kubernetes], folder: str) -> dict[str, Any]:
    site = job.site
    head = _pod("ray-head", str(site.image), 2, site.head_memory, 0, site, study=name_of(job))
    head["spec"]["containers"][0]["ports"] = [
        {"containerPort": 6379, "name": "gcs-server"},
        {"containerPort": 8265, "name": "dashboard"},
        {"containerPort": 10001, "name": "client"},
    ]
    groups = [
        _workers("simulation", site.simulation, str(site.image), site),
        _workers("training", site.training, site.training_image or str(site.image), site),
    ]
    return {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"version": "v2", "idleTimeoutSeconds": IDLE_SECONDS},
        "headGroupSpec": {
            "serviceType": "ClusterIP",
            "labels": {"workload": "head"},
            # No tasks on the head: a full head takes the cluster along.
            "rayStartParams": {"num-cpus": "0"},
            "template": head,
        },
        "workerGroupSpecs": groups,
    }


def _workers(name: str, group: WorkerGroup, image: str, site: Kubernetes) -> dict[str, Any]:
    return {
        "groupName": name,
        "replicas": 0,
        "minReplicas": 0,
        "maxReplicas": group.most,
        "labels": {"workload": name},
        "rayStartParams": {},
        "template": _pod("ray-worker", image, group.cpus, group.memory, group.gpus, site),
    }


def _pod(
    name: str, image: str, cpus: int, memory: str, gpus: int, site: Kubernetes, study: str | None = None
) -> dict[str, Any]:
    """A pod template: one container, its resources guaranteed, the shared volume and, on the head, the study."""
    resources = {"cpu": str(cpus), "memory": memory} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    if site.claim is not None:
        volumes.append({"name": "shared", "persistentVolumeClaim": {"claimName": site.claim}})
        mounts.append({"name": "shared", "mountPath": site.mount})
    if study is not None:
        volumes.append({"name": "study", "configMap": {"name": study}})
        mounts.append({"name": "study", "mountPath": STUDY_FOLDER, "readOnly": True})
    container = {
        "name": name,
        "image": image,
        "resources": {"limits": resources, "requests": dict(resources)},
        "volumeMounts": mounts,
    }
    spec: dict[str, Any] = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    if gpus:
        # Nodes with GPUs commonly refuse pods that do not say this.
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return {"spec": spec}


def preview(job: Submission[Kubernetes]) -> str:
    """The manifest as YAML, texts of several lines as they are."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return str(yaml.dump_all(manifest(job), Dumper=Dumper, sort_keys=False, width=120)).rstrip()


def reservation(job: Submission[Kubernetes]) -> str:
    """The largest size of the cluster."""
    site = job.site
    groups = (site.simulation, site.training)
    cpus = sum(group.most * group.cpus for group in groups)
    gpus = sum(group.most * group.gpus for group in groups)
    return (
        f"at most {cpus} CPUs and {gpus} GPUs at a time, so as many core-hours and GPU-hours every hour; idle workers "
        f"are taken down after {IDLE_SECONDS} s"
    )


def submit(job: Submission[Kubernetes], say: Callable[[str], None]) -> int:
    """Give the manifest to kubectl.

    Raises:
        Unavailable: there is no kubectl, or the cluster refuses.
    """
    text = preview(job)
    if shutil.which("kubectl") is None:
        raise Unavailable("there is no kubectl on this machine; install it, or apply what --dry-run prints elsewhere")
    done = subprocess.run(["kubectl", "apply", "-f", "-"], input=text, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(refusal(done.stderr, job.site))
    say(done.stdout.rstrip())
    where = f"--namespace {job.site.namespace}"
    say(f"follow it with\n  kubectl get rayjob {name_of(job)} {where}")
    say(f"  kubectl logs --follow job/{name_of(job)} {where}")
    return 0


def refusal(message: str, site: Kubernetes) -> str:
    """``message`` of kubectl, with the setting to change."""
    said = message.strip()
    if "no matches for kind" in said:
        return f"this Kubernetes cluster has no KubeRay operator; install it (helm install kuberay-operator)\n  {said}"
    if re.search(r"connection refused|current-context|Unable to connect|no configuration", said):
        return f"kubectl reaches no cluster; choose one with kubectl config use-context\n  {said}"
    if "namespaces" in said and "not found" in said:
        return f"cluster.kubernetes.namespace = {site.namespace!r}: there is no such namespace\n  {said}"
    if "forbidden" in said.lower():
        return f"cluster.kubernetes.namespace = {site.namespace!r}: you may not make a RayJob there\n  {said}"
    return f"kubectl refuses the manifest:\n  {said}"
