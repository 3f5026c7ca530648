"""What to do when shipped objects cannot be read where they arrived."""

import socket
from pathlib import Path


def not_found_here(module: str, name: str, error: Exception) -> str:
    """Say what to do when a class or function is not found."""
    if module == "__main__":
        return (
            f"the worker process cannot find {name}, which the program's own file defines; move it to a module that can be"
            ' imported, or use executors.processes(), which reads that file again (with `if __name__ == "__main__":` around'
            " what starts the campaign, and not in an interactive session)"
        )
    return (
        f"the worker process cannot find {name} of {module} ({error}); install the same packages there, or put the"
        " module's folder on its PYTHONPATH"
    )


def not_rebuilt_here(error: Exception) -> str:
    """Say what to do when an object cannot be made."""
    return (
        f"the worker process cannot make the model or evaluation again ({error!r}); check that it comes out of"
        " pickle.loads(pickle.dumps(...)), or run in process (executor=None)"
    )


def unreadable_here(folder: Path, error: OSError) -> str:
    """Say what to do when the files are not found."""
    return (
        f"the worker process on {socket.gethostname()} cannot read the model and data in {folder} ({error.strerror}); for"
        " workers on other machines give a folder on a file system that all of them share"
    )
