"""Say what kind of file system a path is on, because some send no events and break locks."""

from pathlib import Path

NETWORK_TYPES = frozenset(
    {"9p", "afs", "ceph", "cifs", "coda", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3"}
    | {"smbfs", "virtiofs", "vboxsf", "drvfs", "fakeowner", "prl_fs", "fuse"}
)
"""Other machines write there, and inotify does not hear them."""

_MOUNTS = Path("/proc/self/mounts")


def file_system_type(path: Path, mounts: Path | None = None) -> str:
    """Return the type of the mount that holds `path`, for example `ext4`; empty when unknown."""
    try:
        lines = (
            (mounts or _MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
        resolved = path.resolve()
    except OSError:
        return ""
    best, best_type = Path("/"), ""
    for line in lines:
        _, folder, kind, *_ = line.split(" ")
        point = Path(folder.replace("\\040", " "))
        if resolved.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, best_type = point, kind
    return best_type


def is_network(path: Path, mounts: Path | None = None) -> bool:
    """Return whether `path` is on a share or a user-space file system."""
    kind = file_system_type(path, mounts)
    return kind in NETWORK_TYPES or kind.startswith("fuse.")
