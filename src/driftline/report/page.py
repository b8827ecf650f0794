"""A page: the verdict first, then what it rests on; one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from driftline.errors import DriftlineError
from driftline.report.words import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Tone: TypeAlias = Literal["good", "warn", "bad", "none"]
"""As expected, a ticket's worth, somebody is needed now, cannot be told."""


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for some numbers of the page, so that they can be asked for again."""

    about: str
    expr: str
    when: str


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a colour; the word alone says it, too."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Column:
    """The heading of a table's column; numbers stand to the right, moments on one line."""

    heading: str
    number: bool = False
    moment: bool = False

    @property
    def style(self) -> str:
        """The class of its cells."""
        return "number" if self.number else "moment" if self.moment else "text"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts, already written for people, and of badges; a column of nothing is not shown."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Badge]]

    @property
    def shown(self) -> list[int]:
        """The places of the columns that have something in them."""
        return [place for place in range(len(self.columns)) if any(row[place] for row in self.rows)]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing, and in words what it shows."""

    title: str
    about: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, sentences, a table, drawings, and the queries behind all of them."""

    title: str
    says: Sequence[str] = ()
    table: Table | None = None
    figures: Sequence[Figure] = ()
    queries: Sequence[Query] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says.

    Attributes:
        title: What it is about.
        facts: What it is made from: name and text.
        tone: The verdict's colour.
        verdict: The verdict, in one sentence.
        says: What it rests on, a sentence each.
        sections: The rest.
        notes: How it is to be read.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    tone: Tone
    verdict: str
    says: Sequence[str]
    sections: Sequence[Section]
    notes: Sequence[str] = field(default_factory=tuple)


def render(page: Page) -> str:
    """Return the HTML of *page*."""
    environment = Environment(
        loader=PackageLoader("driftline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(page=page, version=version("driftline"))


def save(page: Page, path: Path) -> None:
    """Write the HTML of *page*.

    Raises:
        DriftlineError: It cannot be written.
    """
    try:
        path.write_text(render(page), encoding="utf-8")
    except OSError as error:
        raise DriftlineError(f"{path} cannot be written: {error.strerror}") from error


def _visible(value: Any) -> Any:
    """Return what is written for *value*: drawings as they are, all else made visible and then escaped."""
    return value if isinstance(value, Markup) else visible(str(value))
