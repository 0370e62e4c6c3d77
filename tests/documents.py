"""The documents as tests read them: pages, headings, links, examples."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from dropload.cli.app import dropload

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_RUNS_OTHERS = ("sudo", "docker")
_OURS = ("dropload", "dropload-as")
_PLACEHOLDERS = {"LOAD_ID": "1", "LOAD": "1", "ID": "1", "COMMAND": "status", "SHELL": "bash"}


@dataclass(frozen=True, slots=True)
class Block:
    """An example between fences."""

    page: Path
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}: {self.text.strip().splitlines()[0][:60]}"


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(*languages: str) -> list[Block]:
    """Return every example in one of these languages, without the blanks that it is set in by."""
    found = []
    for page in PAGES:
        for indent, language, text in _BLOCK.findall(read(page)):
            lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
            found.append(Block(page, language, "".join(lines)))
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """Return a page without its examples."""
    return _BLOCK.sub("", read(page))


def anchors(page: Path) -> set[str]:
    """Return what links may name in a page, as GitHub makes it of the headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = sum(re.fullmatch(rf"{re.escape(plain)}(-\d+)?", one) is not None for one in found)
        found.add(f"{plain}-{number}" if number else plain)
    return found


def links(page: Path) -> list[str]:
    """Return where a page links to, inside of the project."""
    return [link for link in _LINK.findall(prose(page)) if not re.match(r"https?:|mailto:", link)]


def broken_link(page: Path, link: str) -> str | None:
    """Return what is wrong with a link, None where it leads somewhere."""
    path, _, anchor = link.partition("#")
    goal = (page.parent / path).resolve() if path else page
    if not goal.exists():
        return f"{page.name} links to {link}, which is not there"
    if anchor and goal.suffix == ".md" and anchor not in anchors(goal):
        return f"{page.name} links to {link}, and there is no such heading"
    return None


def table_rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of each table."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


# --- commands ------------------------------------------------------------------------------------


def typed_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every command that a console example shows being typed."""
    typed = ""
    for line in text.splitlines():
        if re.match(r"[$#] ", line) and not typed:
            typed = line[2:]
        elif typed:
            typed += f"\n{line}"
        else:
            continue  # an answer
        try:
            words = list(shlex.shlex(typed, posix=True, punctuation_chars=True))
        except ValueError:
            continue  # a quotation goes on in the next line
        yield from _split(words)
        typed = ""
    assert not typed, f"a quotation that never ends: {typed}"


def _split(words: list[str]) -> Iterator[list[str]]:
    """Yield the commands of a line, of which several may stand between `|`, `&&` and the like."""
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set("|&;()<>") and word:
            yield command
            command = []
        else:
            command.append(word)


def our_arguments(words: list[str]) -> list[str] | None:
    """Return what dropload is given by a command, None where it is another program's."""
    while words and re.match(r"[A-Z_0-9]+=", words[0]):
        words = words[1:]
    ours = [place for place, word in enumerate(words) if Path(word).name in _OURS]
    if not ours or (ours[0] != 0 and words[0] not in _RUNS_OTHERS):
        return None
    return [_PLACEHOLDERS.get(word, word) for word in words[ours[-1] + 1 :]]


def check_command(arguments: list[str], *, whole: bool = True) -> str | None:
    """Return what the command line says against these arguments, None where it understands them.

    A sentence may name a command without what it must be given (`whole` is false).
    """
    try:
        context = dropload.make_context("dropload", list(arguments), allow_interspersed_args=False)
        command: click.Command = dropload
        while isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, found, rest = command.resolve_command(context, rest)
            assert found is not None
            context, command = found.make_context(name, rest, parent=context), found
    except click.exceptions.Exit:
        return None  # --help and --version are answered at once
    except click.MissingParameter as exc:
        return f"dropload {' '.join(arguments)}: {exc.format_message()}" if whole else None
    except click.ClickException as exc:
        return f"dropload {' '.join(arguments)}: {exc.format_message()}"
    return None
