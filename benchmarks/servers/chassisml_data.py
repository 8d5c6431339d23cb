"""Writes what chassisml's OMI server reads, in an environment that has chassisml.

python chassisml_data.py DIRECTORY WEIGHTS KIND
"""

from __future__ import annotations

import sys
from pathlib import Path

import cloudpickle
import digits

from chassis.protos.v1.model_pb2 import StatusResponse
from chassis.runtime import ModelRunner

if __name__ == "__main__":
    directory, weights, kind = sys.argv[1:]
    cloudpickle.register_pickle_by_value(digits)
    runner = ModelRunner(digits.load(weights, kind), batch_size=digits.BATCH_SIZE, is_legacy_fn=True)
    data = Path(directory) / "data"
    data.mkdir(parents=True)
    (data / "model.pkl").write_bytes(cloudpickle.dumps({"__chassis_model": runner}))
    (data / "model_info").write_bytes(StatusResponse().SerializeToString())
