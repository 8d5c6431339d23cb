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

# By minor version of Python that an image can have: whole version, glibc, Debian's suite or nothing.
PYTHONS = {
    "3.10": ["3.10.12", "2.35", ""],
    "3.11": ["3.11.2", "2.36", "bookworm"],
    "3.12": ["3.12.3", "2.36", ""],
    "3.13": ["3.13.5", "2.41", "trixie"],
    "3.14": ["3.14.8", "2.43", "forky"],
}

# The variables of wheels' markers that are the same in every image.
MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "sys_platform": "linux",
}

# By machine, the oldest glibc 2.x that its wheels are made for.
OLDEST_GLIBC = {
    "aarch64": 17,
    "x86_64": 5,
}

# By glibc 2.x, the older name of its wheels' platform.
OLDER_TAGS = {
    5: "manylinux1",
    12: "manylinux2010",
    17: "manylinux2014",
}

# By name in Python, the distributions that bring an import; of those whose names differ.
IMPORT_NAMES = {
    "Crypto": ["pycryptodome"],
    "OpenSSL": ["pyopenssl"],
    "PIL": ["pillow"],
    "absl": ["absl-py"],
    "attr": ["attrs"],
    "bs4": ["beautifulsoup4"],
    "cupy": ["cupy-cuda13x", "cupy-cuda12x"],
    "cv2": ["opencv-python-headless", "opencv-python"],
    "dateutil": ["python-dateutil"],
    "docx": ["python-docx"],
    "dotenv": ["python-dotenv"],
    "faiss": ["faiss-cpu"],
    "fitz": ["pymupdf"],
    "git": ["gitpython"],
    "grpc": ["grpcio"],
    "grpc_health": ["grpcio-health-checking"],
    "grpc_reflection": ["grpcio-reflection"],
    "igraph": ["python-igraph"],
    "jose": ["python-jose"],
    "jwt": ["pyjwt"],
    "levenshtein": ["python-levenshtein"],
    "magic": ["python-magic"],
    "multipart": ["python-multipart"],
    "pil": ["pillow"],
    "pkg_resources": ["setuptools"],
    "pptx": ["python-pptx"],
    "psycopg2": ["psycopg2-binary", "psycopg2"],
    "rapidjson": ["python-rapidjson"],
    "ruamel": ["ruamel-yaml"],
    "serial": ["pyserial"],
    "skimage": ["scikit-image"],
    "sklearn": ["scikit-learn"],
    "skopt": ["scikit-optimize"],
    "slugify": ["python-slugify"],
    "socks": ["pysocks"],
    "tensorrt": ["tensorrt-cu13", "tensorrt-cu12"],
    "umap": ["umap-learn"],
    "usb": ["pyusb"],
    "win32api": ["pywin32"],
    "yaml": ["pyyaml"],
    "zmq": ["pyzmq"],
}

# That of an image which asks for no other.
DEFAULT_PYTHON = "3.13"

# That of the programs of the build.
TOOLS_PYTHON = "3.11"

# By front end, the port that it listens on unless the environment names another.
SERVER_PORTS = {
    "omi": "45000/tcp",
    "v1-http": "8080/tcp",
    "v2-grpc": "45000/tcp",
    "v2-http": "8080/tcp",
}

# By framework whose files are models by themselves, the distributions that its adapter imports.
FRAMEWORKS = {
    "lightgbm": ["lightgbm"],
    "litert": ["ai-edge-litert"],
    "mlflow": ["mlflow-skinny"],
    "onnx": ["onnxruntime"],
    "sklearn": ["scikit-learn", "joblib"],
    "torch": ["torch", "numpy"],
    "xgboost": ["xgboost"],
}

# The most inputs of one call of such a model, unless it says.
FRAMEWORK_BATCH_SIZE = 64

# What a column of a table may be; with ? behind it a value may be missing.
COLUMN_TYPES = [
    "BOOL",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "FP32",
    "FP64",
    "TEXT",
    "TIMESTAMP",
]

# What one input may be for a function.
SIGNATURES = [
    "bytes",
    "mapping",
    "table",
    "rows",
    "array",
    "arrays",
    "image",
    "text",
    "json",
]

# The most layers of an image: container runtimes stop there.
MAX_LAYERS = 127

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

# Texts that are tensors, and texts that are not, for a test of Starlark's reader.
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
