"""Where to compute and in which precision."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

import torch

from fetalsynth.errors import UserError

_TRIM_THRESHOLD, _MAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 1 << 30
_LARGEST_OF_OLD_GLIBC = 32 << 20


def choose_device(name: str = "auto") -> torch.device:
    """The named device, or "auto": this process's GPU where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name}: unknown; use auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: is not supported; use auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: torch sees no GPU here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {name}: there are {torch.cuda.device_count()} GPUs, from 0 on")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def keep_freed_memory() -> None:
    """Let glibc keep the memory that a step frees for the next one, instead of giving it back.

    Fetching it anew, page by page, took a sixth of a training step. Nothing happens elsewhere.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    # Either setting ends glibc's own adjustment; a threshold that it refuses would stay at 128 KiB,
    # from which on every tensor would be mapped anew.
    if mallopt(_MAP_THRESHOLD, _KEPT_BYTES) or mallopt(_MAP_THRESHOLD, _LARGEST_OF_OLD_GLIBC):
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the processor has bfloat16 arithmetic (emulation is slower than float32)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def resolve_precision(name: str, device: torch.device) -> str:
    """ "auto" → "bfloat16" where the processor computes in it, else "float32"."""
    if name != "auto":
        return name
    return "bfloat16" if computes_in_bfloat16(device) else "float32"


def peak_memory_mib(device: torch.device) -> int:
    """The most memory that this process has held: of the GPU ``device``, else of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(held) >> (20 if sys.platform == "darwin" else 10)  # bytes there, KiB here
