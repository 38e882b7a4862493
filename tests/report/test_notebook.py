"""The example notebook, executed as a reader would."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "example.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Outputs of the cells of code, by MIME type, after an execution without an error."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    return {
        cell.source: {kind: text for output in cell.outputs for kind, text in output.get("data", {}).items()}
        | {"printed": "".join(output.text for output in cell.outputs if output.output_type == "stream")}
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def output(outputs, code):
    (found,) = (shown for source, shown in outputs.items() if code in source)
    return found


def test_a_check_shows_statement_verdict_and_figure(outputs):
    shown = output(outputs, 'checked = repro.check("perceptron.novikoff"')
    assert "<math" in shown["text/html"]
    assert "<b>reproduced</b>" in shown["text/html"]
    assert "data:image/svg+xml;base64," in shown["text/html"]
    assert shown["text/plain"].startswith("perceptron.novikoff\n")


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("dimensions=(5,)", "reproduced"),
        ("**novikoff.control", "refuted"),
        ("def mean_of_many", "reproduced"),
        ("**mean_of_many.control", "refuted"),
    ],
)
def test_verdicts_are_those_that_the_text_tells(code, verdict, outputs):
    assert f"<b>{verdict}</b>" in output(outputs, code)["text/html"]


def test_results_are_a_table(outputs):
    shown = output(outputs, "completed = repro.run(")["text/html"]
    assert shown.count("<tr") == 4
    assert "refuted" in shown
    assert "signed_distance: refuted" in output(outputs, '"correction"')["printed"]


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
