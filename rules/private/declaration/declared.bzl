"""What rules need of chassis/declaration. Written by `bazel run //docs:update`, do not edit."""

# By architecture, as OCI has it, the machine as wheel tags have it.
MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
}

# By architecture, the name in Debian's directories and the loader in them.
LOADERS = {
    "amd64": ["x86_64-linux-gnu", "ld-linux-x86-64.so.2"],
    "arm64": ["aarch64-linux-gnu", "ld-linux-aarch64.so.1"],
}

# By wheel lock, the accelerator and the machine that its wheels are for.
LOCKS = {
    "linux_amd64": ["none", "x86_64"],
    "linux_amd64_gpu": ["cuda", "x86_64"],
    "linux_arm64": ["none", "aarch64"],
    "linux_arm64_gpu": ["cuda", "aarch64"],
}

# The minor versions of Python that an image can have.
PYTHONS = ["3.11"]

# That of an image whose base says no other.
DEFAULT_PYTHON = "3.11"

# By front end, the port that it listens on unless the environment names another.
SERVER_PORTS = {
    "omi": "45000/tcp",
    "v1-http": "8080/tcp",
    "v2-grpc": "45000/tcp",
    "v2-http": "8080/tcp",
}

# The most processes of the model beside one server.
MAX_WORKERS = 256

# The datatypes of tensors with elements of one size.
DATATYPES = [
    "BF16",
    "BOOL",
    "FP16",
    "FP32",
    "FP64",
    "INT16",
    "INT32",
    "INT64",
    "INT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "UINT8",
]

# Tensors, and texts that are none: for a test of what Starlark takes.
TENSORS = [
    "FP32[3,-1]",
    "INT64[ 2, 2 ]",
    "INT64[]",
    "BOOL[]",
    "UINT8",
    "BYTES",
    "FP16[-1]",
    "FP64[999999999]",
]

NO_TENSORS = [
    "float32",
    "FP32[",
    "FP32[3",
    "FP32[3,]",
    "FP32[0]",
    "FP32[-2]",
    "FP32[-1,-1]",
    "FP32[1000000000]",
    "FP32[2]x",
    "FP32[2][2]",
    "FP32 [2]",
    "FP32[x]",
    "FP8[2]",
    "BYTES[1]",
    "[3]",
]
