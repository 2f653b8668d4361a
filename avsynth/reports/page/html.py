"""Sections -> one HTML page that needs nothing else, and its twin in Markdown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from avsynth.reports.page.tables import NOTHING, Cell, Measured, Printed, Table, cell_text
from avsynth.reports.sections import Section


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page."""

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    """Figures under the title: value, what it counts."""
    sections: tuple[Section, ...]
    words: tuple[tuple[str, str], ...] = ()
    """What the words of the tables mean."""
    foot: str = ""


def page_html(page: Page) -> str:
    """Render a page as one HTML file: styles, figures, pictures and sounds are inside."""
    from jinja2 import Environment

    source = files("avsynth.resources").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["sub"] = _with_subscripts
    environment.globals.update(kind_of=_kind_of, numeric_columns=_numeric_columns)
    return environment.from_string(source).render(
        title=page.title,
        lead=page.lead,
        facts=page.facts,
        sections=page.sections,
        words=page.words,
        foot=page.foot,
    )


def page_markdown(page: Page) -> str:
    """Render a page as Markdown: the tables and the words, without pictures and sounds."""
    parts = [f"# {page.title}", page.lead]
    parts.append("\n".join(f"- {name}: {value}" for value, name in page.facts))
    if page.words:
        parts.append("\n".join(f"- **{word}**: {meaning}" for word, meaning in page.words))
    for section in page.sections:
        parts += [f"## {section.title}", section.lead]
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
    return "\n\n".join([*parts, page.foot]).rstrip() + "\n"


def _with_subscripts(text: str) -> str:
    """Set M_J and M_F as the papers do, and let long names break after an underscore."""
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
    if isinstance(cell, Measured):
        return "measured"
    if isinstance(cell, Printed):
        return "printed"
    return "number" if isinstance(cell, int) else "text"


def _numeric_columns(table: Table) -> list[bool]:
    """Tell which columns hold numbers: they are set to the right."""
    return [
        any(not isinstance(row[place], str) for row in table.rows)
        or (bool(table.rows) and all(row[place] == NOTHING for row in table.rows))
        for place in range(len(table.columns))
    ]
