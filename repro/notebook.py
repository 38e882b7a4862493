"""How a verdict shows itself in a notebook: statement, verdict and figure in one piece of HTML.

Formulas are MathML, which browsers, JupyterLab, VS Code and the pages of nbconvert show without a script; from a
notebook that was run elsewhere and is not trusted yet JupyterLab removes its tags. The figure is an image of its own,
so that neither its styles nor its ids meet those of other outputs.
"""

from __future__ import annotations

import base64

from markupsafe import Markup, escape

from repro.criteria.figures import render
from repro.report.text import prose
from repro.verdict import Verdict, format_effect


def html(verdict: Verdict) -> str:
    """Present a verdict."""
    return Markup("").join([_statement(verdict), _conclusion(verdict), _parts(verdict), _figure(verdict)])


def _statement(verdict: Verdict) -> Markup:
    return Markup("<p>{}</p>").format(prose(verdict.statement)) if verdict.statement else Markup("")


def _conclusion(verdict: Verdict) -> Markup:
    return Markup("<p><b>{}</b>: {} {}, <i>n</i> = {}</p>").format(
        verdict.status, verdict.measure, format_effect(verdict.effect, verdict.low, verdict.high), verdict.n
    )


def _parts(verdict: Verdict) -> Markup:
    if not verdict.parts:
        return Markup("")
    head = Markup("<tr><th>part</th><th>verdict</th><th>effect</th><th>n</th></tr>")
    rows = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
            part.name, part.status, format_effect(part.effect, part.low, part.high), part.n
        )
        for part in verdict.parts
    )
    return Markup("<table>{}{}</table>").format(head, rows)


def _figure(verdict: Verdict) -> Markup:
    if verdict.draw is None:
        return Markup("")
    try:
        content = base64.b64encode(render(verdict.figure(), ["svg"])["svg"]).decode()
    except Exception as error:  # noqa: BLE001  a claim's own figure may raise anything, the verdict is shown all the same
        return Markup("<p>No figure could be drawn: {}</p>").format(f"{type(error).__name__}: {error}")
    style = "background: white; max-width: 100%"  # notebooks may be dark, and the ink of figures is
    return Markup('<img alt="{}" style="{}" src="data:image/svg+xml;base64,{}">').format(
        escape(str(verdict)), style, content
    )
