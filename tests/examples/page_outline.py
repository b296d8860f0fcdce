# SPDX-License-Identifier: Apache-2.0
"""A page's tags, attributes and words, as a test looks at them.

PageOutline(page).text                        # all tags are closed, in their order
PageOutline(page, never_closed=("meta",))     # but for these
"""

from html.parser import HTMLParser


class PageOutline(HTMLParser):
    """Checks that tags are closed in order; keeps words and attributes."""

    def __init__(self, page: str, never_closed: tuple[str, ...] = ("meta",)) -> None:
        super().__init__()
        self.never_closed = never_closed
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attributes]
        if tag not in self.never_closed:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())
