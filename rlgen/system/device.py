"""The processors: devices of tensors, and torch's threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from rlgen.errors import problem
from rlgen.system.pool import usable_cpus

CPU_INFO, NATIVE_BFLOAT16 = Path("/proc/cpuinfo"), {"amx_bf16", "avx512_bf16"}


def choose_device(name: str = "auto") -> tuple[torch.device, str]:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`, and a text for the log: which device was chosen, and why.

    Without a number it is PyTorch's current device, cuda:0 by default. Raises `InputError` for a device that this
    machine or this build of PyTorch does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return _cuda(torch.cuda.current_device(), "a GPU is available")
        return torch.device("cpu"), f"device {device_name('cpu')}, because {_why_no_cuda()}"
    if name == "cpu":
        return torch.device("cpu"), f"device {device_name('cpu')}, as asked"
    kind, _, index = name.partition(":")
    if kind != "cuda" or (":" in name and not index.isdecimal()):
        raise problem("a device auto, cpu, cuda or cuda:N", repr(name), "choose one of these")
    if not torch.cuda.is_available():
        raise problem(f"a CUDA device for {name!r}", _why_no_cuda(), "use --device cpu or auto")
    count, chosen = torch.cuda.device_count(), int(index) if index else torch.cuda.current_device()
    if chosen >= count:
        raise problem(f"a device below cuda:{count}", repr(name), f"this machine has {count}, count from 0")
    return _cuda(chosen, "as asked", because="")


def device_name(device: torch.device | str) -> str:
    """A description of the device: `cuda:0 (NVIDIA H200, 140 GiB)` or `cpu (1 torch thread)`."""
    device = torch.device(device)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"cuda:{device.index or 0} ({properties.name}, {properties.total_memory / 2**30:.0f} GiB)"
    threads = torch.get_num_threads()
    return f"{device.type} ({threads} torch thread{'' if threads == 1 else 's'})"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16: CUDA, and x86 processors with AMX or AVX512-BF16
    by their flags in /proc/cpuinfo. Elsewhere torch emulates them, more slowly than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not CPU_INFO.is_file():
        return False
    lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not NATIVE_BFLOAT16.isdisjoint(flags)


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """Peak memory of this process's tensors on `device` so far [MiB]; None unless it is a GPU."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None


def _cuda(index: int, reason: str, because: str = "because ") -> tuple[torch.device, str]:
    device = torch.device("cuda", index)
    return device, f"device {device_name(device)}, {because}{reason}"


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} is built without CUDA"
    return "PyTorch sees no CUDA device (no GPU, or its driver does not answer)"


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Within the block torch uses `n` threads; afterwards as many as before, also after an error. Use one thread where
    other threads step environments: torch's idle threads spin and would occupy their cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def set_torch_threads(threads: int | None) -> None:
    """Let torch use `threads` threads, at most the usable CPUs. None keeps torch's default: the usable CPUs, or
    OMP_NUM_THREADS."""
    if threads is not None:
        torch.set_num_threads(min(threads, usable_cpus()))
