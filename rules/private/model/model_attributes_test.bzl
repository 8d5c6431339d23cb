"""Tests of model_attributes.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//rules/private/declaration:declared.bzl", "NO_TENSORS", "TENSORS")
load(":model_attributes.bzl", "model_attributes")

_GOOD = {
    "batch_size": 16,
    "entry_point": "model:batch_process",
    "inputs": {"input": "application/json"},
    "outputs": {"results.json": "application/json"},
    "pickle": None,
    "pickle_on": "exec",
    "signature": "auto",
    "srcs": ["model.py"],
}

# What is changed in a good model, and what the error then holds; None if it stays good.
_CASES = [
    ({}, None),
    ({"srcs": [":model.py"]}, None),
    ({"entry_point": "a.model:run", "srcs": ["a/model.py"]}, None),
    ({"entry_point": None, "pickle": "model.pkl", "srcs": []}, None),
    ({"entry_point": None}, "give either `entry_point` (with `srcs`) or `pickle`"),
    ({"pickle": "model.pkl"}, "give either `entry_point` (with `srcs`) or `pickle`"),
    ({"entry_point": None, "pickle": "model.pkl"}, "a ready pickle's code goes into `deps`"),
    ({"entry_point": "model.batch_process"}, "is not of the form \"module:attribute\""),
    ({"entry_point": ":run"}, "is not of the form \"module:attribute\""),
    ({"entry_point": "modle:run"}, "its module is modle.py, which is not in srcs"),
    ({"loader": "model:load"}, None),
    ({"loader": "loading:load", "srcs": ["model.py", "loading.py"]}, None),
    ({"loader": "model.load"}, "loader = \"model.load\" is not of the form \"module:attribute\", such as \"model:load\""),
    ({"loader": "loading:load"}, "loader = \"loading:load\": its module is loading.py, which is not in srcs"),
    ({"entry_point": None, "loader": "model:load", "pickle": "model.pkl", "srcs": []}, "`loader` is for an `entry_point`"),
    ({"batch_size": -1}, "batch_size = -1"),
    ({"signature": "jsonl"}, "choose one of auto, bytes, mapping"),
    ({"columns": {"amount": "FP64?", "city": "TEXT", "at": "TIMESTAMP?"}}, None),
    ({"columns": {"amount": "float64"}}, "columns: \"float64\" of \"amount\" is not one of BOOL, INT8"),
    ({"columns": {"amount": "FP64??"}}, "is not one of BOOL"),
    ({"columns": {"input": "FP64"}}, "columns: \"input\" is the name of the input too"),
    ({"data": ["m.onnx"], "entry_point": None, "framework": "onnx", "srcs": []}, None),
    ({"data": ["m"], "entry_point": None, "framework": "scikit-learn", "srcs": []}, "framework = \"scikit-learn\": choose one of lightgbm, litert, mlflow, onnx"),
    ({"data": ["m.onnx"], "framework": "onnx"}, "`entry_point` is for a function"),
    ({"data": ["m.onnx"], "entry_point": None, "framework": "onnx"}, "`srcs` is for a function"),
    ({"data": ["m.onnx"], "entry_point": None, "framework": "onnx", "loader": "model:load", "srcs": []}, "`loader` is for a function"),
    ({"entry_point": None, "framework": "onnx", "srcs": []}, "give the model's file, as the first of `data`"),
    ({"pickle_on": "target"}, None),
    ({"pickle_on": "host"}, "pickle_on = \"host\": choose one of exec, target"),
    ({"inputs": {}}, "inputs and outputs need a name each"),
    ({"inputs": {"input": "text/plain; charset=utf-8"}}, None),
    ({"inputs": {"input": "application/json, text/json"}}, None),
    ({"inputs": {"input": "application/json,"}}, "is not a media type"),
    ({"inputs": {"input": "json"}}, "inputs: \"input\": \"json\" is not a media type, expected such as \"application/json\""),
    ({"outputs": {"results.json": "application/"}}, "outputs: \"results.json\": \"application/\" is not a media type"),
    ({"outputs": {"results.json": "a b/c"}}, "is not a media type"),
    ({"version": "1.0-rc.1+cu13"}, None),
    ({"version": "1 0"}, "version = \"1 0\": expected letters, digits and . _ + - such as \"0.0.1\""),
    ({"version": ""}, None),
    ({"version": "a" * 129}, "expected letters, digits and . _ + -"),
    ({"version": "-1"}, "version = \"-1\""),
    ({"max_sizes": {"input": "1M"}}, None),
    ({"max_sizes": {"imput": "1M"}}, "max_sizes: \"imput\" is not one of the inputs and outputs input, results.json"),
    ({"descriptions": {"imput": "pixels"}}, "descriptions: \"imput\" is not one of the inputs and outputs"),
    ({"descriptions": {"input": "pixels"}}, None),
    ({"tensors": {"input": "FP32[3,-1]", "results.json": "INT64"}}, None),
    ({"tensors": {"input": "BYTES", "results.json": "BOOL[]"}}, None),
    ({"tensors": {"row": "FP32"}}, "tensors: \"row\" is not one of the inputs and outputs"),
    ({"tensors": {"input": "float32[3]"}}, "\"float32\" is not one of BYTES, BF16, BOOL, FP16, FP32"),
    ({"tensors": {"input": "FP32[3"}}, "no ] behind the shape"),
    ({"tensors": {"input": "FP32[3,]"}}, "\"\" is not a size of one item"),
    ({"tensors": {"input": "FP32[0]"}}, "\"0\" is not a size of one item"),
    ({"tensors": {"input": "FP32[-1,-1]"}}, "two sizes vary"),
    ({"tensors": {"input": "BYTES[1]"}}, "\"BYTES\" is not one of"),
    ({"tensors": {"results.json": "FP32[2]"}, "labels": {"results.json": ["cat", "dog"]}}, None),
    ({"labels": {"input": ["cat"]}}, "labels: \"input\" is not one of the outputs results.json"),
    ({"labels": {"results.json": ["cat", "dog"]}}, "labels: \"results.json\" is not a tensor: declare it in `tensors`, such as {\"results.json\": \"FP32[2]\"}"),
    ({"signature": "bytes", "tensors": {"input": "FP32[3]"}}, "a function of bytes gives JSON"),
]

def _check_test_impl(ctx):
    env = unittest.begin(ctx)
    for change, wanted in _CASES:
        found = model_attributes.check(**(_GOOD | change))
        if wanted == None:
            asserts.equals(env, None, found)
        else:
            asserts.true(env, wanted in (found or ""), "%s gave %s" % (change, found))
    for text in TENSORS:
        asserts.equals(env, None, model_attributes.check(**(_GOOD | {"tensors": {"input": text}})))
    for text in NO_TENSORS:
        found = model_attributes.check(**(_GOOD | {"tensors": {"input": text}}))
        asserts.true(env, "tensors: %r of \"input\"" % text in (found or ""), "%r gave %s" % (text, found))
    return unittest.end(env)

_check_test = unittest.make(_check_test_impl)

def _data_keys_test_impl(ctx):
    env = unittest.begin(ctx)
    weights = struct(name = "weights.npz", package = "model")
    labels = struct(name = "labels.txt", package = "ml/data")
    asserts.equals(
        env,
        ["weights.npz", "ml/data/labels.txt"],
        model_attributes.data_keys([(":weights.npz", weights), ("//ml/data:labels.txt", labels)], ["model.py"], "model"),
    )
    both = model_attributes.data_keys([("model.py", struct(name = "model.py", package = "model"))], [":model.py"], "model")
    asserts.true(env, "is in both srcs and data" in both)
    twice = model_attributes.data_keys([(":weights.npz", weights), ("weights.npz", weights)], [], "model")
    asserts.equals(env, "data :weights.npz and weights.npz would both be chassis.data_path(\"weights.npz\")", twice)
    return unittest.end(env)

_data_keys_test = unittest.make(_data_keys_test_impl)

def model_attributes_tests(name):
    unittest.suite(name, _check_test, _data_keys_test)
