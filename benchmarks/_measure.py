"""What the benchmarks share: time on any device, a ratio with its spread, and the machine by name."""

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(call: Callable[[], object], device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def spread(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:.2f} ± {(high - low) / 2:.2f}"


def machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    fields = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in fields if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def about(device: torch.device, threads: int, repeats: int) -> str:
    """Where, with what and how often it was measured."""
    threading = f"{threads} thread" + "s" * (threads > 1)
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    return (
        f"{machine(device)}, {threading}, {load}, torch {torch.__version__}, {datetime.date.today()};"
        f" {repeats} rounds, median ± half the interquartile distance."
    )
