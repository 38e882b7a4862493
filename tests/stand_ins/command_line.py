"""Calls the command ``repro`` as a user would, with stand-in claims."""

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
REPRO = TESTS / "repro_with_stand_ins.py"
STAND_INS = TESTS / "stand_ins"


def command(*arguments, folder, claims=STAND_INS):
    return subprocess.run(
        [sys.executable, REPRO, *map(str, arguments)],
        cwd=folder,
        env=environment(claims),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def environment(claims=STAND_INS):
    return {**os.environ, "COLUMNS": "80", "CLAIMS": str(claims)}


def assert_wrong_usage(completed, message, folder):
    assert completed.returncode == 2
    assert completed.stdout == ""
    assert re.fullmatch(r"repro: [^\n]+\n", completed.stderr), completed.stderr
    assert re.search(message, completed.stderr), completed.stderr
    assert not (folder / "repro-results").exists()
