"""Statistics of the activations at every site of a model."""

from collections.abc import Iterator, Mapping
from typing import Any, final

from clipact.calibration._moments import Moments
from clipact.calibration._site_profile import SiteProfile
from clipact.calibration._sketch import QuantileSketch


@final
class Profile(Mapping[str, SiteProfile]):
    """Profiles by site name, in execution order, and that of the model's output.

    Args:
        sites: Profile of each site.
        output: Profile of the model's output where that is one tensor, or holds logits first.
    """

    def __init__(self, sites: Mapping[str, SiteProfile], output: SiteProfile | None = None) -> None:
        self._sites = dict(sites)
        self.output = output

    def __getitem__(self, name: str) -> SiteProfile:
        if name not in self._sites:
            raise KeyError(f"{name!r} is not among the profiled sites: {', '.join(self._sites)}")
        return self._sites[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    def __str__(self) -> str:
        """A line a site: name, shape, samples, minimum, mean, maximum."""
        width = max((len(name) for name in self), default=4)
        lines = [
            f"{'site':<{width}}  {'shape':<16} {'samples':>8} {'min':>10} {'mean':>10} {'max':>10}"
        ]
        for name, site in self.items():
            low, mean, high = (
                value.item() for value in (site.minimum(), site.mean(), site.maximum())
            )
            lines.append(
                f"{name:<{width}}  {site.shape!s:<16} {site.samples:>8} {low:>10.4g} {mean:>10.4g} {high:>10.4g}"
            )
        return "\n".join(lines)

    def __or__(self, other: "Profile") -> "Profile":
        """The profile of the data of both; several processes calibrate on a part each and merge with ``|``."""
        both = {
            name: self._sites[name] | site if name in self._sites else site
            for name, site in other.items()
        }
        output = (
            self.output | other.output
            if self.output and other.output
            else self.output or other.output
        )
        return Profile({**self._sites, **both}, output)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data, for ``torch.save`` and ``torch.load(weights_only=True)``."""
        packed = {name: _pack(site) for name, site in self.items()}
        return {"sites": packed, "output": _pack(self.output) if self.output else None}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> "Profile":
        """The profile that :meth:`state_dict` described."""
        output = _unpack(state["output"]) if state["output"] else None
        return cls({name: _unpack(site) for name, site in state["sites"].items()}, output)


def _pack(site: SiteProfile) -> dict[str, Any]:
    moments = site.moments
    return {
        "name": site.name, "shape": site.shape, "axis": site.axis, "dims": site.dims, "count": moments.count,
        "tensors": [moments.largest, moments.smallest, moments.mean, moments.deviation],
        "counts": None if site.sketch is None else site.sketch.counts,
    }  # fmt: skip


def _unpack(state: Mapping[str, Any]) -> SiteProfile:
    sketch = None if state["counts"] is None else QuantileSketch(state["counts"])
    moments = Moments(state["count"], *state["tensors"])
    return SiteProfile(
        state["name"], tuple(state["shape"]), state["axis"], state["dims"], moments, sketch
    )
