"""What a page of a report consists of."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page consists of and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.loads: list[str] = []

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input", "base"})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            loading = name.rpartition(":")[2] in ("src", "href", "srcset", "data", "action")
            if loading and not (value or "#").startswith(("#", "data:")):
                self.loads.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    return page
