"""Recognises files and texts that hold credentials, by their names and by the forms that credentials have.

What is found is named by its kind only: no part of a credential ever leaves this module.
"""

from __future__ import annotations

import re

MAX_BYTES = 1 << 20
"""Longer files are not looked into: no credential is that long."""

_NAMES = {
    ".netrc": "netrc credentials",
    "_netrc": "netrc credentials",
    ".pypirc": "index upload credentials",
    ".git-credentials": "Git credentials",
    ".pgpass": "PostgreSQL passwords",
    ".my.cnf": "MySQL credentials",
    ".dockercfg": "registry credentials",
    ".vault-token": "a Vault token",
    ".bash_history": "a shell's history",
    ".boto": "cloud credentials",
    ".htpasswd": "password hashes",
    ".s3cfg": "cloud credentials",
    "kaggle.json": "Kaggle credentials",
    "kubeconfig": "cluster credentials",
    "terraform.tfstate": "the state of Terraform, with the secrets of what it made",
    ".python_history": "an interpreter's history",
    "application_default_credentials.json": "Google Cloud credentials",
    ".env": "an environment file",
    "id_rsa": "an SSH private key",
    "id_dsa": "an SSH private key",
    "id_ecdsa": "an SSH private key",
    "id_ed25519": "an SSH private key",
}
_PLACES = {
    ".aws/credentials": "AWS credentials",
    ".git/HEAD": "a Git repository, with all that was ever committed to it",
    ".streamlit/secrets.toml": "Streamlit's secrets",
    "gcloud/credentials.db": "Google Cloud credentials",
    ".kube/config": "cluster credentials",
    ".huggingface/token": "a Hugging Face token",
    "huggingface/token": "a Hugging Face token",
    "gh/hosts.yml": "GitHub credentials",
    ".azure/accessTokens.json": "Azure credentials",
    ".azure/msal_token_cache.json": "Azure credentials",
}
_ENDINGS = {
    ".ppk": "an SSH private key",
    ".p12": "a PKCS #12 key store",
    ".pfx": "a PKCS #12 key store",
    ".jks": "a Java key store",
    ".kdbx": "a password database",
}
_PIP = re.compile(rb"://[^\s/:@]+:[^\s/@]+@")
_AUTH = re.compile(rb'"(auth|identitytoken|registrytoken|password)"\s*:\s*"[^"]')
# Files that are credentials only with certain content, by name, or by name and directory.
_WHERE_CONTENT_TELLS = {
    ".npmrc": (re.compile(rb"_(authToken|auth|password)\s*="), "registry credentials"),
    "pip.conf": (_PIP, "a password in a URL"),
    "pydistutils.cfg": (_PIP, "a password in a URL"),
    "uv.toml": (_PIP, "a password in a URL"),
    ".condarc": (_PIP, "a password in a URL"),
    "etc/passwd": (re.compile(rb"^[^:\n]+::\d", re.M), "an account without a password"),
    "etc/shadow": (re.compile(rb"^[^:\n]+:!?\$\w+\$[^:\n]", re.M), "password hashes"),
    ".docker/config.json": (_AUTH, "registry credentials"),
    "containers/auth.json": (_AUTH, "registry credentials"),
    ".git/config": (_PIP, "a password in a URL"),
}
# The delimiters alone are in every library that reads keys; a key has lines of Base64 between them.
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----[ \t]*\r?\n(?:[A-Za-z-]+: [^\n]*\n)*\r?\n?"
    rb"(?:[A-Za-z0-9+/=]{40,}[ \t]*\r?\n){1,}[A-Za-z0-9+/=]"
)
_SERVICE_ACCOUNT = re.compile(rb'"private_key"\s*:\s*"-----BEGIN [A-Z ]*PRIVATE KEY-----\\n[A-Za-z0-9+/=]{20}')
_NETRC = re.compile(rb"^\s*machine\s+\S+\s+login\s+\S+\s+password\s+\S", re.M)
# Published forms: a fixed beginning, then so many characters that nothing else looks like it.
_TOKENS = (
    (b"AKIA", re.compile(rb"(?<![A-Za-z0-9/+=])AKIA[0-9A-Z]{16}(?![A-Za-z0-9/+=])"), "an AWS access key"),
    (b"ASIA", re.compile(rb"(?<![A-Za-z0-9/+=])ASIA[0-9A-Z]{16}(?![A-Za-z0-9/+=])"), "an AWS session key"),
    (b"AccountKey=", re.compile(rb"AccountKey=[A-Za-z0-9+/]{86}=="), "an Azure storage key"),
    (b"ghp_", re.compile(rb"(?<!\w)ghp_[A-Za-z0-9]{36}(?!\w)"), "a GitHub token"),
    (b"gho_", re.compile(rb"(?<!\w)gho_[A-Za-z0-9]{36}(?!\w)"), "a GitHub token"),
    (b"ghs_", re.compile(rb"(?<!\w)ghs_[A-Za-z0-9]{36}(?!\w)"), "a GitHub token"),
    (b"ghu_", re.compile(rb"(?<!\w)ghu_[A-Za-z0-9]{36}(?!\w)"), "a GitHub token"),
    (b"github_pat_", re.compile(rb"(?<!\w)github_pat_\w{60,}"), "a GitHub token"),
    (b"glpat-", re.compile(rb"(?<!\w)glpat-[\w-]{20,}"), "a GitLab token"),
    (b"hf_", re.compile(rb"(?<!\w)hf_[A-Za-z0-9]{34}(?!\w)"), "a Hugging Face token"),
    (b"dapi", re.compile(rb"(?<!\w)dapi[0-9a-f]{32}(?!\w)"), "a Databricks token"),
    (b"nvapi-", re.compile(rb"(?<!\w)nvapi-[\w-]{60,}"), "an NVIDIA API key"),
    (b"sk_live_", re.compile(rb"(?<!\w)sk_live_[A-Za-z0-9]{24,}"), "a Stripe key"),
    (b"SG.", re.compile(rb"(?<!\w)SG\.[\w-]{22}\.[\w-]{43}(?![\w-])"), "a SendGrid key"),
    (b"xox", re.compile(rb"(?<!\w)xox[abprs]-[A-Za-z0-9-]{20,}"), "a Slack token"),
    (b"pypi-AgE", re.compile(rb"(?<!\w)pypi-AgE[\w-]{50,}"), "an index token"),
    (b"sk-", re.compile(rb"(?<![\w-])sk-(?:proj-|ant-)?[A-Za-z0-9_-]{40,}"), "an API key"),
    (b"npm_", re.compile(rb"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)"), "a registry token"),
    (b"AIza", re.compile(rb"(?<!\w)AIza[\w-]{35}(?![\w-])"), "a Google API key"),
)
_SECRET_NAME = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRETS|TOKEN|API_?KEY|APIKEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)(_|$)"
)
_PLACE_OF_SECRET = re.compile(r"_(FILE|PATH|DIR|URL|URI|NAME|ID|TTL|LENGTH|LIMIT|EXPIRY)$")
_URL_PASSWORD = re.compile(r"://[^\s/:@]+:[^\s/@]+@")


