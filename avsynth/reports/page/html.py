"""Sections -> one self-contained HTML page, and the same page in Markdown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from avsynth.reports.page.tables import NOTHING, Cell, EstimateCell, PublishedCell, Table, cell_text
from avsynth.reports.sections import Section


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page."""

    title: str
    intro: str
    facts: tuple[tuple[str, str], ...]
    """Figures under the title: a count and its noun."""
    sections: tuple[Section, ...]
    glossary: tuple[tuple[str, str], ...] = ()
    """The terms of the tables, each with its meaning."""
    footer: str = ""


def page_html(page: Page) -> str:
    """Render a page as one HTML file: styles, figures, images and audio are embedded."""
    from jinja2 import Environment

    source = files("avsynth.resources").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["sub"] = _with_subscripts
    environment.globals.update(kind_of=_kind_of, numeric_columns=_numeric_columns)
    return environment.from_string(source).render(
        title=page.title,
        intro=page.intro,
        facts=page.facts,
        sections=page.sections,
        glossary=page.glossary,
        footer=page.footer,
    )


def page_markdown(page: Page) -> str:
    """Render a page as Markdown: tables and text, without images and audio."""
    parts = [f"# {page.title}", page.intro]
    parts.append("\n".join(f"- {name}: {value}" for value, name in page.facts))
    if page.glossary:
        parts.append("\n".join(f"- **{word}**: {meaning}" for word, meaning in page.glossary))
    for section in page.sections:
        parts += [f"## {section.title}", section.intro]
        if section.missing:
            parts.append(f"> {section.missing}")
        for table in section.tables:
            parts += [f"### {table.caption}", _markdown_table(table)]
            if table.note:
                parts.append(table.note)
        for figure in section.figures:
            parts.append(f"Figure (in the HTML page): {figure.alt}")
        for group in section.cards:
            parts.append(f"### {group.title}")
            parts += [f"> {group.missing}"] if group.missing else []
            listed = "\n".join(f"- {card.title}: {card.remark}" for card in group.cards)
            parts += [listed] if listed else []
    text = "\n\n".join([*parts, page.footer]).rstrip() + "\n"
    return text.replace("<", "&lt;")  # A name from outside may hold HTML, which Markdown renders.


def _with_subscripts(text: str) -> str:
    """Write M_J and M_F with subscripts, and let long names break after an underscore."""
    from markupsafe import Markup, escape

    set_ = re.sub(r"\bM_([JF])\b", r"M<sub>\1</sub>", str(escape(text)))
    return Markup(re.sub(r"(?<=\w)_(?=\w)", "_<wbr>", set_))


def _markdown_table(table: Table) -> str:
    heads = [column.title for column in table.columns]
    rules = ["---:" if numeric else "---" for numeric in _numeric_columns(table)]
    rows = [[cell_text(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(_plain(row)) + " |" for row in [heads, rules, *rows])


def _plain(row: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in row]


def _kind_of(cell: Cell) -> str:
    if isinstance(cell, EstimateCell):
        return "estimate"
    if isinstance(cell, PublishedCell):
        return "published"
    return "number" if isinstance(cell, int) else "text"


def _numeric_columns(table: Table) -> list[bool]:
    """Return for each column whether it holds numbers: those are aligned right."""
    return [
        any(not isinstance(row[place], str) for row in table.rows)
        or (bool(table.rows) and all(row[place] == NOTHING for row in table.rows))
        for place in range(len(table.columns))
    ]
