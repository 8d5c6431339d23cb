"""Images that carry credentials."""

from __future__ import annotations

import io
import tarfile

from tests.doctor.image_plan import SITE, Plan, tar_layer, text
from tests.doctor.sickness import Sickness, registrar

CASES: list[Sickness] = []
_sick = registrar(CASES)

PRIVATE_KEY = "\n".join(
    ["-----BEGIN RSA PRIVATE KEY-----", *["MIIEowIBAAKCAQEAx7" * 3] * 8, "-----END RSA PRIVATE KEY-----", ""]
)


@_sick(("SEC001", "home/nonroot/.netrc"), says="holds netrc credentials")
def netrc(plan: Plan) -> None:
    plan.data["home/nonroot/.netrc"] = text("machine host login me password hunter2\n", 0o600)


@_sick(("SEC001", "app/code/.pypirc"), says="holds index upload credentials")
def pypirc(plan: Plan) -> None:
    plan.code["app/code/.pypirc"] = text("[pypi]\npassword = hunter2\n")


@_sick(("SEC001", "app/data/client.pem"), says="holds a private key")
def private_key(plan: Plan) -> None:
    plan.data["app/data/client.pem"] = text(PRIVATE_KEY)


@_sick(("SEC001", f"{SITE}/pure/tests/server.key"), says="holds a private key")
def private_key_in_a_wheel(plan: Plan) -> None:
    plan.wheels[1].files["pure/tests/server.key"] = PRIVATE_KEY.encode()


@_sick(("SEC001", "root/.docker/config.json"), says="holds registry credentials")
def registry_credentials(plan: Plan) -> None:
    plan.data["root/.docker/config.json"] = text('{"auths": {"registry.example": {"auth": "bWU6aHVudGVyMg=="}}}')


@_sick(("SEC001", "app/code/model/preprocess.py"), says="holds a Hugging Face token")
def token_in_the_code(plan: Plan) -> None:
    plan.code["app/code/model/preprocess.py"] = text(f"TOKEN = 'hf_{'aB3' * 11}x'\n")


@_sick(("SEC001", "app/data/key.json"), says="holds a service account's private key")
def service_account(plan: Plan) -> None:
    content = (
        '{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\n'
        + "MIIEvQIBADANBgkqhkiG9w0" * 3
        + '"}'
    )
    plan.data["app/data/key.json"] = text(content)


@_sick(("SEC001", "etc/server.key"), says="holds a private key")
def private_key_under_a_whiteout(plan: Plan) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo("etc/server.key")
        entry.size = len(PRIVATE_KEY)
        archive.addfile(entry, io.BytesIO(PRIVATE_KEY.encode()))

    plan.foreign.append(tar_layer(fill))
    plan.foreign.append(tar_layer(lambda archive: archive.addfile(tarfile.TarInfo("etc/.wh.server.key"))))


@_sick(("SEC002", ""), says="environment variable HF_TOKEN holds")
def token_in_the_environment(plan: Plan) -> None:
    plan.environment["HF_TOKEN"] = "swordfish"


@_sick(("SEC002", ""), says="environment variable DATABASE holds a password in a URL")
def password_in_a_url_of_the_environment(plan: Plan) -> None:
    plan.environment["DATABASE"] = "postgresql://me:hunter2@db.example/x"


@_sick(("SEC002", ""), says="label build.token holds a GitHub token")
def token_in_a_label(plan: Plan) -> None:
    plan.labels["build.token"] = "ghp_" + "a1B2" * 9


@_sick(("SEC001", "app/code/.git/HEAD"), says="holds a Git repository, with all that was ever committed to it")
def git_repository(plan: Plan) -> None:
    plan.code["app/code/.git/HEAD"] = text("ref: refs/heads/main\n")


@_sick(("SEC001", "etc/shadow"), says="holds password hashes")
def password_of_root(plan: Plan) -> None:
    plan.base["etc/shadow"] = text("root:$6$saltsalt$" + "aB3/" * 21 + ":19000:0:99999:7:::\n", 0o640)


@_sick(("SEC001", "etc/passwd"), says="holds an account without a password")
def account_without_a_password(plan: Plan) -> None:
    plan.base["etc/passwd"] = text("root:x:0:0:root:/root:/sbin/nologin\nadmin::0:0::/:/bin/sh\n")


@_sick(("SEC001", "app/code/settings.py"), says="holds an NVIDIA API key")
def key_of_a_model_catalogue(plan: Plan) -> None:
    plan.code["app/code/settings.py"] = text("KEY = 'nvapi-" + "aB3_" * 16 + "'\n")


@_sick(("SEC002", ""), says="its first program's arguments hold a GitHub token")
def token_in_the_arguments(plan: Plan) -> None:
    plan.entrypoint = (*plan.entrypoint, "--token=ghp_" + "a1B2" * 9)


@_sick(("SEC002", ""), says="the history of its layers holds a GitHub token")
def token_in_the_history_of_the_base(plan: Plan) -> None:
    plan.base_name = "RUN |1 TOKEN=ghp_" + "a1B2" * 9 + " pip install private"
    plan.foreign.append(tar_layer(lambda archive: archive.addfile(tarfile.TarInfo("srv/empty"))))
