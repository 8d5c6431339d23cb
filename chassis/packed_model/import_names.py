"""What Python imports by another name than its distribution has: import name to the distributions that bring it.

The hubs of the build answer to the same names; rules/private/locks/import_names.bzl is the copy that they read, and a
test compares the two.
"""

from __future__ import annotations

IMPORT_NAMES: dict[str, list[str]] = {
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
    "psycopg2": ["psycopg2-binary", "psycopg2"],
    "pptx": ["python-pptx"],
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
