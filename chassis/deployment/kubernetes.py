"""An image of a model as objects of Kubernetes, or of KServe.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/,
https://kserve.github.io/website/docs/reference/crd-api
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from chassis.declaration.front_ends import GRPC_PORT, GRPC_SERVERS, HTTP_PORT, HTTP_SERVERS
from chassis.declaration.quantity import parse_size
from chassis.errors import ChassisError

Document = dict[str, object]

KINDS = ("deployment", "inference_service")

_PROBE_SECONDS = 5
_STOP_DELAY = 5
"""Seconds for which a server in Kubernetes serves on when it is told to stop (chassis/runtime/settings.py)."""

_CLOSING = 5
"""Seconds after the last answer."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NO_NAME_CHARACTERS = re.compile(r"[^a-z0-9]+")


class ManifestError(ChassisError):
    """An image that no objects can be written for."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What runs.

    Attributes:
      name: of the objects; what Kubernetes does not take in it becomes `-`.
      version: of the model, a label.
      image: registry, repository and digest.
      servers: the front ends that the image starts.
      user: who runs it, as the image says: `uid:gid`.
      memory: what it needs, such as `512M`.
      cpus: how many; a fraction is part of one.
      gpus: how many.
      load_timeout: seconds until a model that is not loaded never will be.
      drain_timeout: seconds for what was accepted before the end.
      environment: variables beside those of the image.
      replicas: how many at a time.
      namespace: of the objects; empty for whichever is the current one.
    """

    name: str
    version: str
    image: str
    servers: tuple[str, ...]
    user: str
    memory: str
    cpus: float
    gpus: int
    load_timeout: float
    drain_timeout: float
    environment: dict[str, str]
    replicas: int = 1
    namespace: str = ""


def manifest(workload: Workload, kind: str) -> list[Document]:
    """The objects: a Deployment and its Service, or an InferenceService of KServe.

    Raises:
      ManifestError: the name has nothing that Kubernetes takes, or the user is root.
    """
    return [_deployment(workload), _service(workload)] if kind == "deployment" else [_inference_service(workload)]


def _deployment(workload: Workload) -> Document:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(workload),
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": _selector(workload)},
            # One that is told to stop goes when another is ready.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": _labels(workload), "annotations": _annotations(workload)},
                "spec": {"containers": [_container(workload, "model")], **_pod(workload)},
            },
        },
    }


def _service(workload: Workload) -> Document:
    ports = [
        {"name": name, "port": port, "targetPort": name, "protocol": "TCP", "appProtocol": protocol}
        for name, port, protocol in _ports(workload)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(workload),
        "spec": {"selector": _selector(workload), "ports": ports},
    }


def _inference_service(workload: Workload) -> Document:
    container = _container(workload, "kserve-container")
    # KServe sends requests to the one port that there is, by its name.
    name, port, _ = _ports(workload)[0]
    container["ports"] = [
        {"name": "h2c" if name == "grpc" else "http1", "containerPort": port, "protocol": "TCP"},
    ]
    _probe_the_number(container, name, port)
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": _metadata(workload),
        "spec": {
            "predictor": {
                "minReplicas": workload.replicas,
                "containers": [container],
                **_pod(workload),
            }
        },
    }


def _probe_the_number(container: Document, name: str, port: int) -> None:
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for way in container[probe].values():  # type: ignore[attr-defined]
            if isinstance(way, dict) and way.get("port") == name:
                way["port"] = port


def _container(workload: Workload, name: str) -> Document:
    container: Document = {
        "name": name,
        "image": workload.image,
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port, _ in _ports(workload)],
        **_probes(workload),
        "resources": _resources(workload),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    environment = {"CHASSIS_IMAGE": workload.image} | workload.environment
    container["env"] = [{"name": key, "value": value} for key, value in sorted(environment.items())]
    return container


def _pod(workload: Workload) -> Document:
    uid, _, gid = workload.user.partition(":")
    if not uid.isdigit() or not int(uid) or (gid and not gid.isdigit()):
        raise ManifestError(
            f"the image runs as {workload.user or 'root'!r}: a pod that must not be root needs a number, such as "
            'chassis_image(user = "65532:65532")'
        )
    user = {"runAsUser": int(uid)} | ({"runAsGroup": int(gid)} if gid else {})
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, **user, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": math.ceil(_STOP_DELAY + workload.drain_timeout + _CLOSING),
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _probes(workload: Workload) -> Document:
    """Startup lasts as long as the model may load; a server that is not ready is not started again."""
    name, port, _ = _ports(workload)[0]
    if name == "http":
        ready: Document = {"httpGet": {"path": "/v2/health/ready", "port": "http"}}
        live: Document = {"httpGet": {"path": "/v2/health/live", "port": "http"}}
    else:
        ready = {"grpc": {"port": port}}
        live = {"tcpSocket": {"port": "grpc"}}  # its health says no while the model's process is started again
    tries = max(1, math.ceil(workload.load_timeout / _PROBE_SECONDS))
    return {
        "startupProbe": {**ready, "periodSeconds": _PROBE_SECONDS, "failureThreshold": tries, "timeoutSeconds": 3},
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 1, "timeoutSeconds": 3},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 3},
    }


def _resources(workload: Workload) -> Document:
    size = parse_size(workload.memory)
    wanted: dict[str, str] = {"cpu": f"{max(1, round(workload.cpus * 1000))}m" if workload.cpus else "100m"}
    if size:
        wanted["memory"] = f"{math.ceil(size / (1 << 20))}Mi"
    if workload.gpus:
        wanted["nvidia.com/gpu"] = str(workload.gpus)
    # A limit of processors is what libraries set their threads by.
    return {"requests": wanted, "limits": dict(wanted)}


def _ports(workload: Workload) -> list[tuple[str, int, str]]:
    """Name, number and `appProtocol` of each port; HTTP, which any probe can ask, first."""
    found = []
    if set(workload.servers) & set(HTTP_SERVERS):
        found.append(("http", int(workload.environment.get("HTTP_PORT", HTTP_PORT)), "http"))
    if set(workload.servers) & set(GRPC_SERVERS):
        found.append(("grpc", int(workload.environment.get("PSC_MODEL_PORT", GRPC_PORT)), "kubernetes.io/h2c"))
    return found


def _metadata(workload: Workload) -> Document:
    named = {"namespace": workload.namespace} if workload.namespace else {}
    return {"name": _name(workload), **named, "labels": _labels(workload)}


def _name(workload: Workload) -> str:
    name = _NO_NAME_CHARACTERS.sub("-", workload.name.lower()).strip("-")[:63].strip("-")
    # A Service's name begins with a letter (RFC 1035).
    if not _NAME.fullmatch(name) or not name[0].isalpha():
        raise ManifestError(f"{workload.name!r} cannot be the name of an object of Kubernetes: begin with a letter")
    return name


def _selector(workload: Workload) -> dict[str, str]:
    return {"app.kubernetes.io/name": _name(workload)}


def _labels(workload: Workload) -> dict[str, str]:
    version = re.sub(r"[^A-Za-z0-9_.-]", "-", workload.version)[:63].strip("-_.")
    return _selector(workload) | ({"app.kubernetes.io/version": version} if version else {})


def _annotations(workload: Workload) -> dict[str, str]:
    """What Prometheus' usual configuration goes by."""
    name, port, _ = _ports(workload)[0]
    if name != "http":
        return {}
    return {"prometheus.io/path": "/metrics", "prometheus.io/port": str(port), "prometheus.io/scrape": "true"}
