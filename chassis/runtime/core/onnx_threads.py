"""The threads of ONNX Runtime: it reads no variable, and starts as many as the machine has processors.

https://onnxruntime.ai/docs/performance/tune-performance/threading.html
"""

from __future__ import annotations

import functools
import os
from types import ModuleType

from chassis.runtime.core.mended_import import mend_when_imported

_MODULE = "onnxruntime"
_VARIABLE = "OMP_NUM_THREADS"
"""What says how many: the server has set it from the container's quota, unless the image or the container did."""


def mend_sessions() -> None:
    """From now on, in this process, a session has as many threads as the variable says, unless its options do."""
    mend_when_imported(_MODULE, _mend)


def _mend(module: ModuleType) -> None:
    threads = os.environ.get(_VARIABLE, "").partition(",")[0].strip()  # OpenMP takes a number for each level
    session = getattr(module, "InferenceSession", None)  # a model may have a module of that name
    if session is None or not threads.isdigit():
        return
    begin = session.__init__

    @functools.wraps(begin)
    def begin_bounded(self: object, model: object, sess_options: object = None, *more: object, **named: object) -> None:
        options = module.SessionOptions() if sess_options is None else sess_options
        for kind in ("intra_op_num_threads", "inter_op_num_threads"):
            if not getattr(options, kind):
                setattr(options, kind, int(threads))
        begin(self, model, options, *more, **named)

    session.__init__ = begin_bounded
