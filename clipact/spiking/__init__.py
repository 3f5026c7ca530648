"""Spiking networks of one time step: conversion, regularisation, meters, energy, deployment."""

from clipact.spiking import blocks
from clipact.spiking._conversion import RECTIFIERS, to_spiking_
from clipact.spiking._energy._costs import FP16, FP32, INT8, EnergyCosts
from clipact.spiking._energy._measure import energy_report
from clipact.spiking._energy._report import EnergyReport, LayerEnergy
from clipact.spiking._fold import fold
from clipact.spiking._meter._spike_meter import SpikeMeter
from clipact.spiking._meter._spike_table import LayerSpikes, SpikeTable
from clipact.spiking._nir._convert import from_nir, to_nir
from clipact.spiking._param_groups import param_groups
from clipact.spiking._regularizer import HoyerRegularizer
from clipact.spiking._statistics import calibrate_statistics_
from clipact.spiking._to_leaky import to_leaky

__all__ = [
    "FP16",
    "FP32",
    "INT8",
    "RECTIFIERS",
    "EnergyCosts",
    "EnergyReport",
    "HoyerRegularizer",
    "LayerEnergy",
    "LayerSpikes",
    "SpikeMeter",
    "SpikeTable",
    "blocks",
    "calibrate_statistics_",
    "energy_report",
    "fold",
    "from_nir",
    "param_groups",
    "to_leaky",
    "to_nir",
    "to_spiking_",
]
