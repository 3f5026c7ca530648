"""Spiking networks of one time step: conversion, regularisation, meters, energy, deployment."""
