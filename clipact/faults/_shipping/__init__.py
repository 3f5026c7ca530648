"""Send a model and what goes with it to other processes by way of files: tensors are mapped there, never copied."""

from clipact.faults._shipping._folder import private_folder
from clipact.faults._shipping._ship import Loaded, Shipped, ship

__all__ = ["Loaded", "Shipped", "private_folder", "ship"]
