"""What the documents say of a topic, and the document that is made of the commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from textwrap import dedent
from xml.sax.saxutils import unescape

import click

from dropload.resources import resource_folder

_COMMANDS_HEAD = """\
# Commands

Every command with its options, as `dropload COMMAND --help` says it; `dropload help commands`
prints this page. What each answers under `--json` is in [json.md](json.md). `--config FILE` stands
before the command: `dropload --config /etc/dropload/dropload.toml status`. Exit status: 0 done;
1 refused or failed, and said why; 2 wrong usage; `health` has its own.
"""
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
_NAME = re.compile(r"`([^`\"]+)`")
_PARAGRAPH = re.compile(r"\n\s*\n")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_EXAMPLE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"^\d+\. ")
_NAME_OF_YOURS = "NAME"
"""Stands in a key for the name that whoever configures chooses."""
_WITHOUT_HEADINGS = ("commands", "errors")
"""Pages whose headings are topics by themselves: commands, error codes."""
_KEPT_LINES = "\b"
"""With it click marks a paragraph that keeps its lines."""


def page_names() -> list[str]:
    """Return the names by which whole pages are asked for: `operators`, `runbook`."""
    paths = resource_folder("docs").glob("*.md")
    return sorted(path.stem for path in paths if path.stem != "README")


def read_page(name: str) -> str:
    """Return the text of a page."""
    return (resource_folder("docs") / f"{name}.md").read_text(encoding="utf-8").rstrip()


def find_topic(topic: str) -> str | None:
    """Return what the documents say of a topic in Markdown, None where it is nothing of theirs.

    A page; an alert, a check of `health` or a notification (its section of the runbook); a section
    or a key of the configuration; a metric; a heading of a page.
    """
    page = read_page(topic) if topic in page_names() else _find_by_name(topic)
    text = page or _find_key(topic) or _find_metric(topic) or _find_heading(topic)
    return _without_links(_PICTURE.sub(_in_words, text)) if text else None


def _find_by_name(topic: str) -> str:
    """Return what to do and what can be set: `database` is a check, and a section, too."""
    found = (_find_in_runbook(topic), _find_config_section(topic))
    return "\n\n".join(text for text in found if text is not None)


def _in_words(picture: re.Match[str]) -> str:
    """Return what a picture of the terminal shows, as text."""
    drawn = (resource_folder("docs") / picture[1]).read_text(encoding="utf-8")
    said = re.search(r"<desc>\n(.*?)\n</desc>", drawn, re.DOTALL)
    return f"```text\n{unescape(said[1])}\n```" if said else ""


def _without_links(text: str) -> str:
    """Return a text without links into other pages, which lead nowhere on a terminal."""
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)\s]+\)", r"\1", text)


def named_topics() -> Iterator[str]:
    """Yield every name that `find_topic` knows."""
    yield from page_names()
    for row in _rows(read_page("runbook")):
        yield from re.findall(_NAME, " ".join(row.cells[:-1])) if row.section else ()
    for page in ("configuration", "monitoring"):
        for row in _rows(read_page(page)):
            yield from row.names if row.is_described else ()
    for _, heading in _all_headings():
        yield _plain(heading[2])


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a table whose first cell names something."""

    cells: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Return what stands in backticks in the first cell."""
        return re.findall(_NAME, self.cells[0])

    @property
    def section(self) -> str:
        """Return the section that the last cell links to; empty where it links to none."""
        linked = re.match(r"\[(.+)\]\(#", self.cells[-1])
        return linked[1] if linked else ""

    @property
    def is_described(self) -> bool:
        """Return whether it is a key or a metric: with kind, values and meaning."""
        return len(self.cells) == 4


def _rows(page: str) -> Iterator[_Row]:
    for line in page.splitlines():
        if line.startswith("| "):
            yield _Row(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]))


def _find_in_runbook(topic: str) -> str | None:
    """Return the section for an alert, a check or a notification, which its index names."""
    page = read_page("runbook")
    for row in _rows(page):
        if row.section and f"`{topic}`" in " ".join(row.cells[:-1]):
            return _section(page, row.section)
    return None


def _section(page: str, title: str) -> str | None:
    """Return a heading with what stands below it, as far as the next one of its rank."""
    headings = _headings(page)
    for place, heading in enumerate(headings):
        if heading[2] == title:
            after = (one for one in headings[place + 1 :] if len(one[1]) <= len(heading[1]))
            end = next((one.start() for one in after), len(page))
            return page[heading.start() : end].rstrip()
    return None


def _headings(page: str) -> list[re.Match[str]]:
    """Return the headings of a page; `# systemctl` in an example is none."""
    examples = [range(*example.span()) for example in _EXAMPLE.finditer(page)]
    return [
        heading
        for heading in _HEADING.finditer(page)
        if not any(heading.start() in example for example in examples)
    ]


def _find_config_section(topic: str) -> str | None:
    return _section(read_page("configuration"), f"[{topic}]")


def _find_heading(topic: str) -> str | None:
    """Return the sections of that heading, however its letters are; of several pages all."""
    found = [
        f"{_section(read_page(name), heading[2])}\n\nMore: `dropload help {name}`."
        for name, heading in _all_headings()
        if _plain(heading[2]).casefold() == _plain(topic).casefold()
    ]
    return "\n\n".join(found) or None


def _all_headings() -> Iterator[tuple[str, re.Match[str]]]:
    """Yield the headings of all pages, each with its page's name."""
    for name in page_names():
        if name not in _WITHOUT_HEADINGS:
            yield from ((name, heading) for heading in _headings(read_page(name)))


