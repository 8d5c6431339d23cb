"""What a job may be asked to do."""

import pytest

from chassis.service.job import JobRequest, JobRequestError, RegistryCredentials


def test_a_request_is_read():
    request = JobRequest.from_document(
        {"platforms": ["arm64"], "registry": "[::1]:5000", "repository": "a/b-c", "tags": ["1"], "webhook": None}
    )
    assert request == JobRequest(("arm64",), "[::1]:5000", "a/b-c", ("1",))


def test_what_cannot_be_is_refused_with_its_reason():
    table = [
        ([], "expected a JSON object"),
        ({"platform": ["arm64"]}, "unknown key 'platform'"),
        ({"platforms": "arm64"}, "platforms: expected a list"),
        ({"platforms": []}, "platforms none"),
        ({"platforms": ["arm64", "arm64"]}, "each once"),
        ({"platforms": ["riscv"]}, "platforms riscv: expected one or several of amd64, amd64_gpu, arm64, arm64_gpu"),
        ({"registry": "127.0.0.1:5000"}, "registry and repository go together"),
        ({"registry": "http://x", "repository": "a"}, "leave the scheme out"),
        ({"registry": "x.example/y", "repository": "a"}, "expected host or host:port"),
        ({"registry": "x", "repository": "a"}, "names no registry"),
        ({"registry": "host:99999", "repository": "a"}, "'host:99999' is not a host"),
        ({"registry": "host:0", "repository": "a"}, "'host:0' is not a host"),
        ({"registry": "x.example", "repository": "a" * 300}, "more than 260 characters"),
        ({"registry": "x.example", "repository": "A"}, "is not a repository path"),
        ({"registry": "x.example", "repository": "a/../b"}, "is not a repository path"),
        ({"registry": "x.example", "repository": "a:b"}, "leave tag and digest out"),
        ({"registry": "x.example", "repository": "a@sha256:b"}, "sha256:b"),
        ({"tags": ["-a"]}, "tag '-a'"),
        ({"tags": [1]}, "tags: expected a list of strings"),
        ({"tags": ["a"] * 21}, "21 tags"),
        ({"webhook": "ftp://x"}, "expected an http or https URL"),
        ({"webhook": "http://u:p@x/"}, "credentials in a URL"),
        ({"webhook": "http://x:99999/"}, "expected an http or https URL"),
        ({"webhook": "http://x/\r\nX: y"}, "expected an http or https URL"),
        ({"webhook": 3}, "webhook: expected a string"),
        ({"cross_build": ["a b"]}, "names of distributions"),
        ({"cross_build": ['a", "b']}, "names of distributions"),
    ]
    for document, message in table:
        with pytest.raises(JobRequestError, match=message):
            JobRequest.from_document(document)


def test_a_password_has_no_representation():
    assert "sesame" not in repr(RegistryCredentials("ann", "sesame"))
