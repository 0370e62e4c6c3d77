"""The commands that explain: help (commands, error codes, topics), completion."""

import difflib
import os
import shlex

import click
from click.shell_completion import get_completion_class

from dropload.error_codes import CONDITIONS, WHO, Condition, find_condition, render_conditions
from dropload.errors import RefusedError
from dropload.resources import resource_folder

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_DROPLOAD_COMPLETE"
"""What click looks for when a shell asks what could come next."""


def _all_conditions() -> str:
    return "\n".join(render_conditions())


def _configuration() -> str:
    return (resource_folder("config") / "dropload.toml").read_text(encoding="utf-8").rstrip()


def _codes() -> str:
    return "\n".join(f"{one.code}  {one.title}" for one in CONDITIONS)


TOPICS = {
    "codes": ("every error code, a line each", _codes),
    "errors": ("every error code with cause and cure, as docs/errors.md", _all_conditions),
    "configuration": ("every key with its default, as config/dropload.toml", _configuration),
}


@click.command("help", short_help="Explain a command, an error code (DL-301) or a topic.")
@click.argument("topic", nargs=-1)
@click.pass_context
def explain(context: click.Context, topic: tuple[str, ...]) -> None:
    """Explain TOPIC: a command (`undo`, `config show`), an error code (`DL-301`), or one of

    \b
      codes          every error code, a line each
      errors         every error code with cause and cure, as docs/errors.md
      configuration  every key with its default, as config/dropload.toml

    Without TOPIC: what dropload is, and its commands.
    """  # noqa: D301, D400, D415 - click knows a paragraph that keeps its lines by this character
    click.echo(_find_text(context.find_root(), topic))


def _find_text(root: click.Context, topic: tuple[str, ...]) -> str:
    """Return what there is to say about a topic; raise RefusedError where there is nothing."""
    found = _help_of(root, topic)
    if found is not None:
        return found
    said = " ".join(topic)
    if said in TOPICS:
        return TOPICS[said][1]()
    condition = find_condition(said)
    if condition is not None:
        return _describe(condition)
    commands = root.command.list_commands(root) if isinstance(root.command, click.Group) else []
    known = [*commands, *TOPICS, *(one.code for one in CONDITIONS)]
    nearest = difflib.get_close_matches(said.upper() if "-" in said else said, known, 1)
    hint = "`dropload help` lists the commands, `dropload help codes` the error codes."
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