def _plain(heading: str) -> str:
    """Return a heading as people type it: without its number, without brackets and backticks."""
    return _NUMBER.sub("", heading).replace("`", "").strip("[]")


def _is_named(topic: str, key: str) -> bool:
    """Return whether a topic is a key, of which a part may be a name that somebody chose."""
    said, parts = topic.split("."), key.split(".")
    return len(said) == len(parts) and all(
        part in (word, _NAME_OF_YOURS) for word, part in zip(said, parts, strict=True)
    )


def _find_key(topic: str) -> str | None:
    for row in _rows(read_page("configuration")):
        if row.is_described and any(_is_named(topic, name) for name in row.names):
            _, default, values, meaning = row.cells
            variable = f"DROPLOAD_{topic.replace('.', '__').upper()}"
            return (
                f"# {topic}\n\n{meaning}.\n\n- Value: {values}\n- Default: {default}\n"
                f"- In the environment: `{variable}`\n\n"
                "In force: `dropload config show`. All keys: `dropload help configuration`."
            )
    return None


def _find_metric(topic: str) -> str | None:
    for row in _rows(read_page("monitoring")):
        if topic in row.names and row.is_described:
            _, kind, labels, meaning = row.cells
            by = f" by {labels}" if labels else ""
            return f"# {topic}\n\n{meaning}.\n\nA {kind}{by}. More: `dropload help monitoring`."
    return None


# --- the page of the commands ------------------------------------------------------------------


def describe_commands(root: click.Context) -> str:
    """Return docs/commands.md: every command with its text and options."""
    parts = [_COMMANDS_HEAD]
    for context in _commands(root):
        parts += _describe_command(context)
    return "\n".join(parts).rstrip()


def _commands(above: click.Context) -> Iterator[click.Context]:
    """Yield the context of every command that does something, in the order of their names."""
    group = above.command
    if not isinstance(group, click.Group):
        yield above
        return
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is not None:
            yield from _commands(click.Context(command, parent=above, info_name=name))


def _describe_command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## {context.command_path}\n"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```\n"
    yield from map(_as_markdown, _PARAGRAPH.split(cleandoc(command.help or "")))
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    described = [
        option.get_help_record(context) for option in options if "--help" not in option.opts
    ]
    rows = [[text.replace("|", "\\|") for text in record] for record in described if record]
    if rows:
        yield "| option | what for |\n|---|---|"
        yield from (f"| `{names}` | {words} |" for names, words in rows)
        yield ""


def _as_markdown(paragraph: str) -> str:
    if paragraph.startswith(_KEPT_LINES):
        kept = dedent(paragraph.removeprefix(_KEPT_LINES).strip("\n"))
        return f"```text\n{kept}\n```\n"
    return f"{paragraph}\n"
