"""Networks from files as functions from one float32 array to another."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.errors import UserError, explaining

Run = Callable[[NDArray[np.float32]], NDArray[np.generic]]


def load_torchscript(path: Path, *, output: str | int | None) -> Run:
    """A TorchScript network; raises UserError for any other file, pickled modules included."""
    import torch

    try:
        with explaining(path), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"{path}: is not TorchScript, and pickled modules are not read because they can run "
            "any code; export the network with torch.jit.trace(…).save(…)"
        ) from error

    def run(batch: NDArray[np.float32]) -> NDArray[np.generic]:
        with torch.inference_mode():
            try:
                found = module(torch.from_numpy(batch))
            except RuntimeError as error:
                raise _unfit(path, error) from error
        chosen = _choose(found, output, path)
        if not isinstance(chosen, torch.Tensor):
            raise UserError(f"{path}: gives {type(chosen).__name__}, not a tensor of features")
        return np.asarray(chosen.float().numpy())

    return run


def _choose(found: Any, output: str | int | None, path: Path) -> Any:
    if isinstance(found, dict):
        keys = list(found)
    elif isinstance(found, tuple | list):
        keys = list(range(len(found)))
    elif output is None:
        return found
    else:
        raise UserError(f'{path}: has a single output; leave "output" out of its .json')
    if output is None and len(keys) == 1:
        output = keys[0]
    if output not in keys:
        raise UserError(f'{path}: name one of its outputs as "output" in its .json: {_list(keys)}')
    return found[output]


def load_onnx(path: Path, *, output: str | int | None) -> Run:
    """An ONNX network with one input; raises UserError where it or ONNX Runtime cannot be used."""
    session = _session(path)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = _list([given.name for given in inputs])
        raise UserError(f"{path}: needs one input, the images, but has {len(inputs)} ({names})")
    outputs = [given.name for given in session.get_outputs()]
    chosen = outputs[output] if isinstance(output, int) and output < len(outputs) else output
    if chosen is None and len(outputs) == 1:
        chosen = outputs[0]
    if chosen not in outputs:
        raise UserError(
            f'{path}: name one of its outputs as "output" in its .json: {_list(outputs)}'
        )

    def run(batch: NDArray[np.float32]) -> NDArray[np.generic]:
        try:
            found = session.run([chosen], {inputs[0].name: batch})
        except Exception as error:
            raise _unfit(path, error) from error
        return np.asarray(found[0])

    return run


def _session(path: Path) -> Any:
    import torch

    try:
        onnxruntime = import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise UserError(
            f'{path}: ONNX files need ONNX Runtime: pip install "fetalsynth[onnx]"'
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise UserError(f"{path}: cannot be read as ONNX ({_first(error)})") from error


def _unfit(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: fails on an image ({_first(error)}); check size, channels and batch in its .json"
    )


def _first(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).strip()[:200]


def _list(names: list[Any]) -> str:
    return ", ".join(map(str, names))
