"""chassis_model: a Python predict function, with its data and dependencies, ready to be put into images."""

load("//rules/private/declaration:declared.bzl", "FRAMEWORK_BATCH_SIZE")
load("//rules/private/platform:machine.bzl", "for_linux")
load("//rules/private/wheels:hub_labels.bzl", "check_dependencies", "where_locked")
load(":chassis_model_target.bzl", "chassis_model_target")
load(":chassis_pickle.bzl", "chassis_pickle")
load(":hub_wheels.bzl", "wheel_labels")
load(":model_attributes.bzl", "model_attributes")

def _parts(media_types, max_sizes, tensors, descriptions, labels = None):
    """Inputs or outputs as the metadata has them (chassis/declaration/model_io.py)."""
    return {
        name: {
            "description": descriptions.get(name, ""),
            "max_size": max_sizes.get(name, ""),
            "media_type": media_type,
            "tensor": tensors.get(name, ""),
        } | ({"labels": labels[name]} if labels and name in labels else {})
        for name, media_type in media_types.items()
    }

def chassis_model(
        name,
        entry_point = None,
        framework = None,
        loader = None,
        srcs = [],
        pickle = None,
        pickle_on = "exec",
        batch_size = 0,
        data = [],
        deps = [],
        model_name = None,
        version = "0.0.1",
        inputs = {"input": "application/octet-stream"},
        outputs = {"results.json": "application/json"},
        columns = {},
        max_sizes = {},
        tensors = {},
        descriptions = {},
        labels = {},
        signature = "auto",
        author = "",
        source = "",
        model_type = "",
        summary = "",
        details = "",
        technical = "",
        performance = "",
        status_timeout = "60s",
        run_timeout = "60s",
        load_timeout = "300s",
        drain_timeout = "7s",
        max_wait_ms = 0,
        queue_size = 1024,
        request_headers = [],
        warmup = [],
        required_ram = "512M",
        num_cpus = 1,
        num_gpus = 0,
        tags = [],
        target_compatible_with = [],
        testonly = False,
        visibility = None):
    """A Python predict function, or a framework's file, with its data and dependencies, ready for `chassis_image`.

    The entry module is imported on the build machine, with the build machine's wheels (but see `pickle_on`), and its
    function pickled by value; modules of `deps` are pickled by reference and shipped. The predict function is of one of these kinds:
    `bytes -> JSON-able`, with batch_size `list[bytes] -> list[JSON-able]`, and the same with mappings from input name to
    bytes, to mappings from output name to bytes. A generator streams (docs/serving.md). A second parameter called `request`, of a batch
    function `requests`, is told of the request: `chassis.Request` in docs/reference/sdk.md.

    Example, built by this repository's tests:

    ```starlark
    chassis_model(
        name = "digits",
        srcs = ["model.py"],
        entry_point = "model:batch_process",
        batch_size = 16,
        data = [":weights.npz"],
        deps = ["@pypi//numpy"],
    )
    ```

    Args:
      name: the target's name, and the model's name in URLs.
      entry_point: `module:attribute`; the module is relative to this package and one of `srcs`. The attribute is a
        predict function, or a class that has one as its method `predict`: each process of the model makes an instance
        and calls its method `load`, if it has one, before the model counts as ready.
      framework: in place of a function, the framework whose file the first of `data` is: `sklearn`, `xgboost`, `lightgbm`,
        `onnx`, `torch`, `litert` or `mlflow` (docs/frameworks.md). Its packages are in `deps`; `batch_size` is 64 unless it is given.
      loader: `module:attribute` of a function without arguments that each process of the model calls once, before the
        model counts as ready and under `load_timeout`: for what cannot be pickled, such as a session, or takes long.
        The predict function gets what it returned as its first argument, before the input.
      srcs: the entry module and modules beside it that it alone uses; all are pickled by value.
      pickle: a ready `.pkl` of the function (cloudpickle, the image's Python minor version), in place of `entry_point`.
      pickle_on: `exec`, with the build machine's Python and wheels; or `target`, with those of the target, under
        emulation if its CPU is another: slower, and for a hub that has no lock for the build machine. `bazel build //...` then
        passes over the model, and its images, for a platform or Python that a hub of `deps` has no lock for at all.
      batch_size: the most inputs of one call; 0 for a function of one input.
      data: files that the function finds with `chassis.data_path("…")`: the name in this package, or `package/name`.
        A label that stands for several files is an error. What the build makes of it is made once, by the build machine,
        for the pickle and for every platform; a `select` here chooses by platform. With `pickle_on = "target"` it is made
        once for each platform.
      deps: `py_library` targets and wheels of a hub, such as `@pypi//numpy`.
      model_name: for people; defaults to the target's name.
      version: the model's version.
      inputs: input name to media type.
      outputs: output name to media type.
      columns: of a function of rows, column name to type: `FP64`, or `FP64?` if a value may be missing; docs/models.md has the
        types.
      max_sizes: input or output name to the most bytes, such as `"10M"`.
      tensors: of a function of arrays or mappings, input or output name to the tensor that its bytes are in the Open Inference
        Protocol: datatype and shape of one item, such as `"FP32[3,224]"`, `"INT64[]"` for one number, `"FP32[-1]"` where
        a size varies. The function gets and gives the elements in row-major order, little-endian: what
        `numpy.frombuffer(item["row"], "<f4")` reads and `.tobytes()` writes. Without one it is a `BYTES` tensor.
      descriptions: input or output name to what it is, for people.
      labels: of an output that is a tensor, what its elements stand for, in their order: output name to a list of texts.
        Callers who ask for classes (the classification extension of the Open Inference Protocol) get them.
      signature: `auto` to go by the function's annotations; or what one input is: `bytes`, `mapping`, `table`, `rows`, `array`,
        `arrays`, `image`, `text`, `json` (docs/models.md).
      author: of the model.
      source: where the model comes from, such as a URL.
      model_type: what kind of model it is, such as `"image classification"`.
      summary: one sentence about the model.
      details: more about it.
      technical: how it works, for engineers.
      performance: how good it is, and on which data.
      status_timeout: for callers, such as `"60s"`.
      run_timeout: the longest that one call of the function may take, such as `"60s"`.
      load_timeout: after which a server whose model is not loaded ends.
      drain_timeout: what a server that is told to stop has for what it accepted.
      max_wait_ms: how long an input may wait, while the model is idle, for others to share its call; milliseconds.
      queue_size: how many inputs may wait for the model; more are refused at once.
      request_headers: headers of a request, over gRPC its metadata, that a function which takes `request` is told of.
      warmup: case files (docs/testing.md) whose inputs each process of the model is asked before it counts as ready, and files
        that they name. What they expect is not looked at; an item that fails is a model that fails to load.
      required_ram: for schedulers, such as `"512M"`.
      num_cpus: for schedulers; `0.5` is half of one. If the container has no CPU quota, libraries start as many threads.
      num_gpus: for schedulers.
      tags: Bazel's.
      target_compatible_with: Bazel's.
      testonly: Bazel's.
      visibility: Bazel's.
    """
    problem = model_attributes.check(
        entry_point = entry_point,
        loader = loader,
        pickle = pickle,
        srcs = srcs,
        batch_size = batch_size,
        signature = signature,
        inputs = inputs,
        outputs = outputs,
        pickle_on = pickle_on,
        max_sizes = max_sizes,
        tensors = tensors,
        descriptions = descriptions,
        labels = labels,
        version = version,
        columns = columns,
        framework = framework,
        data = data,
    )
    if problem:
        fail("chassis_model(name = %r): %s" % (name, problem))
    check_dependencies("chassis_model(name = %r)" % name, deps)
    keys = model_attributes.data_keys(
        [(label, native.package_relative_label(label)) for label in data],
        srcs,
        native.package_name(),
    )
    if type(keys) == "string":
        fail("chassis_model(name = %r): %s" % (name, keys))
    metadata = {
        "author": author,
        "batch_size": batch_size or (FRAMEWORK_BATCH_SIZE if framework else 0),
        # JSON of Starlark has the keys of a dict sorted.
        "columns": [[column, kind] for column, kind in columns.items()],
        "details": details,
        "drain_timeout": drain_timeout,
        "inputs": _parts(inputs, max_sizes, tensors, descriptions),
        "load_timeout": load_timeout,
        "max_wait_ms": max_wait_ms,
        "model_name": model_name or name,
        "model_type": model_type,
        "model_version": version,
        "name": name,
        "num_cpus": num_cpus,
        "num_gpus": num_gpus,
        "outputs": _parts(outputs, max_sizes, tensors, descriptions, labels),
        "performance": performance,
        "queue_size": queue_size,
        "request_headers": request_headers,
        "required_ram": required_ram,
        "run_timeout": run_timeout,
        "source": source,
        "status_timeout": status_timeout,
        "summary": summary,
        "technical": technical,
    }
    compatible_with = target_compatible_with + for_linux() + (where_locked(deps) if pickle_on == "target" else [])
    chassis_pickle(
        name = name + ".pickled",
        data = data if pickle_on == "exec" else [],
        data_on_target = data if pickle_on == "target" else [],
        data_keys = keys,
        deps = deps + [Label("//chassis")],
        entry_point = entry_point or "",
        framework = framework or "",
        interpreter = Label("//platforms:python") if pickle_on == "target" else None,
        loader = loader or "",
        metadata = json.encode_indent(metadata, indent = " ") + "\n",
        package_dir = native.package_name(),
        pickle = pickle,
        signature = signature,
        srcs = srcs,
        tags = tags + ["manual"],
        target_compatible_with = compatible_with if pickle_on == "target" else [],
        testonly = testonly,
        visibility = ["//visibility:private"],
    )
    chassis_model_target(
        name = name,
        data = data if pickle_on == "exec" else [],
        data_on_target = data if pickle_on == "target" else [],
        data_keys = keys,
        deps = deps,
        pickle = name + ".pickled" if pickle_on == "exec" else None,
        pickle_on_target = name + ".pickled" if pickle_on == "target" else None,
        tags = tags,
        target_compatible_with = compatible_with,
        testonly = testonly,
        version = version,
        visibility = visibility,
        warmup = warmup,
        wheel_files = wheel_labels(deps),
    )
