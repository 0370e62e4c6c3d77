"""dropload for Python programs: see docs/python-api.md."""

from dropload.api.asynchronous import AsyncReferenceDataAPI
from dropload.api.results import Error, Failure, Result, Success
from dropload.api.synchronous import ReferenceDataAPI

__all__ = [
    "AsyncReferenceDataAPI",
    "Error",
    "Failure",
    "ReferenceDataAPI",
    "Result",
    "Success",
]
