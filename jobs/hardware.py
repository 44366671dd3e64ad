"""What this machine has, and the hardware tags that follow. No machine-learning library is needed to find out."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

TAGS = (
    "cpu",
    "mps",
    "cuda-rtx",
    "cuda-t4",
    "cuda-v100",
    "cuda-a10",
    "cuda-a100",
    "cuda-h100",
    "cuda-multi",
    "multi-node",
    "npu",
    # Work that needs no accelerator (imports, dataset builds), so that it never waits behind a training run.
    "site",
)
COMPUTE_TAGS = tuple(tag for tag in TAGS if tag != "site")
"""The tags of work that runs a model."""
# By what the driver calls the card; the first that fits. The other Hopper cards, and those after them, do what an H100 does.
GPU_TAGS = (
    ("h100", "cuda-h100"),
    ("h200", "cuda-h100"),
    ("h800", "cuda-h100"),
    ("h20", "cuda-h100"),
    ("gh200", "cuda-h100"),
    ("b200", "cuda-h100"),
    ("gb200", "cuda-h100"),
    ("a100", "cuda-a100"),
    ("a800", "cuda-a100"),
    ("a10", "cuda-a10"),
    ("a10g", "cuda-a10"),
    ("v100", "cuda-v100"),
    ("t4", "cuda-t4"),
)


@dataclass(frozen=True)
class Gpu:
    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Hardware:
    """One machine. Sizes in bytes."""

    system: str
    machine: str
    processor: str
    cores: int
    # Cores that this process may really use: containers and schedulers give fewer than there are.
    usable_cores: float
    memory_bytes: int
    disk_free_bytes: int
    gpus: list[Gpu] = field(default_factory=list)
    npu_count: int = 0
    has_mps: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def tags(self) -> list[str]:
        """The hardware tags that a worker here can serve, `cpu` first."""
        found = ["cpu"]
        if self.has_mps:
            found.append("mps")
        found += sorted({gpu_tag(gpu.name) for gpu in self.gpus})
        if len(self.gpus) > 1:
            found.append("cuda-multi")
        if self.npu_count:
            found.append("npu")
        return found


def detect(folder: Path = Path("/")) -> Hardware:
    """This machine; `folder` is where disk space is counted."""
    return Hardware(
        system=platform.system(),
        machine=platform.machine(),
        processor=_processor(),
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        usable_cores=usable_cores(),
        memory_bytes=memory_limit(),
        disk_free_bytes=shutil.disk_usage(folder if folder.exists() else "/").free,
        gpus=_gpus(),
        npu_count=len(list(Path("/dev").glob("davinci[0-9]*"))) if sys.platform == "linux" else 0,
        has_mps=sys.platform == "darwin" and platform.machine() == "arm64",
    )


def gpu_tag(name: str) -> str:
    """The tag of an NVIDIA card by its name; cards we have no tag for count as consumer cards."""
    words = name.lower().replace("-", " ").split()
    return next((tag for word, tag in GPU_TAGS if word in words), "cuda-rtx")


def usable_cores() -> float:
    """Cores by affinity, and by the control groups' quotas where they are smaller."""
    allowed = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    quotas = [_ratio(_text(folder / "cpu.max").split()) for folder in _control_groups("")]
    quotas += [
        _ratio([_text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip()])
        for folder in _control_groups("cpu")
    ]
    return min([allowed, *(quota for quota in quotas if quota is not None)])


def memory_limit() -> int:
    """Memory in bytes: the machine's, or the control groups' where it is smaller."""
    limits = [_text(folder / "memory.max").strip() for folder in _control_groups("")]
    limits += [_text(folder / "memory.limit_in_bytes").strip() for folder in _control_groups("memory")]
    return min([psutil.virtual_memory().total, *(int(limit) for limit in limits if limit.isdigit())])


def memory_kills() -> int | None:
    """How often the system has killed a process here for lack of memory; None where it does not say."""
    texts = [_text(folder / "memory.events") for folder in _control_groups("")[:1]]
    texts += [_text(folder / "memory.oom_control") for folder in _control_groups("memory")[:1]]
    texts.append(_text(Path("/proc/vmstat")))
    for text in texts:
        for line in text.splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def _control_groups(controller: str) -> list[Path]:
    """The folders of this process's control group and those above it; `controller` is empty in version 2.

    In a container the group is the root of what can be seen; under systemd or a cluster's scheduler it lies below.
    """
    root = Path("/sys/fs/cgroup", controller)
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = root / path.lstrip("/")
            return [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return [root]


def _ratio(quota_and_period: list[str]) -> float | None:
    """Cores from a quota and its period; None where there is no quota ("max", or −1 in version 1)."""
    if len(quota_and_period) != 2 or not all(part.isdigit() for part in quota_and_period) or quota_and_period[1] == "0":
        return None
    return int(quota_and_period[0]) / int(quota_and_period[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[Gpu]:
    with nvml() as library:
        if library is None:
            return []
        handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]
        return [Gpu(str(library.nvmlDeviceGetName(handle)), library.nvmlDeviceGetMemoryInfo(handle).total) for handle in handles]


@contextmanager
def nvml() -> Iterator[Any]:
    """NVIDIA's management library, or None where there is no driver."""
    import pynvml  # noqa: PLC0415 - only machines with a driver get any use of it

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()