def is_named_secret(path: str) -> str:
    """What a file is by its name alone, "" if the name tells nothing."""
    name, place = _name_and_place(path)
    if kind := _NAMES.get(name) or _PLACES.get(place):
        return kind
    return _ENDINGS.get(name[name.rfind(".") :], "") if "." in name else ""


def secret_in(path: str, content: bytes, tokens: bool) -> str:
    """What credential a file's content holds, "" for none.

    `tokens` asks for the forms of access tokens and the like too: they are looked for in what is the team's own, not in
    published packages, whose documentation shows examples.
    """
    if content.isspace():
        return ""
    if kind := is_named_secret(path):
        return kind
    name, place = _name_and_place(path)
    form, kind = _WHERE_CONTENT_TELLS.get(name) or _WHERE_CONTENT_TELLS.get(place) or (None, "")
    if form and form.search(content):
        return kind
    if b"PRIVATE KEY" in content:
        if _PRIVATE_KEY.search(content):
            return "a private key"
        if _SERVICE_ACCOUNT.search(content):
            return "a service account's private key"
    if tokens and b"password" in content and _NETRC.search(content):
        return "netrc credentials"
    return token_in(content) if tokens else ""


def _name_and_place(path: str) -> tuple[str, str]:
    """A file's name, alone and with the directory that it is in."""
    directory, _, name = path.rpartition("/")
    return name, f"{directory.rpartition('/')[2]}/{name}"


def token_in(content: bytes) -> str:
    """What access token a text holds, by its form; "" for none."""
    return next((kind for start, form, kind in _TOKENS if start in content and form.search(content)), "")


def secret_in_environment(name: str, value: str) -> str:
    """What credential an environment variable holds, by its name or its value's form; "" for none."""
    if not value:
        return ""
    if kind := token_in(value.encode()):
        return kind
    if _URL_PASSWORD.search(value):
        return "a password in a URL"
    upper = name.upper()
    if _SECRET_NAME.search(upper) and not _PLACE_OF_SECRET.search(upper) and not value.startswith("/"):
        return "what its name calls a secret"
    return ""
