"""Actions that write down what is known of packages. They run only if a bill of materials is asked for."""

load("//rules/private/tools:persistent_worker.bzl", "run_in_worker")

# For rules and aspects that know packages.
RECORD_ATTRS = {
    "_package_record": attr.label(default = "//chassis/tools:package_record", cfg = "exec", executable = True),
}

def package_record(ctx, name, flag, files, what, lock = "", needed = []):
    """Writes the records of packages.

    Args:
      ctx: context of a rule or an aspect with `RECORD_ATTRS`.
      name: what the output is called before `.record.json`.
      flag: `wheel`, `deb`, or `layout` for a directory whose layers hold packages.
      files: list of File.
      what: for people.
      lock: where they are pinned, for people.
      needed: list of File: what the files of a layout link to.

    Returns:
      The File.
    """
    output = ctx.actions.declare_file(name + ".record.json")
    args = ctx.actions.args()
    args.add_all(files, format_each = "--" + flag + "=%s", expand_directories = False)
    args.add("--lock=" + lock)
    args.add(output, format = "--output=%s")
    run_in_worker(
        ctx,
        args,
        executable = ctx.executable._package_record,
        inputs = files + needed,
        outputs = [output],
        mnemonic = "PackageRecord",
        progress_message = "Record of " + what,
    )
    return output
