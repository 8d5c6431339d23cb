"""Calls a build backend: run by the pinned Python in the build's own environment, so it imports nothing of Chassis.

    hook.py BACKEND BACKEND_PATH… -- OUTPUT_DIRECTORY SETTINGS_JSON ANSWER_FILE

Hooks: https://peps.python.org/pep-0517/#build-backend-interface
"""

import importlib
import importlib.metadata
import json
import re
import sys
from pathlib import Path


def main(arguments):
    separator = arguments.index("--")
    backend, backend_path = arguments[0], arguments[1:separator]
    output, settings, answer_file = arguments[separator + 1 :]
    sys.path[:0] = [str(Path.cwd() / path) for path in backend_path]
    module, _, attribute = backend.partition(":")
    hooks = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        hooks = getattr(hooks, name)
    settings = json.loads(settings)
    wanted = getattr(hooks, "get_requires_for_build_wheel", lambda config_settings=None: [])(settings)
    missing = [requirement for requirement in wanted if not _is_there(requirement)]
    answer = {"missing": missing}
    if not missing:
        answer["wheel"] = hooks.build_wheel(output, settings)
    Path(answer_file).write_text(json.dumps(answer), encoding="utf-8")


def _is_there(requirement):
    name = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    if not name or ";" in requirement:
        return True
    try:
        importlib.metadata.distribution(name[1])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
