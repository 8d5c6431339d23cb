"""Names that stay the same whichever workspace is built and whichever module system names its repositories.

A canonical repository name (`_main`, `chassis~`, `chassis+`, `chassis++wheels+pypi`) depends on who builds, in which
version of Bazel. Nothing of it goes into an image: labels are written without their repository, and paths go by the
repository of the model and by the last part of other repositories' names, which is what people call them.
"""

def _repository_name(canonical):
    """What people call a repository.

    Args:
      canonical: its canonical name, such as `rules_foo~1.2`, `chassis++wheels+pypi` or, without bzlmod, `pypi`.

    Returns:
      The name of the module, or the name that its extension gave the repository; "" for the main repository.
    """
    separator = "+" if "+" in canonical else "~"
    parts = canonical.split(separator)

    # A module is `name` or `name~version`; what an extension makes has the extension's name and its own after that.
    return parts[0] if len(parts) <= 2 else parts[-1]

def _label_in_image(label):
    """A label as images have it: without its repository."""
    return "//%s:%s" % (label.package, label.name)

def _label_for_people(label):
    """A label as one may write it on the command line of the workspace if no `use_repo` renames its repository."""
    repository = _repository_name(label.repo_name)
    return ("@" + repository if repository else "") + _label_in_image(label)

def _repository_of(file):
    """The canonical name of the repository that a file is in, "" for the main one."""
    return file.short_path.split("/")[1] if file.short_path.startswith("../") else ""

def _path_in_repository(file):
    """The path of a file, a source's or an output's, from the root of its repository."""
    return file.short_path.split("/", 2)[2] if file.short_path.startswith("../") else file.short_path

def _code_path(own_repository, repository, path):
    """Where the code of a model has a path of a repository.

    Args:
      own_repository: canonical name of the model's repository.
      repository: canonical name of the path's.
      path: path from that repository's root; "" for the root.

    Returns:
      The path itself in the model's own repository, else `external/NAME/path`.
    """
    if repository == own_repository:
        return path
    name = _repository_name(repository) or "main"
    return "external/" + name + ("/" + path if path else "")

names = struct(
    code_path = _code_path,
    label_for_people = _label_for_people,
    label_in_image = _label_in_image,
    path_in_repository = _path_in_repository,
    repository_name = _repository_name,
    repository_of = _repository_of,
)
