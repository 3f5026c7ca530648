"""How long a fault stays."""

from enum import Enum


class Lifetime(Enum):
    """When faults are drawn anew. Faults in memory always stay for the whole evaluation.

    Attributes:
        STATIC: Once: the same faults in every sample of every forward, as a defect of the hardware gives them.
        BATCH: In each forward: the same faults in every sample of a batch.
        SAMPLE: For each sample.
    """

    STATIC = "static"
    BATCH = "batch"
    SAMPLE = "sample"
