"""What every section of the configuration is made of."""

from datetime import time
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(ge=1)]
Days = Annotated[int, Field(ge=1, le=36_500)]


def _refuse_empty(path: Any) -> Any:
    if path == "":
        raise ValueError("it is empty: name a path, or leave the key out")
    return path


NamedPath = Annotated[Path, BeforeValidator(_refuse_empty)]
"""A path that is named; an empty one would be the folder in which the service happens to start."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _read_time(said: Any) -> Any:
    if isinstance(said, time):
        return said
    try:
        hour, minute = str(said).split(":")
        return time(int(hour), int(minute))
    except ValueError:
        raise ValueError('write a time of day as HH:MM, for example "07:00"') from None


def _check_zone(name: str) -> str:
    if not name:
        return name
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        if not available_timezones():
            raise ValueError("this machine knows no time zones: install tzdata") from None
        raise ValueError('write the name of a time zone, for example "Europe/Berlin"') from None
    return name


TimeOfDay = Annotated[time, BeforeValidator(_read_time)]
ZoneName = Annotated[str, AfterValidator(_check_zone)]
"""Empty: the machine's own zone."""
EntryName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Of a table that people name themselves: lower case, as in the environment."""
