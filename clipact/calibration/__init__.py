"""Profile the activations of a model over data, and detect when they leave the profiled range."""

from clipact.calibration._batches import Batch, Batches, model_inputs, peek, run, to_device_of
from clipact.calibration._calibrate import calibrate
from clipact.calibration._detector import OnOutOfRange, RangeDetector
from clipact.calibration._granularity import Granularity, channel_axis, reduce_to
from clipact.calibration._moments import Moments
from clipact.calibration._profile import Profile
from clipact.calibration._site_profile import SiteProfile
from clipact.calibration._sketch import QuantileSketch

__all__ = [
    "Batch",
    "Batches",
    "Granularity",
    "Moments",
    "OnOutOfRange",
    "Profile",
    "QuantileSketch",
    "RangeDetector",
    "SiteProfile",
    "calibrate",
    "channel_axis",
    "model_inputs",
    "peek",
    "reduce_to",
    "run",
    "to_device_of",
]
