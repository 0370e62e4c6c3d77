"""The commands that explain: help (commands, error codes, whatever has a name), completion."""

import difflib
import os
import shlex
from collections.abc import Callable

import click
from click.shell_completion import get_completion_class
from rich.console import Console
from rich.markdown import Markdown

from dropload.cli.output import is_terminal
from dropload.cli.pages import describe_commands, find_topic, named_topics, page_names
from dropload.error_codes import CONDITIONS, WHO, Condition, find_condition, render_conditions
from dropload.errors import RefusedError
from dropload.resources import resource_folder

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_DROPLOAD_COMPLETE"
"""What click looks for when a shell asks what could come next."""


def _all_conditions(_root: click.Context) -> str:
    return "\n".join(render_conditions())


def _settings(_root: click.Context) -> str:
    return (resource_folder("config") / "dropload.toml").read_text(encoding="utf-8").rstrip()


def _codes(_root: click.Context) -> str:
    return "\n".join(f"{one.code}  {one.title}" for one in CONDITIONS)


def _topics(_root: click.Context) -> str:
    return "\n".join([*MADE, *page_names()])


MADE: dict[str, Callable[[click.Context], str]] = {
    "codes": _codes,
    "commands": describe_commands,
    "errors": _all_conditions,
    "settings": _settings,
    "topics": _topics,
}
"""Topics that are made of the program itself; the others are pages of docs/."""


@click.command("help", short_help="Explain a command, an error code (DL-301) or a topic.")
@click.argument("topic", nargs=-1)
@click.pass_context
def explain(context: click.Context, topic: tuple[str, ...]) -> None:
    """Explain TOPIC: whatever dropload has a name for, from the documents of this version.

    \b
      undo, config show           a command
      DL-310                      an error code, as it stands in a message or a report
      gate.checks, expected       a key, a section of the configuration
      DroploadSlow, late writers  an alert, a check of `health`, a notification: what to do
      dropload_inbox_files        a metric
      alerts, 'a file failed'     a heading of a page
      operators                   one page for who drops files
      database-owners             for the owner of the database
      administrators              for who runs the machine
      topics                      all pages, a line each
      codes                       every error code, a line each
      settings                    every key with its default, to be copied: config/dropload.toml

    Without TOPIC: what dropload is, and its commands.
    """  # noqa: D301 - click knows a paragraph that keeps its lines by this character
    root, said = context.find_root(), " ".join(topic)
    passage = find_topic(said) if said not in MADE else None
    found = _help_of(root, topic)
    if found is None and passage is not None:
        _print_passage(passage)
    else:
        click.echo(found if found is not None else _made_text(root, said))


def _print_passage(text: str) -> None:
    """Print Markdown: drawn on a terminal, as it is elsewhere."""
    if is_terminal():
        Console().print(Markdown(text))
    else:
        click.echo(text)


def _made_text(root: click.Context, said: str) -> str:
    """Return what the program itself says of a topic; raise RefusedError where that is nothing."""
    if said in MADE:
        return MADE[said](root)
    condition = find_condition(said)
    if condition is not None:
        return _describe(condition)
    commands = root.command.list_commands(root) if isinstance(root.command, click.Group) else []
    known = [*commands, *MADE, *named_topics(), *(one.code for one in CONDITIONS)]
    nearest = difflib.get_close_matches(said.upper() if said.startswith("dl-") else said, known, 1)
    hint = (
        "`dropload help` lists the commands, `dropload help topics` the pages, "
        "`dropload help codes` the error codes."
    )
    if nearest:
        hint = f"Did you mean {nearest[0]}? {hint}"
    raise RefusedError(f"There is no command, error code or topic {said!r}.", hint=hint)


def _help_of(root: click.Context, names: tuple[str, ...]) -> str | None:
    """Return the help of a command, None where there is no such command."""
    context = root
    for name in names:
        group = context.command
        command = group.get_command(context, name) if isinstance(group, click.Group) else None
        if command is None:
            return None
        context = click.Context(
            command,
            parent=context,
            info_name=name,
            terminal_width=root.terminal_width,
            max_content_width=root.max_content_width,
        )
    return context.get_help()


def _describe(condition: Condition) -> str:
    who = WHO[condition.code[3]].partition(":")[0]
    return (
        f"{condition.code}  {condition.title} ({condition.name})\n"
        f"  Who must act: {who}.\n"
        f"  Cause: {condition.cause}\n"
        f"  What to do: {condition.cure}"
    )


@click.command(short_help="Print what completes commands in a shell.")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script that has SHELL complete commands, options and files.

    Without SHELL it is that of $SHELL. For every user of the machine, or for you alone:

    \b
      dropload completion bash > /etc/bash_completion.d/dropload
      dropload completion zsh  > /usr/local/share/zsh/site-functions/_dropload
      dropload completion fish > ~/.config/fish/completions/dropload.fish
      eval "$(dropload completion bash)"          in ~/.bashrc
    """  # noqa: D301 - click knows a paragraph that keeps its lines by this character
    wanted = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - may be empty
    maker = get_completion_class(wanted) if wanted in SHELLS else None
    if maker is None:
        raise RefusedError(
            f"There is no completion for the shell {shlex.quote(wanted)}.",
            hint=f"Name one of {', '.join(SHELLS)}.",
        )
    made = maker(context.find_root().command, {}, "dropload", _VARIABLE)
    # Not source(): for bash that runs a bash to ask for its version, which need not be there.
    click.echo(made.source_template % made.source_vars())


COMMANDS: tuple[click.Command, ...] = (explain, completion)
