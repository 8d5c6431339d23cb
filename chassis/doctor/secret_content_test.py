"""What is taken for a credential, and what is not."""

from __future__ import annotations

import pytest

from chassis.doctor.secret_content import secret_in, secret_in_environment

_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n" * 6
_KEY = "-----BEGIN PRIVATE KEY-----\n" + _BODY + "-----END PRIVATE KEY-----\n"

FILES = {
    ("home/x/.netrc", "machine a"): "netrc credentials",
    ("home/x/.netrc", " \n"): "",
    ("app/data/netrc", "machine a\n  login b\n  password c\n"): "netrc credentials",
    ("app/data/netrc.md", "machine a, login b"): "",
    ("x/.aws/credentials", "[default]"): "AWS credentials",
    ("x/aws/credentials", "[default]"): "",
    ("x/.npmrc", "//registry.example/:_authToken=abc"): "registry credentials",
    ("x/.npmrc", "audit=false"): "",
    ("etc/pip.conf", "[global]\nindex-url = https://me:pw@pypi.example/simple"): "a password in a URL",
    ("etc/pip.conf", "[global]\nindex-url = https://pypi.example/simple"): "",
    ("root/.docker/config.json", '{"auths": {"r": {}}, "credsStore": "x"}'): "",
    ("root/.docker/config.json", '{"auths": {"r": {"auth": "YTpi"}}}'): "registry credentials",
    ("a.pem", _KEY): "a private key",
    ("a.pem", _KEY.replace("\n", "\r\n")): "a private key",
    ("a.pem", _KEY.replace("PRIVATE", "ENCRYPTED PRIVATE")): "a private key",
    ("a.pem", _KEY.replace("BEGIN", "BEGIN OPENSSH")): "a private key",
    ("a.pem", _KEY.replace("PRIVATE", "PUBLIC")): "",
    ("keys.py", "if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    return"): "",
    ("keys.py", 'HEADER = """-----BEGIN RSA PRIVATE KEY-----\n...\n"""'): "",
    ("x.py", "AKIAIOSFODNN7EXAMPLE"): "an AWS access key",
    ("x.py", "BAKIAIOSFODNN7EXAMPLE"): "",
    ("x.py", "hf_" + "a" * 34): "a Hugging Face token",
    ("x.py", "hf_hub_download"): "",
    ("x.py", "sk-learn and sk-image"): "",
}

ENVIRONMENT = {
    ("HF_TOKEN", "x"): True,
    ("DB_PASSWORD", "x"): True,
    ("AWS_SECRET_ACCESS_KEY", "x"): True,
    ("API_KEY", "x"): True,
    ("apikey", "x"): True,
    ("API_KEY", ""): False,
    ("API_KEY_FILE", "x"): False,
    ("API_KEY", "/run/secrets/key"): False,
    ("TOKENIZERS_PARALLELISM", "false"): False,
    ("MAX_TOKENS", "100"): False,
    ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"): False,
    ("PROXY", "http://me:pw@proxy.example:80"): True,
    ("PROXY", "http://proxy.example:80"): False,
    ("ANYTHING", "glpat-" + "x1" * 10): True,
    ("PYTHONPATH", "/app/code"): False,
}


@pytest.mark.parametrize(("path", "content"), FILES)
def test_files(path: str, content: str) -> None:
    assert secret_in(path, content.encode(), tokens=True) == FILES[path, content]


@pytest.mark.parametrize(("name", "value"), ENVIRONMENT)
def test_environment(name: str, value: str) -> None:
    assert bool(secret_in_environment(name, value)) == ENVIRONMENT[name, value]
