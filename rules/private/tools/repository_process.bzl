"""Processes of repository rules: what they see of the machine, and the modes of what they leave.

A repository is an input of actions, so two machines share a cache only if it has the same bytes on both. Whatever makes
those bytes therefore runs in an environment that is written here. What only fetches a file that is checked by its hash
keeps the machine's environment, where proxies, certificates and credential helpers are set, except for the variables that
change how Python runs, and for TMPDIR.
"""

_BARE = {
    "LC_ALL": "C.UTF-8",
    # Without it, modules that a program imports while it compiles leave a `.pyc` with a time and this machine's path.
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}

_FETCHING = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}

# Modes as Git keeps them, whatever the umask and the archive: 0755 for what its owner may execute, 0644 for all else.
_PLAIN_MODES = "find . -type d -exec chmod 0755 {} + && find . -type f -exec chmod u=rwX,go=rX {} +"

def _assignments(environment):
    return ["%s=%s" % (name, value) for name, value in sorted(environment.items())]

def run_bare(rctx, arguments, environment = {}):
    """Runs a program in an environment that is the same on every machine, but for the PATH.

    Args:
      rctx: the repository's context.
      arguments: list of string or path.
      environment: dict of variables beside those of `_BARE`.

    Returns:
      The result of `rctx.execute`.
    """
    path = {"PATH": rctx.os.environ.get("PATH", "/usr/bin:/bin")}
    return rctx.execute(["env", "-i"] + _assignments(_BARE | path | environment) + arguments)

def run_fetching(rctx, arguments, environment = {}, timeout = 600):
    """Runs a Python program that fetches what is checked by its hash: with proxies and credentials, without PYTHON*.

    Args:
      rctx: the repository's context.
      arguments: list of string or path.
      environment: dict of variables beside those of `_FETCHING`.
      timeout: seconds.

    Returns:
      The result of `rctx.execute`.
    """
    unset = []
    for name in sorted(rctx.os.environ):
        if name.startswith("PYTHON"):
            unset += ["-u", name]

    # pip unpacks what it fetches into TMPDIR. The disk that the file will lie on has room for it, which a /tmp may not.
    scratch = {"TMPDIR": str(rctx.path("."))}
    return rctx.execute(["env"] + unset + _assignments(_FETCHING | scratch | environment) + arguments, timeout = timeout)

def link_program(rctx, program, name):
    """Links to a program of the repository, relatively: `rctx.symlink` would write this machine's path into the link.

    Args:
      rctx: the repository's context.
      program: string, its path in the repository.
      name: string, the link's, at the top of the repository.
    """
    linked = run_bare(rctx, ["ln", "-s", program, name])
    if linked.return_code:
        fail("%s: %s: %s" % (rctx.name, name, linked.stderr))

def make_modes_plain(rctx):
    """Gives all files of a repository modes that depend on what they are alone; the last step of its rule.

    Args:
      rctx: the repository's context.
    """
    done = run_bare(rctx, ["sh", "-c", _PLAIN_MODES])
    if done.return_code:
        fail("%s: the modes of its files: %s" % (rctx.name, done.stderr))
