"""The documents whose claims are checked, how a claim names its places there, and what the literature reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DOCUMENTS = {
    "cheatsheet": "Deep Learning Cheat Sheet, January 2026",
    "notes": "Haocheng Dai, Note on Machine Learning",
    "lectures": "Christian Rossi, Artificial Neural Networks and Deep Learning, academic year 2024-2025",
}


@dataclass(frozen=True)
class Source:
    """A place in a document.

    Attributes:
        document: Key of ``DOCUMENTS``, or the title of a document of the user's own.
        section: Section, definition or remark, as the document numbers it.
        parts: Parts of the statement that stand there; empty where all of it does.
    """

    document: str
    section: str
    parts: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Full title of the document."""
        return DOCUMENTS.get(self.document, self.document)

    def says(self, part: str) -> bool:
        """Tell whether a part of the statement stands there."""
        return not self.parts or part in self.parts

    def __str__(self) -> str:
        return f"{self.document} {self.section}"


@dataclass(frozen=True)
class Reported:
    """A number that the literature reports, to stand beside ours in the same unit.

    Attributes:
        value: Number as it is printed, with its unit.
        measure: What was measured, in words.
        setting: Data and models of the source.
        place: Source with its table, figure or section.
    """

    value: str
    measure: str
    setting: str
    place: str


def cheatsheet(section: str, parts: Sequence[str] = ()) -> Source:
    """Name a section of the cheat sheet, and the parts of the statement that stand there."""
    return Source("cheatsheet", section, tuple(parts))


def notes(section: str, parts: Sequence[str] = ()) -> Source:
    """Name a definition or remark of the notes, and the parts of the statement that stand there."""
    return Source("notes", section, tuple(parts))


def lectures(section: str, parts: Sequence[str] = ()) -> Source:
    """Name a section of the lectures, and the parts of the statement that stand there."""
    return Source("lectures", section, tuple(parts))
