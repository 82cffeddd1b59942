"""Reading report.html back with the standard library's parser."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Every element with its attributes and text, and the tables as cells of the English text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, list[str]] = {}
        self.tables: list[list[list[str]]] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.elements.append((tag, values))
        if tag not in VOID:
            self._open.append((tag, values))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        if not self._open:
            return
        self.text.setdefault(self._open[-1][0], []).append(data)
        inside = [tag for tag, _ in self._open]
        hidden = any(values.get("class") == "ar" for _, values in self._open)
        if self.tables and ("td" in inside or "th" in inside) and not hidden:
            self.tables[-1][-1][-1] += data

    def table(self, first: str, *others: str) -> list[list[str]]:
        """The first table whose heading begins with some cells."""
        return next(table for table in self.tables if table[0][: 1 + len(others)] == [first, *others])
