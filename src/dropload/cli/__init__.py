"""The command line: `dropload`, also `python -m dropload`."""

import os
import sys

import click

from dropload.cli.app import dropload
from dropload.errors import DroploadError
from dropload.hidden_pandas import hidden_pandas
from dropload.logs import get_logger, log_from_environment, mask_secrets


def main() -> None:
    """Run the command line; errors become one message and exit status 1, wrong usage 2."""
    try:
        with hidden_pandas():
            status = dropload.main(standalone_mode=False, prog_name="dropload")
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except DroploadError as exc:
        _say_error(exc)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; what is left must not be flushed again at exit.
        sys.stdout = None
        sys.exit(0)
    except Exception as exc:  # noqa: BLE001 - the last resort: never a traceback for the person
        log_from_environment(os.environ)
        get_logger().debug("internal_error", exc_info=exc)
        text = mask_secrets(f"{type(exc).__name__}: {exc}")
        click.echo(f"dropload: internal error: {text} [{DroploadError(text).dl_code}]", err=True)
        click.echo("See all of it with DROPLOAD_LOG__LEVEL=debug, and please report it.", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _say_error(error: DroploadError) -> None:
    click.echo(f"dropload: {mask_secrets(error.message)} [{error.dl_code}]", err=True)
    if error.hint:
        click.echo(f"  {error.advice}", err=True)
