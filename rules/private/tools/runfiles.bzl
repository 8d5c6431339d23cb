"""Paths in runfiles trees, and the shell that finds them."""

def runfiles_path(ctx, file):
    """The path of `file` from the root of a runfiles tree, such as `_main/model/model.py`."""
    if file.short_path.startswith("../"):
        return file.short_path[len("../"):]
    return ctx.workspace_name + "/" + file.short_path

# Sets $RUNFILES_DIR, absolute: beside the script, or the tree that the script itself lies in, or what the caller says.
# `find_runfile PATH` then sets $found: in that tree, or where Bazel before 8.3 stages a directory of another repository for
# a remote engine: where the execution root has it.
FIND_RUNFILES = """\
#!/bin/sh
set -eu
case "$0" in
/*) self=$0 ;;
*) self=$PWD/$0 ;;
esac
if [ -d "$self.runfiles" ]; then
  RUNFILES_DIR=$self.runfiles
elif [ -z "${RUNFILES_DIR:-}" ]; then
  case "$self" in
  *.runfiles/*) RUNFILES_DIR=${self%%.runfiles/*}.runfiles ;;
  *)
    echo "$0: its runfiles are missing: start it with bazel run" >&2
    exit 1
    ;;
  esac
else
  case "$RUNFILES_DIR" in
  /*) ;;
  *) RUNFILES_DIR=$PWD/$RUNFILES_DIR ;;
  esac
fi
export RUNFILES_DIR
find_runfile() {
  found=$RUNFILES_DIR/$1
  case $RUNFILES_DIR in
  */bazel-out/*) if [ ! -e "$found" ]; then found=${RUNFILES_DIR%%/bazel-out/*}/external/$1; fi ;;
  esac
}
"""

def shell_quote(text):
    """`text` as one word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"
