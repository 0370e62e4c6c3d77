"""The command that tells how fast loads are: stats."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.console import Console
from rich.text import Text

from dropload.cli import output
from dropload.cli.history import read_since_option
from dropload.cli.session import Session, json_option, pass_session
from dropload.comparison import say_seconds
from dropload.load_stats import Percentiles, StepStats, TableStats, TrendPoint, collect_stats
from dropload.looking_back import Since
from dropload.reports import count_of

_BLOCKS = "▁▂▃▄▅▆▇█"
_BAR_WIDTH = 20


@click.command(short_help="Tell how fast loads are, and which were unusual.")
@click.argument("table", required=False)
@click.option("--table", "named", metavar="TABLE", help="The same as the argument.")
@click.option(
    "--since",
    callback=read_since_option,
    default="30d",
    show_default=True,
    help="Only since then: 12h, 7d, 2w ago or 2026-11-20.",
)
@json_option
@pass_session
def stats(
    session: Session, table: str | None, named: str | None, since: Since, as_json: bool
) -> None:
    """Tell how fast loads are, table by table; all about one TABLE (`name` or `schema.name`).

    Counts loads that brought their rows. Of one table: what each step costs, the trend, the loads
    that took far longer than usual or brought far more or fewer rows, with what was different, and
    what follows from the figures. Usual is the median of the 30 loads of the same type before;
    far is beyond 3.5 median absolute deviations, and at least twice or half.

    All times are UTC. With --json: one object a line, for each table and load type.
    """
    if table and named and table != named:
        raise click.UsageError("Name one table: as the argument, or by --table.")
    found = collect_stats(session.prepared_dock, table or named, since)
    if as_json:
        for one in found:
            output.print_json(asdict(one))
    elif not found:
        click.echo(
            f"No loads of {table or named} in that time."
            if table or named
            else "No loads in that time."
        )
    elif table or named:
        for one in found:
            _print_table_stats(one)
    else:
        output.print_listing(_overview(found))


def _overview(found: Sequence[TableStats]) -> output.Listing:
    columns = (
        *("table", "type", "loads", "rows", "rows/s", "median", "95 %", "longest"),
        *("unusual", "trend"),
    )
    cells = [
        (
            one.table,
            one.load_type,
            one.loads,
            one.rows,
            _rounded(one.rows_per_second),
            *_times(one.seconds),
            one.unusual_count,
            _trend_of([point.seconds for point in one.trend]),
        )
        for one in found
    ]
    return output.Listing(columns, cells, one_line=True, spared=("type", "rows", "95 %", "longest"))


def _times(seconds: Percentiles | None) -> tuple[str, ...]:
    if seconds is None:
        return ("", "", "")
    return tuple(map(say_seconds, (seconds.median, seconds.p95, seconds.longest)))


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


# --- one table -------------------------------------------------------------------------------


def _print_table_stats(one: TableStats) -> None:
    click.echo(f"{one.table}, {one.load_type}: {count_of(one.loads, 'load')}, {_period(one)}")
    click.echo(f"  rows        {one.rows:,}, {_spread(one.rows_by_load)} a load")
    if one.seconds is not None:
        spread = "median {}, 90 % {}, 95 % {}, longest {}".format(
            *map(say_seconds, (one.seconds.median, one.seconds.p90, one.seconds.p95)),
            say_seconds(one.seconds.longest),
        )
        click.echo(f"  time        {spread}")
    if one.rows_per_second is not None and one.bytes_per_second is not None:
        speed = f"{one.rows_per_second:,.0f} rows/s, {one.bytes_per_second / 1e3:,.1f} kB/s"
        click.echo(f"  throughput  {speed}, over {say_seconds(one.busy_seconds)} of loading")
    if one.retried_loads:
        click.echo(f"  retries     in {count_of(one.retried_loads, 'load')} a step was done again")
    _print_trend(one.trend)
    _print_steps(one.steps)
    _print_unusual(one)
    for line in one.advice:
        _print_wrapped(line)
    click.echo()


def _period(one: TableStats) -> str:
    first, last = f"{one.first_at:%Y-%m-%d %H:%M}", f"{one.last_at:%Y-%m-%d %H:%M}"
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def _spread(rows: Percentiles) -> str:
    return f"median {rows.median:,.0f}, 95 % {rows.p95:,.0f}, most {rows.longest:,.0f}"


def _print_trend(trend: Sequence[TrendPoint]) -> None:
    times = [point.seconds for point in trend if point.seconds is not None]
    if len(times) < 2:
        return
    ends = f"  {say_seconds(times[0])} first, {say_seconds(times[-1])} last"
    click.echo(f"  time trend  {_trend_of([point.seconds for point in trend])}{ends}")
    click.echo(f"  rows trend  {_trend_of([point.rows or None for point in trend])}")


def _print_steps(steps: Sequence[StepStats]) -> None:
    if not steps:
        return
    rows = [(one.step, _share(one.share), *_times(one.seconds)) for one in steps]
    output.print_table(("step", "of the time", "median", "95 %", "longest"), rows)


def _share(share: float) -> str:
    bar = " " + "█" * round(share * _BAR_WIDTH) if _is_drawn() else ""
    return f"{share:4.0%}{bar}" if bar else f"{share:.0%}"


def _print_unusual(one: TableStats) -> None:
    if not one.unusual:
        return
    shown = len(one.unusual)
    which = f", the last {shown}" if shown < one.unusual_count else ""
    click.echo(f"  {one.unusual_count:,} unusual{which}:")
    for load in one.unusual:
        _print_wrapped(f"load {load.load_id} of {load.file_name}: {load.text}.", indent=4)


def _print_wrapped(text: str, indent: int = 2) -> None:
    if not output.is_terminal():
        click.echo(f"{' ' * indent}{text}")
        return
    console = Console()
    for number, line in enumerate(Text(text).wrap(console, console.width - indent - 2)):
        console.print(" " * (indent + (2 if number else 0)), line, sep="", soft_wrap=True)


# --- trends ----------------------------------------------------------------------------------


def _is_drawn() -> bool:
    """Return whether somebody looks whose terminal has the characters."""
    return output.is_terminal() and (sys.stdout.encoding or "").lower().startswith("utf")


def _trend_of(values: Sequence[float | None]) -> str:
    """Return values as a line of blocks on a terminal, else as numbers; gaps stay gaps."""
    if not _is_drawn():
        return ",".join("" if value is None else f"{value:.3g}" for value in values)
    return sparkline(values)


def sparkline(values: Sequence[float | None]) -> str:
    """Return a block for each value, as high as it is between 0 and the highest."""
    highest = max((value for value in values if value is not None), default=0.0)
    return "".join(" " if value is None else _block(value, highest) for value in values)


def _block(value: float, highest: float) -> str:
    place = int(value / highest * len(_BLOCKS)) if highest else 0
    return _BLOCKS[min(place, len(_BLOCKS) - 1)]


COMMANDS: tuple[click.Command, ...] = (stats,)
