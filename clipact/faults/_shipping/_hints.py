"""What to do when shipped objects cannot be read where they arrived."""

import socket
from pathlib import Path


def not_rebuilt_here(error: Exception) -> str:
    """Say what to do when an object cannot be made, for the most part because its class or function is not found."""
    if "__main__" in str(error):
        return (
            f"the worker process cannot find what the program itself defines ({error}); executors.processes() reads the"
            ' program\'s file again, so put what starts the campaign under `if __name__ == "__main__":` there; other'
            " executors and interactive sessions do not, so move the class or function to a module that can be imported"
        )
    if isinstance(error, ImportError) or "Can't get attribute" in str(error):
        return (
            f"the worker process cannot find part of the model or evaluation ({error}); install the same packages there,"
            " or put the module's folder on its PYTHONPATH"
        )
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
