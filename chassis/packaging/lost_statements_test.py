"""Which statements at the top of a source are lost in the image."""

from __future__ import annotations

import logging

import pytest

from chassis.packaging.lost_statements import lost_statements, paths_beside

LOST = [
    'import os\nos.environ["A"] = "1"',
    'import os\nos.environ.setdefault("A", "1")',
    'import os\nos.environ |= {"A": "1"}',
    'import os\ndel os.environ["A"]',
    'from os import environ\nenviron["A"] = "1"',
    "import sys\nsys.setrecursionlimit(5000)",
    'import sys\nsys.path.append("ml")',
    'import warnings\nwarnings.filterwarnings("ignore")',
    "import logging\nlogging.basicConfig(level=logging.DEBUG)",
    'import logging as log\nlog.getLogger("a").setLevel(10)',
    "import random\nSEED = 7\nrandom.seed(SEED)",
    "import os.path\nif True:\n  os.umask(0)",
    "import os\ntry:\n  os.umask(0)\nfinally:\n  pass",
    "import torch\ntorch.backends.cudnn.benchmark = True",
]
KEPT = [
    '"""A docstring."""',
    "import os\nA = os.environ.get('A')",
    "import random\nNAMES = ['a']\nrandom.shuffle(NAMES)",
    "import heapq\nHEAP = [2, 1]\nheapq.heapify(x=HEAP)",
    "NAMES = []\nNAMES.append(1)",
    "TABLE = {}\nTABLE['a'] = 1",
    "def process(a):\n  import os\n  os.environ['A'] = '1'",
    "import os\ndef process(a):\n  os.environ['A'] = '1'",
    "import os\nif __name__ == '__main__':\n  os.umask(0)",
    "def fill(): pass\nfill()",
    "import ml.helper\nml.helper.fill()",
    "from ml.helper import fill\nfill()",
    "from . import helper\nhelper.VALUE = 3",
    "import functools\n@functools.cache\ndef a(): pass\na()",
]


def found(source: str) -> list[tuple[int, str]]:
    """Line and text of what is lost; the module's own variables are what its plain assignments say."""
    variables = {"SEED": 7, "NAMES": ["a"], "HEAP": [2, 1], "TABLE": {}}
    lost = lost_statements(source.encode(), "ml/model.py", variables, frozenset({"ml.helper", "ml.model"}))
    return [(statement.line, statement.text) for statement in lost]


@pytest.mark.parametrize("source", LOST)
def test_what_changes_another_module_is_lost(source: str) -> None:
    assert len(found(source)) == 1


@pytest.mark.parametrize("source", KEPT)
def test_what_makes_the_models_own_values_is_not(source: str) -> None:
    assert found(source) == []


def test_line_and_text_are_said() -> None:
    assert found('import os\n\nos.environ["A"] = "1"') == [(3, "os.environ['A'] = '1'")]
    assert len(found("import os\nos.system('" + "x" * 200 + "')")[0][1]) == 80


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        ("return Path(__file__).parent", ["__file__"]),
        ("return open('w.bin').read()", ["open('w.bin')"]),
        ("return pathlib.Path('ml/w.bin').read_text()", ["pathlib.Path('ml/w.bin')"]),
        ("return os.path.abspath('w.bin')", ["os.path.abspath('w.bin')"]),
        ("return np.load('ml/w.bin')", ["np.load('ml/w.bin')"]),
        ("return pd.read_csv('w.bin')", ["pd.read_csv('w.bin')"]),
        ("return os.path.join(os.path.dirname(__file__), 'other.bin')", ["__file__"]),
        ("return open(WEIGHTS).read()", ["WEIGHTS"]),
        ("return chassis.data_path('w.bin').read_text()", []),
        ("return np.load(chassis.data_path('w.bin'))", []),
        ("return {'w.bin': found.get('w.bin')}", []),
        ("return open('/etc/hostname').read()", []),
        ("return Path(given).read_text()", []),
        ("return os.path.join(chassis.data_path('saved'), 'w.bin')", []),
        ("return Path(chassis.data_path('saved'), 'w.bin')", []),
        ("return Path('ml', 'w.bin').read_text()", ["Path('ml', 'w.bin')"]),
        ("return ', '.join('w.bin')", []),
        ("return LOG.info('w.bin')", []),
    ],
)
def test_files_that_a_function_looks_for_beside_its_source_are_found(body: str, lost: list[str]) -> None:
    source = (
        "HERE = os.path.dirname(__file__)\n"
        "WEIGHTS = os.path.join(HERE, 'other.bin')\n"
        "LOG = logging.getLogger(Path(__file__).stem)\n"
        "NUMBER: int = 3\n"
        f"def process(a):\n    {body}\n"
    )
    variables = {"HERE": "ml", "WEIGHTS": "ml/other.bin", "LOG": logging.getLogger(), "NUMBER": 3}
    found = paths_beside(source.encode(), "ml/model.py", ["w.bin"], variables)
    assert [(one.line, one.text) for one in found] == [(6, text) for text in lost]
