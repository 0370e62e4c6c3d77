"""Make what is missing of the drop tree where that may be done, and say why it is not made."""

from dropload.dock import Dock, check_tree_new
from dropload.durable import path_text
from dropload.errors import ConfigError, DroploadError
from dropload.folders import DropTree
from dropload.logs import get_logger


class TreeMaker:
    """Makes the tree when it is asked to, and says once what hinders it."""

    def __init__(self) -> None:
        self.problem = ""
        """Why the tree is not whole; empty when it is."""
        self._log = get_logger()

    def make(self, dock: Dock, *, has_database: bool) -> None:
        """Make what is missing of the tree, unless it is a share that is not mounted yet.

        Then the scan says so until it is there.
        """
        try:
            self._make(dock, has_database=has_database)
        except (OSError, DroploadError) as exc:
            reason = _explain_refusal(exc) if isinstance(exc, OSError) else str(exc)
            if reason != self.problem:
                self._log.error("tree_not_made", reason=reason)
            self.problem = reason
        else:
            self.problem = ""

    def _make(self, dock: Dock, *, has_database: bool) -> None:
        if has_database:
            check_tree_new(dock)
        else:
            _check_mounted(dock.tree)
        dock.tree.create()
        dock.config.state_folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for problem in dock.tree.check():
            self._log.error("folder_unusable", problem=problem.message)


def _check_mounted(tree: DropTree) -> None:
    """Raise ConfigError where the tree may be a mount point on which nothing is mounted."""
    # It stands there also when nothing is mounted on it.
    if tree.root.is_dir() and not any(inbox.path.is_dir() for inbox in tree.inboxes):
        raise ConfigError(
            f"{tree.root} is empty; the database, which would tell whether it always was, is away.",
            hint="Mount the share that it is on, or wait for the database.",
            code="tree",
        )


def _explain_refusal(error: OSError) -> str:
    """Return which folder the system refuses to make, and what to do."""
    return (
        f"The folder {path_text(error.filename or '')} cannot be made: {error.strerror}. Give the "
        "service's user the right to write there, or name another in [paths]."
    )
