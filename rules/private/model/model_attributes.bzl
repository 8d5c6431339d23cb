"""What can be known to be wrong with a chassis_model's attributes before anything runs."""

load("//rules/private/declaration:declared.bzl", "COLUMN_TYPES", "DATATYPES", "FRAMEWORKS", "SIGNATURES")

_SIGNATURES = ["auto"] + SIGNATURES
_PICKLE_ON = ["exec", "target"]

def _tensor_problem(text):
    """What is wrong with `text`, such as `FP32[3,-1]`, or None."""
    if text == "BYTES":
        return None
    datatype, bracket, rest = text.partition("[")
    if datatype not in DATATYPES:
        return "%r is not one of BYTES, %s" % (datatype, ", ".join(DATATYPES))
    if not bracket:
        return None
    if not rest.endswith("]"):
        return "no ] behind the shape of one item"
    lengths = [length.strip() for length in rest[:-1].split(",")] if rest != "]" else []
    for length in lengths:
        if length != "-1" and not (length.isdigit() and length[0] != "0" and len(length) < 10):
            return "%r is not a size of one item: a positive number, or -1 if it varies" % length
    if len([length for length in lengths if length == "-1"]) > 1:
        return "two sizes vary: the bytes of a tensor tell but one"
    return None

def _media_type_problem(name, text):
    """What is wrong with the media type `text` of an input or output, or None."""
    for one in text.split(","):
        major, slash, minor = one.partition(";")[0].strip(" ").partition("/")
        if not (major and slash and minor) or "/" in minor or " " in major + minor:
            return "%r: %r is not a media type, expected such as \"application/json\" or \"image/png\"" % (name, text)
    return None

def _version_problem(text):
    """What is wrong with a version, or None."""
    plain = text
    for char in ["-", ".", "_", "+"]:
        plain = plain.replace(char, "")
    if not text or (plain.isalnum() and text[0].isalnum() and len(text) <= 128):
        return None
    return "version = %r: expected letters, digits and . _ + - such as \"0.0.1\"" % text

def _module_problem(attribute, path, srcs, example):
    """What is wrong with `path`, a `module:attribute` whose module has to be one of `srcs`, or None."""
    module, colon, name = path.partition(":")
    if not colon or not module or not name:
        return "%s = %r is not of the form \"module:attribute\", such as %r" % (attribute, path, example)
    wanted = module.replace(".", "/") + ".py"
    if wanted not in [src.rpartition(":")[2] for src in srcs]:
        return "%s = %r: its module is %s, which is not in srcs = %r" % (attribute, path, wanted, srcs)
    return None

def _framework_problem(framework, entry_point, pickle, srcs, loader, data):
    """What is wrong with the attributes of a framework's model, or None."""
    if framework not in FRAMEWORKS:
        return "framework = %r: choose one of %s, or give a function (`entry_point`)" % (framework, ", ".join(FRAMEWORKS))
    for name, value in [("entry_point", entry_point), ("pickle", pickle), ("srcs", srcs), ("loader", loader)]:
        if value:
            return "`%s` is for a function: a model of a framework is a file in `data`" % name
    if not data:
        return "framework = %r: give the model's file, as the first of `data`" % framework
    return None

