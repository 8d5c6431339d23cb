"""The threads of ONNX Runtime: it reads no variable, and starts as many as the machine has processors.

https://onnxruntime.ai/docs/performance/tune-performance/threading.html
"""

from __future__ import annotations

import functools
import os
from types import ModuleType
from typing import Any

from chassis.runtime.core.mended_import import mend_when_imported

_MODULE = "onnxruntime"
_VARIABLE = "OMP_NUM_THREADS"
"""What says how many: the server has set it from the container's quota, unless the image or the container did."""


def mend_sessions() -> None:
    """From now on, in this process, a session has as many threads as the variable says, unless its options do.

    Options that are given and leave it open say it afterwards: they cannot be copied, and a session that is given other
    providers later begins anew with them.
    """
    mend_when_imported(_MODULE, _mend)


def _mend(module: ModuleType) -> None:
    threads = os.environ.get(_VARIABLE, "").partition(",")[0].strip()  # OpenMP takes a number for each level
    session = getattr(module, "InferenceSession", None)  # a model may have a module of that name
    if session is None or not threads.isdecimal():
        return
    begin = session.__init__

    @functools.wraps(begin)
    def begin_bounded(self: object, *given: object, **named: object) -> None:
        if len(given) > 1:
            given = (given[0], bounded(given[1]), *given[2:])
        else:
            named["sess_options"] = bounded(named.get("sess_options"))
        begin(self, *given, **named)

    def bounded(given: object) -> Any:
        options: Any = module.SessionOptions() if given is None else given
        options.intra_op_num_threads = options.intra_op_num_threads or int(threads)
        if (
            options.execution_mode == module.ExecutionMode.ORT_PARALLEL
        ):  # else the threads between operators do not exist
            options.inter_op_num_threads = options.inter_op_num_threads or int(threads)
        return options

    session.__init__ = begin_bounded
