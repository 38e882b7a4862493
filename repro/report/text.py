"""Text for pages: formulas, prose, numbers, source code. Whatever is marked as safe for HTML is made here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from xml.etree import ElementTree

import latex2mathml.converter
import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments.lexers import PythonLexer
from pygments.token import STANDARD_TYPES

from repro.common import format_number

# What a formula may consist of: no links, styles, classes or scripts.
MATHML = frozenset(
    [
        "math",
        "maction",
        "menclose",
        "mfrac",
        "mi",
        "mmultiscripts",
        "mn",
        "mo",
        "mover",
        "mpadded",
        "mphantom",
        "mprescripts",
        "mroot",
        "mrow",
        "ms",
        "mspace",
        "msqrt",
        "mstyle",
        "msub",
        "msubsup",
        "msup",
        "mtable",
        "mtd",
        "mtext",
        "mtr",
        "munder",
        "munderover",
        "none",
        "semantics",
    ]
)
ATTRIBUTES = frozenset(
    [
        "accent",
        "accentunder",
        "columnalign",
        "columnlines",
        "columnspacing",
        "depth",
        "displaystyle",
        "fence",
        "form",
        "height",
        "largeop",
        "linethickness",
        "lspace",
        "mathvariant",
        "maxsize",
        "minsize",
        "movablelimits",
        "rowlines",
        "rowspacing",
        "rspace",
        "scriptlevel",
        "separator",
        "stretchy",
        "symmetric",
        "voffset",
        "width",
    ]
)

# Classes of Pygments that the style sheet knows: keywords, strings, numbers, comments.
COLOURED = frozenset(
    ["k", "kc", "kd", "kn", "ow", "nd", "s", "s1", "s2", "sa", "sd", "se", "si", "m", "mf", "mi", "c", "c1"]
)

OPERATORS = re.compile(r"\\arg\s*\\(max|min)(?![A-Za-z])")  # one operator, which the converter knows by one name
PUNCTUATED = re.compile(r'<(span|div) class="math [a-z ]+">(.*?)</\1>([.,;:)]*)', re.DOTALL)


def formula(latex: str) -> Markup:
    """Render a formula as MathML; LaTeX that cannot be rendered is shown as it stands."""
    try:
        math = latex2mathml.converter.Converter().convert_to_element(OPERATORS.sub(r"\\arg\1", latex))
    except Exception:  # noqa: BLE001  the parser raises whatever it trips over, KeyError and RecursionError included
        return Markup("<code>{}</code>").format(latex)
    for element in math.iter():
        _join_words(element)
    # latex2mathml writes characters as entities, and unescapes them, tags in texts included, once serialised.
    markup = html.unescape(ElementTree.tostring(math, encoding="unicode"))
    return Markup(nh3.clean(markup, tags=set(MATHML), attributes={"*": set(ATTRIBUTES)}, link_rel=None))  # noqa: S704


@cache  # a statement stands on the pages of its claim, its module, its documents and the overview
def prose(text: str) -> Markup:
    """Render a line or a paragraph with formulas between dollars and code between backticks."""
    # No line may begin with the full stop of a formula, so they stay together.
    return Markup(PUNCTUATED.sub(r'<span class="formula">\2\3</span>', _markdown().renderInline(text)))  # noqa: S704


def paragraphs(text: str) -> Markup:
    """Render a docstring: paragraphs, with indented blocks (lists of arguments, examples) kept as they are laid out."""
    return Markup("\n").join(_paragraph(block) for block in re.split(r"\n\s*\n", text.strip("\n")))


def tokens(code: str) -> list[tuple[str, str]]:
    """Split Python source where its colour changes, into pairs of a CSS class of Pygments and text."""
    found: list[tuple[str, str]] = []
    for kind, text in PythonLexer().get_tokens(code):
        name = STANDARD_TYPES.get(kind, "")
        name = name if name in COLOURED else ""
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + text)
        else:
            found.append((name, text))
    return found


def python(code: Iterable[tuple[str, str]]) -> Markup:
    """Render Python source with its syntax marked, from its tokens."""
    pieces = [
        f'<span class="{html.escape(name)}">{html.escape(text)}</span>' if name else html.escape(text)
        for name, text in code
    ]
    return Markup("".join(pieces))  # noqa: S704  all of it is escaped


def cell(value: Any) -> str:
    """Write a value of a table: numbers in short form, everything else as it prints."""
    if isinstance(value, float):
        return format_number(value)
    return ", ".join(map(cell, value)) if isinstance(value, list | tuple) else str(value)


def settings(parameters: Mapping[str, Any]) -> str:
    """Write parameters on one line."""
    return ", ".join(f"{name} = {cell(value)}" for name, value in parameters.items())


@cache
def _markdown() -> MarkdownIt:
    """Make a parser that knows code and formulas, and leaves all else as it is."""
    return (
        MarkdownIt("zero")
        .enable(["backticks", "escape"])
        .use(
            dollarmath_plugin,
            allow_labels=False,
            allow_space=True,
            allow_digits=True,
            allow_blank_lines=True,
            double_inline=True,
            renderer=lambda latex, _: str(formula(latex)),
        )
    )


def _join_words(element: ElementTree.Element) -> None:
    """Join upright letters in a row into one identifier: a word, which is upright by itself."""
    word: ElementTree.Element | None = None
    for child in list(element):
        is_upright = child.tag == "mi" and child.get("mathvariant") == "normal"
        if is_upright and word is not None:
            word.text = f"{word.text}{child.text}"
            word.attrib.pop("mathvariant", None)
            element.remove(child)
        else:
            word = child if is_upright else None


def _paragraph(block: str) -> Markup:
    lines = block.splitlines()
    if any(line.startswith(" ") for line in lines):
        return Markup("<pre>{}</pre>").format(block)
    return Markup("<p>{}</p>").format(prose(" ".join(lines)))
