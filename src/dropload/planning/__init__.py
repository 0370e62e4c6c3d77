"""What a load will do, decided before anything is written."""

from dropload.planning.columns import find_checks
from dropload.planning.plan import make_plan
from dropload.planning.request import Questions, Request

__all__ = ["Questions", "Request", "find_checks", "make_plan"]
