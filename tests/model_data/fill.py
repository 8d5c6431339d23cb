"""Fills a directory with a file for each line: `fill WORDS.txt DIRECTORY`."""

import os
import sys
from pathlib import Path

words, output = map(Path, sys.argv[1:])
for word in words.read_text().split():
    (output / word[0]).mkdir(exist_ok=True)
    (output / word[0] / f"{word}.txt").write_text(f"{word} {os.environ['PYTHONHASHSEED']}")
