"""Compiles .proto files to Python with the protoc that grpcio-tools carries."""

import sys

from grpc_tools import protoc

if __name__ == "__main__":
    sys.exit(protoc.main(sys.argv))
