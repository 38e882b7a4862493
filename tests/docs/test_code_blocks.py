"""What README and docs show: every block of Python runs in a fresh process, every command exists with its options."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from repro.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?: {4}|\$ )(?:.*&& )?repro ([^#\n|]*)", re.MULTILINE)


def blocks():
    for page in PAGES:
        for number, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), start=1):
            yield pytest.param(code, id=f"{page.relative_to(ROOT)} block {number}")


def commands():
    for page in PAGES:
        for words in COMMAND.findall(page.read_text(encoding="utf-8")):
            yield pytest.param(words.split(), id=f"{page.relative_to(ROOT)}: repro {words.strip()}")


@pytest.mark.parametrize("code", list(blocks()))
def test_python_runs_in_a_fresh_process(code, tmp_path):
    (tmp_path / "block.py").write_text(code, encoding="utf-8")
    completed = subprocess.run(
        [sys.executable, "block.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr


def test_the_claim_of_the_readme_passes_our_lint(tmp_path):
    (example,) = [code for code in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")) if "@claim" in code]
    file = tmp_path / "repro" / "claims" / "my_claims.py"
    file.parent.mkdir(parents=True)
    file.write_text(example, encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", file], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def find_command(words):
    """The command that the first words name, and the words that follow."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("words", list(commands()))
def test_commands_and_their_options_exist(words):
    command, rest = find_command(words)
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert not hasattr(command, "commands") or not [word for word in rest if not word.startswith("-")], words
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known


def leaves(command, name=()):
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        return [" ".join(name)]
    return [leaf for word, each in subcommands.items() for leaf in leaves(each, (*name, word))]


def test_the_readme_shows_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in leaves(typer.main.get_command(app)) if f"repro {name}" not in readme]
    assert not missing