def _check(entry_point, pickle, srcs, batch_size, signature, inputs, outputs, pickle_on, loader = None, max_sizes = {}, tensors = {}, descriptions = {}, labels = {}, version = "0.0.1", columns = {}, framework = None, data = []):
    """Checks the attributes against each other.

    Args:
      entry_point: `module:attribute`, or None.
      pickle: label of a ready pickle, or None.
      srcs: labels, as strings.
      batch_size: int.
      signature: one of auto, bytes, mapping.
      inputs: dict, input name to media type.
      outputs: dict, output name to media type.
      pickle_on: one of exec, target.
      loader: `module:attribute`, or None.
      max_sizes: dict, input or output name to a size.
      tensors: dict, input or output name to datatype and shape.
      descriptions: dict, input or output name to a text.
      labels: dict, output name to a list of texts.
      version: the model's.
      columns: dict, column name to a type.
      framework: name of a framework, or None.
      data: labels of its file and other files.

    Returns:
      What is wrong and what to do, or None.
    """
    if framework:
        problem = _framework_problem(framework, entry_point, pickle, srcs, loader, data)
        if problem:
            return problem
    elif bool(entry_point) == bool(pickle):
        return "give either `entry_point` (with `srcs`) or `pickle`, or `framework` with its file in `data`"
    if entry_point:
        problem = _module_problem("entry_point", entry_point, srcs, "model:batch_process")
        if not problem and loader:
            problem = _module_problem("loader", loader, srcs, "model:load")
        if problem:
            return problem
    elif framework:
        pass
    elif loader:
        return "`loader` is for an `entry_point`; a ready pickle holds its own"
    elif srcs:
        return "`srcs` is for an `entry_point`; a ready pickle's code goes into `deps`"
    if batch_size < 0:
        return "batch_size = %d: leave it out for a function of one input, or give 1 or more" % batch_size
    if signature not in _SIGNATURES:
        return "signature = %r: choose one of %s" % (signature, ", ".join(_SIGNATURES))
    if pickle_on not in _PICKLE_ON:
        return "pickle_on = %r: choose one of %s" % (pickle_on, ", ".join(_PICKLE_ON))
    if not inputs or not outputs:
        return "inputs and outputs need a name each, such as {\"input\": \"application/json\"}"
    for attribute, named in [("inputs", inputs), ("outputs", outputs)]:
        for name, media_type in named.items():
            problem = _media_type_problem(name, media_type)
            if problem:
                return "%s: %s" % (attribute, problem)
    if _version_problem(version):
        return _version_problem(version)
    for attribute, named in [("descriptions", descriptions), ("max_sizes", max_sizes), ("tensors", tensors)]:
        for name in named:
            if name not in inputs and name not in outputs:
                return "%s: %r is not one of the inputs and outputs %s" % (attribute, name, ", ".join(inputs.keys() + outputs.keys()))
    for name, text in columns.items():
        if text.removesuffix("?") not in COLUMN_TYPES:
            return "columns: %r of %r is not one of %s, with ? behind it if a value may be missing" % (text, name, ", ".join(COLUMN_TYPES))
        if name in inputs:
            return "columns: %r is the name of the input too: give that another in `inputs`" % name
    for name in labels:
        if name not in outputs:
            return "labels: %r is not one of the outputs %s" % (name, ", ".join(outputs.keys()))
        if name not in tensors:
            return "labels: %r is not a tensor: declare it in `tensors`, such as {%r: \"FP32[%d]\"}" % (name, name, len(labels[name]))
    for name, text in tensors.items():
        problem = _tensor_problem(text)
        if problem:
            return "tensors: %r of %r: %s; expected such as \"FP32[3,224]\"" % (text, name, problem)
    if tensors and signature == "bytes":
        return "tensors: a function of bytes gives JSON; give one of mappings, whose inputs and outputs are tensors"
    return None

def _data_keys(data, srcs, package):
    """What `chassis.data_path` calls each of `data`: its name in its package, with its package if it is another.

    Args:
      data: list of (label as it was written, Label).
      srcs: labels of the code, as they were written.
      package: the model's package.

    Returns:
      A list of keys in the order of `data`. An error is a string in place of the list.
    """
    keys = {}
    for written, label in data:
        if written in srcs or written.removeprefix(":") in srcs or ":" + written in srcs:
            return "%s is in both srcs and data: code is pickled, data is a file of the image" % written
        key = label.name if label.package == package else label.package + "/" + label.name
        if key in keys:
            return "data %s and %s would both be chassis.data_path(%r)" % (keys[key], written, key)
        keys[key] = written
    return keys.keys()

model_attributes = struct(
    check = _check,
    data_keys = _data_keys,
)
