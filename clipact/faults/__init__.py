"""Inject faults into any PyTorch model, reproducibly, and measure what they do.

*Where* (a target) x *what* (a fault model) x *in which bits* (a number format) x *what is observed* (an evaluation):

>>> import torch
>>> from clipact import faults
>>> model = torch.nn.Linear(4, 2)
>>> with faults.inject(model, faults.BitFlip(count=3), faults.Weights(), seed=0) as record:
...     out = model(torch.ones(1, 4))
>>> len(record)
3
"""

from clipact.faults import executors
from clipact.faults._campaign import Campaign
from clipact.faults._evaluations._classification import Classification
from clipact.faults._evaluations._evaluation import Evaluation, GoldenRun
from clipact.faults._evaluations._outputs import Outputs
from clipact.faults._formats import FixedPoint, Format, Int8, Native
from clipact.faults._inject import inject
from clipact.faults._lifetime import Lifetime
from clipact.faults._memory._tensors import TargetTensor
from clipact.faults._models import (
    BitFlip,
    Burst,
    Extent,
    FaultModel,
    Mechanism,
    Noise,
    RandomValue,
    StuckAt,
    Zero,
)
from clipact.faults._numbers._plan import Plan, PlannedRate, PlannedTrials, plan
from clipact.faults._numbers._pooled import pooled_rate
from clipact.faults._numbers._statistics import Interval, clopper_pearson, sample_size, wilson
from clipact.faults._numbers._stopping import Precision
from clipact.faults._population import population
from clipact.faults._records._listed import Listed
from clipact.faults._records._load import load
from clipact.faults._records._record import Fault, FaultRecord
from clipact.faults._results._compare import Comparison, Difference, compare
from clipact.faults._results._result import Result, Trial
from clipact.faults._results._summary import Summary, SummaryRow
from clipact.faults._sampling import (
    Allocation,
    Exhaustive,
    Sampling,
    Stratified,
    Uniform,
    by_bit,
    by_tensor,
    by_tensor_and_bit,
)
from clipact.faults._shard import Shard
from clipact.faults._store import Store, merge
from clipact.faults._targets import (
    Activations,
    Biases,
    Buffers,
    Inputs,
    OptimizerState,
    Target,
    Thresholds,
    Weights,
)

__all__ = [
    "Activations",
    "Allocation",
    "Biases",
    "BitFlip",
    "Buffers",
    "Burst",
    "Campaign",
    "Classification",
    "Comparison",
    "Difference",
    "Evaluation",
    "Exhaustive",
    "Extent",
    "Fault",
    "FaultModel",
    "FaultRecord",
    "FixedPoint",
    "Format",
    "GoldenRun",
    "Inputs",
    "Int8",
    "Interval",
    "Lifetime",
    "Listed",
    "Mechanism",
    "Native",
    "Noise",
    "OptimizerState",
    "Outputs",
    "Plan",
    "PlannedRate",
    "PlannedTrials",
    "Precision",
    "RandomValue",
    "Result",
    "Sampling",
    "Shard",
    "Store",
    "Stratified",
    "StuckAt",
    "Summary",
    "SummaryRow",
    "Target",
    "TargetTensor",
    "Thresholds",
    "Trial",
    "Uniform",
    "Weights",
    "Zero",
    "by_bit",
    "by_tensor",
    "by_tensor_and_bit",
    "clopper_pearson",
    "compare",
    "executors",
    "inject",
    "load",
    "merge",
    "plan",
    "pooled_rate",
    "population",
    "sample_size",
    "wilson",
]
