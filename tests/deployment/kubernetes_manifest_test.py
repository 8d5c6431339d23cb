"""The objects that kubernetes_manifest writes are what Kubernetes takes, and say what the model and its image say."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from chassis.deployment.kubernetes import ManifestError, Workload, manifest

VERSION = "1.29"
WORKLOAD = Workload(
    name="digits",
    version="1",
    image="registry.example/digits@sha256:" + "0" * 64,
    servers=("v2-http",),
    user="65532:65532",
    memory="512M",
    cpus=1,
    gpus=0,
    load_timeout=300.0,
    drain_timeout=7.0,
    environment={},
)


def objects(variable: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(Path(os.environ[variable]).read_text()))


def digest(variable: str) -> str:
    (entry,) = json.loads((Path(os.environ[variable]) / "index.json").read_bytes())["manifests"]
    return f"registry.example/everything@{entry['digest']}"


@pytest.mark.parametrize("variable", ["DEPLOYMENT", "OF_AN_INDEX", "GRPC_ONLY"])
def test_a_deployment_and_its_service_are_valid(variable: str) -> None:
    found = objects(variable)
    assert [document["kind"] for document in found] == ["Deployment", "Service"]
    for document in found:
        kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("variable", ["DEPLOYMENT", "OF_AN_INDEX", "GRPC_ONLY", "INFERENCE_SERVICE"])
def test_it_is_written_without_anchors(variable: str) -> None:
    tokens = list(yaml.scan(Path(os.environ[variable]).read_text()))
    assert tokens and not [one for one in tokens if isinstance(one, yaml.AnchorToken | yaml.AliasToken)]


def test_the_validation_sees_a_wrong_field() -> None:
    deployment, _ = objects("DEPLOYMENT")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSION, strict=True)


def test_an_inference_services_predictor_is_a_valid_pod() -> None:
    (document,) = objects("INFERENCE_SERVICE")
    assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert document["metadata"]["name"] == "every-thing"
    predictor = document["spec"]["predictor"]
    assert predictor.pop("minReplicas") == 1
    (container,) = predictor["containers"]
    assert container["name"] == "kserve-container"
    assert container["ports"] == [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": predictor}
    kubernetes_validate.validate(pod, VERSION, strict=True)


def test_it_says_what_the_model_and_the_image_say() -> None:
    deployment, service = objects("DEPLOYMENT")
    assert deployment["metadata"]["namespace"] == service["metadata"]["namespace"] == "models"
    assert deployment["spec"]["replicas"] == 2
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == digest("IMAGE")
    assert container["resources"]["requests"] == {"cpu": "500m", "memory": "1024Mi", "nvidia.com/gpu": "1"}
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert [(port["name"], port["containerPort"]) for port in container["ports"]] == [("http", 8080), ("grpc", 45000)]
    assert container["env"] == [
        {"name": "CHASSIS_IMAGE", "value": digest("IMAGE")},
        {"name": "CHASSIS_LOG_FORMAT", "value": "json"},
    ]
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] >= 300
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["terminationGracePeriodSeconds"] >= 5 + 11 + 3
    assert [port["port"] for port in service["spec"]["ports"]] == [8080, 45000]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_an_index_is_named_by_its_own_digest() -> None:
    deployment, _ = objects("OF_AN_INDEX")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == digest("INDEX")


def test_without_http_probes_ask_grpcs_health_service() -> None:
    deployment, _ = objects("GRPC_ONLY")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["grpc"] == container["startupProbe"]["grpc"] == {"port": 45000}
    assert container["livenessProbe"]["tcpSocket"] == {"port": "grpc"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": "0:0"}, "a pod that must not be root"),
        ({"user": ""}, "runs as 'root'"),
        ({"user": "nonroot"}, "needs a number"),
        ({"name": "___"}, "cannot be the name"),
        ({"name": "9lives"}, "begin with a letter"),
    ],
)
def test_what_no_object_can_be_written_for(change: dict[str, str], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        manifest(dataclasses.replace(WORKLOAD, **change), "deployment")
