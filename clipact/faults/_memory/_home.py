"""Where in a model a tensor of a target lives, if it is not simply there."""

from abc import ABC, abstractmethod


class Home(ABC):
    """Told when the words of a tensor were changed, so that the model follows.

    Attributes:
        key: What is in the model; another object there means that it was replaced.
        memory: Where the words are a copy of what is in the model: a number that stands for its memory.
    """

    key: object
    memory: int | None = None

    @abstractmethod
    def changed(self) -> None:
        """The words have other bits now."""

    @abstractmethod
    def restored(self) -> None:
        """The words have their old bits again; harmless if they were never changed."""
