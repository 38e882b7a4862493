"""The documents whose claims are checked, and how a claim names its place in one."""

from __future__ import annotations

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
    """

    document: str
    section: str

    @property
    def title(self) -> str:
        """Full title of the document."""
        return DOCUMENTS.get(self.document, self.document)

    def __str__(self) -> str:
        return f"{self.document} {self.section}"


def cheatsheet(section: str) -> Source:
    """Name a section of the cheat sheet."""
    return Source("cheatsheet", section)


def notes(section: str) -> Source:
    """Name a definition or remark of the notes."""
    return Source("notes", section)


def lectures(section: str) -> Source:
    """Name a section of the lectures."""
    return Source("lectures", section)
