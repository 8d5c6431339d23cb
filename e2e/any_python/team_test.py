"""A test of the team's own: it runs on the team's Python."""

import sys

from sums import total

assert sys.version_info[:2] == (3, 13), f"the team's tests run on {sys.version}"
assert total([1, 2]) == 3
