"""``fetalsynth doctor``: versions, devices, optional parts and how to get them."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata

import tyro

from fetalsynth import __version__
from fetalsynth.threads import allowed_cores, free_cores

CORE = [
    "torch",
    "numpy",
    "scipy",
    "pillow",
    "tifffile",
    "nibabel",
    "pydantic",
    "pyyaml",
    "tyro",
    "rich",
    "safetensors",
    "jinja2",
    "matplotlib",
    "pooch",
]
EXTRAS = {
    "dicom": ("pydicom", "reads DICOM"),
    "onnx": ("onnxruntime", "reads feature networks in ONNX"),
    "tracking": ("tensorboard", "writes TensorBoard events"),
    "slurm": ("submitit", "runs studies on a SLURM cluster"),
    "reader": ("fastapi", "serves reader studies"),
}


@dataclass(frozen=True)
class Doctor:
    """Tell what this installation has, for bug reports and for choosing settings."""


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit code."""
    tyro.cli(Doctor, args=arguments, prog="fetalsynth doctor")
    print("\n".join(report()))
    return 0


def report() -> list[str]:
    """Lines that describe the installation and the machine."""
    from fetalsynth.synthesis.shipped import listing

    return [
        f"fetalsynth {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"Python at {sys.executable}",
        "",
        *(f"  {name:<12}{_version(name)}" for name in CORE),
        "",
        *_computing(),
        "",
        *(_extra(name, module, use) for name, (module, use) in EXTRAS.items()),
        "",
        *(f"shipped model: {line}" for line in listing()),
    ]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing: pip install --upgrade fetalsynth"


def _computing() -> list[str]:
    import torch

    from fetalsynth.training.device import computes_in_bfloat16

    yes = {True: "yes", False: "no (float32 is used)"}
    lines = [
        f"CPU: {os.cpu_count()} cores, {allowed_cores()} allowed, {free_cores()} free now; "
        f"bfloat16: {yes[computes_in_bfloat16(torch.device('cpu'))]}"
    ]
    if not torch.cuda.is_available():
        return [*lines, "GPU: none that torch can use; training runs on the CPU"]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        bfloat16 = yes[computes_in_bfloat16(torch.device("cuda", number))]
        memory = properties.total_memory / 2**30
        lines.append(f"GPU {number}: {properties.name}, {memory:.0f} GiB; bfloat16: {bfloat16}")
    return lines


def _extra(name: str, module: str, use: str) -> str:
    if importlib.util.find_spec(module) is not None:
        return f"extra {name:<9}installed: {use}"
    return f"extra {name:<9}missing:   {use} with pip install 'fetalsynth[{name}]'"
