"""What is passed over for a platform without a lock is never run there."""

import numpy as np


def process(content):
    return float(np.frombuffer(content, np.uint8).sum())
