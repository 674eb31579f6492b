"""What `make site` changes of the pages of docs/, as hooks of MkDocs (see mkdocs.yml).

A link to a file of the repository, which the site does not have, becomes the name of that file. Beside the pages stands
`llms.txt` (llmstxt.org), with a line for each of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)\)")


def on_page_markdown(markdown: str, **context: Any) -> str:
    """A page without links that lead out of docs/."""
    return _OUTSIDE.sub(lambda found: f"{found[1]} (`{found[2]}` in the repository)", markdown)


def on_post_build(config: Any, **context: Any) -> None:
    """Write llms.txt into the site."""
    pages = re.findall(r"([\w-]+\.md)", (Path(config.config_file_path)).read_text().partition("\nnav:")[2])
    site, docs = Path(config.site_dir), Path(config.docs_dir)
    (site / "llms.txt").write_text(overview(docs, pages), "utf-8")


def overview(docs: Path, pages: list[str]) -> str:
    """The pages in the form of llms.txt: title, summary, and a link with its first sentence for each."""
    lines = []
    for page in pages:
        title, summary = _beginning((docs / page).read_text("utf-8"))
        link = page.replace(".md", ".html")
        lines.append(f"# {title}\n\n> {summary}\n" if page == pages[0] else f"- [{title}]({link}): {summary}")
    return "\n".join(lines) + "\n"


def _beginning(text: str) -> tuple[str, str]:
    """The title of a page, and the first sentence after it, as plain text."""
    title, _, rest = text.removeprefix("# ").partition("\n")
    for block in rest.split("\n\n"):
        plain = " ".join(re.sub(r"\[([^\]]+)\]\([^)]*\)|[*`]", r"\1", block).split())
        if plain and plain[0] not in "<#|!":
            return title, re.split(r"(?<=[.]) ", plain)[0].rstrip(":")
    raise ValueError(f"the page {title!r} has no sentence")
