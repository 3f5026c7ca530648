"""Pictures and pages of what campaigns found (extra ``report``)."""

from clipact.report._by_bit import vulnerability_by_bit
from clipact.report._by_tensor import vulnerability_by_tensor
from clipact.report._campaign_page import campaign_page
from clipact.report._convergence import estimate_so_far, interval_width
from clipact.report._curves import accuracy_vs_ber
from clipact.report._depth_check import depth_profile
from clipact.report._drop import metric_drop
from clipact.report._map import vulnerability_map
from clipact.report._outcomes import outcomes
from clipact.report._page import Fact, Section, Table, write_page
from clipact.report._sparsity_maps import correlation_map, slope_map, variance_map
from clipact.report._sparsity_meter import sparsity_by_site
from clipact.report._spikes import energy_by_layer, spike_raster, spike_rates
from clipact.report._svg import svg

__all__ = [
    "Fact",
    "Section",
    "Table",
    "accuracy_vs_ber",
    "campaign_page",
    "correlation_map",
    "depth_profile",
    "energy_by_layer",
    "estimate_so_far",
    "interval_width",
    "metric_drop",
    "outcomes",
    "slope_map",
    "sparsity_by_site",
    "spike_raster",
    "spike_rates",
    "svg",
    "variance_map",
    "vulnerability_by_bit",
    "vulnerability_by_tensor",
    "vulnerability_map",
    "write_page",
]
