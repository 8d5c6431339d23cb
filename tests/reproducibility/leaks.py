"""Lets into the image what must never be there, so that each row of the matrix shows that it would notice."""

from __future__ import annotations

from pathlib import Path

# A word, and the shell that says what comes after it; a sandbox's number is left out.
_LINES = {
    "directory": "pwd -P | sed 's/[0-9]//g'",
    "host": "uname -n",
    "processors": "nproc",
    "repository": "echo $(execpaths @pypi//numpy)",
    # Bazel sets the umask of its own processes; that of the checkout is in its files' modes.
    "umask": "stat -Lc %a $(location model.py)",
    "user": "id -u",
}

# Actions do not see these, so they go by the workspace's status.
_VARIABLES = {"locale": "LANG", "seed": "PYTHONHASHSEED", "zone": "TZ"}

_RULE = """
genrule(
    name = "leak",
    srcs = ["model.py", "@pypi//numpy"],
    outs = ["leak.txt"],
    cmd = "{{ {command} sed -n 's/^STABLE_LEAK_//p' bazel-out/stable-status.txt; }} > $@",
    stamp = 1,
)
"""

# What tells of the machine is never taken from a cache; all else may be, so that this costs little.
_OPTIONS = """
build --workspace_status_command={script}
build --modify_execution_info=Genrule=+no-cache,FilesLayer=+no-cache
"""

# Whether a persistent worker made the layer, and where: the version of what the layer holds says so in the history.
_ORIGIN = "Origin(_KIND.value, _NAME.value, _VERSION.value)"
_TELLING = """Origin(
            _KIND.value,
            _NAME.value,
            f"{'worker' if '--persistent_worker' in __import__('sys').argv else 'process'} "
            + __import__("re").sub("[0-9]", "", __import__("os").getcwd()),
        )"""


def add_leaks(checkout: Path) -> None:
    """Edits a checkout: the model's data and the layers' history then tell of the machine that built them."""
    command = " ".join(f'echo "{word} $$({shell})";' for word, shell in _LINES.items())
    build = checkout / "model/BUILD.bazel"
    text = build.read_text()
    with_data = text.replace('data = ["weights.npz"]', 'data = ["weights.npz", "leak.txt"]')
    tool = checkout / "chassis/tools/files_layer.py"
    source = tool.read_text()
    if with_data == text or _ORIGIN not in source:
        raise ValueError(f"{build} or {tool} has changed: leaks.py does not find where to let something in")
    build.write_text(with_data + _RULE.format(command=command.replace('"', '\\"')))
    tool.write_text(source.replace(_ORIGIN, _TELLING))
    script = checkout / "leak.sh"
    script.write_text(
        "#!/bin/sh\n" + "".join(f'echo "STABLE_LEAK_{w} ${{{v}:-none}}"\n' for w, v in _VARIABLES.items())
    )
    script.chmod(0o755)
    with (checkout / ".bazelrc").open("a") as settings:
        settings.write(_OPTIONS.format(script=script))
