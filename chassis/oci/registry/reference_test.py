"""Names of repositories and images."""

from __future__ import annotations

import pytest

from chassis.oci.registry.errors import ImageReferenceError
from chassis.oci.registry.reference import Reference, Repository, check_tag, parse_reference, parse_repository

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:5000/digits", Reference(Repository("127.0.0.1:5000", "digits"))),
        ("localhost/a/b:v1", Reference(Repository("localhost", "a/b"), "v1")),
        (f"r.example/a__b/c-d:v1@{DIGEST}", Reference(Repository("r.example", "a__b/c-d"), "v1", DIGEST)),
        (f"[::1]:5000/x@{DIGEST}", Reference(Repository("[::1]:5000", "x"), "", DIGEST)),
        ("docker.io/ubuntu", Reference(Repository("docker.io", "library/ubuntu"))),
        ("index.docker.io/org/image", Reference(Repository("index.docker.io", "org/image"))),
    ],
)
def test_references_are_read_and_written(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected
    assert parse_reference(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("digits", "names no registry"),
        ("team/digits", "names no registry"),
        ("", "names no registry"),
        ("https://r.example/x", "leave the scheme out"),
        ("r.example/", "not a repository path"),
        ("r.example/Digits", "not a repository path"),
        ("r.example/a//b", "not a repository path"),
        ("r.example/../x", "not a repository path"),
        ("r.example/a..b", "not a repository path"),
        ("r.example/" + "a" * 256, "not a repository path"),
        ("r.example/x:", "tag ''"),
        ("r.example/x:-v", "tag '-v'"),
        ("r.example/x:" + "v" * 129, "has 1 to 128"),
        ("r.example/x@sha256:1", "not a digest"),
        ("r.example:0/x", "not a host"),
        ("r.example:99999/x", "not a host"),
        ("user@r.example/x", "names no registry|not a digest"),
        ("r.example\r\nX: y/x", "not a host"),
        ("-r.example/x", "not a host"),
    ],
)
def test_what_is_wrong_with_a_reference_is_told(text: str, message: str) -> None:
    with pytest.raises(ImageReferenceError, match=message):
        parse_reference(text)


@pytest.mark.parametrize("text", ["r.example/x:v1", f"r.example/x@{DIGEST}"])
def test_a_repository_has_neither_tag_nor_digest(text: str) -> None:
    with pytest.raises(ImageReferenceError, match="leave tag and digest out"):
        parse_repository(text)


@pytest.mark.parametrize(
    ("registry", "host", "loopback"),
    [
        ("localhost:5000", "localhost", True),
        ("127.8.9.1", "127.8.9.1", True),
        ("[::1]:80", "::1", True),
        ("[::1]", "::1", True),
        ("128.0.0.1:5000", "128.0.0.1", False),
        ("localhost.example", "localhost.example", False),
        ("127.0.0.1.example:1", "127.0.0.1.example", False),
    ],
)
def test_only_loopback_is_loopback(registry: str, host: str, loopback: bool) -> None:
    repository = Repository(registry, "x")
    assert (repository.host, repository.is_loopback) == (host, loopback)


def test_docker_hub_has_its_api_elsewhere() -> None:
    assert parse_repository("docker.io/org/x").api_host == "registry-1.docker.io"
    assert parse_repository("r.example/org/x").api_host == "r.example"


@pytest.mark.parametrize("tag", ["v1", "0.0.1", "_x", "A-b.c_d"])
def test_tags(tag: str) -> None:
    assert check_tag(tag) == tag
