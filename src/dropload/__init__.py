"""dropload: a drop folder in front of a database."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("dropload")
except PackageNotFoundError:
    # setup_directories.py and the tests run from a checkout that was never installed.
    __version__ = "0+unknown"
