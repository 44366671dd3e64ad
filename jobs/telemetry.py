"""What a job's processes use: one line of `telemetry.jsonl` per sample. What cannot be read is null, never 0."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from jobs.hardware import nvml

# Intel's and AMD's energy counter; only root may read it on most systems.
RAPL = Path("/sys/class/powercap")


class Sampler:
    """Samples a process and everything it started. `close` when done."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seen: dict[int, psutil.Process] = {}
        self._stack = ExitStack()
        self._nvml = self._stack.enter_context(nvml())
        self._energy_start = self._energy()

    def close(self) -> None:
        self._stack.close()

    def sample(self) -> dict[str, Any]:
        """CPU in percent of one core, memory in bytes, energy in joules since the start."""
        processes = self._processes()
        cpu, memory = 0.0, 0
        for process in processes:
            with suppress(psutil.Error):
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
        energy = self._energy()
        started = self._energy_start
        return {
            "time": time.time(),
            "cpu_percent": round(cpu, 1),
            "rss_bytes": memory if processes else None,
            "gpus": self._gpus(),
            "energy_joules": round(energy - started, 1) if energy is not None and started is not None else None,
        }

    def _processes(self) -> list[psutil.Process]:
        """The process tree; the same objects each time, for CPU use is counted between two looks at one object."""
        with suppress(psutil.Error):
            for process in [self._root, *self._root.children(recursive=True)]:
                self._seen.setdefault(process.pid, process)
        self._seen = {pid: process for pid, process in self._seen.items() if process.is_running()}
        return list(self._seen.values())

    def _gpus(self) -> list[dict[str, Any]] | None:
        if self._nvml is None:
            return None
        library, rows = self._nvml, []
        for index in range(library.nvmlDeviceGetCount()):
            handle = library.nvmlDeviceGetHandleByIndex(index)
            with suppress(library.NVMLError):
                rows.append(
                    {
                        "index": index,
                        "percent": library.nvmlDeviceGetUtilizationRates(handle).gpu,
                        "memory_bytes": library.nvmlDeviceGetMemoryInfo(handle).used,
                        "watts": library.nvmlDeviceGetPowerUsage(handle) / 1000,
                    }
                )
        return rows

    def _energy(self) -> float | None:
        """Joules so far: the processors' packages and the NVIDIA cards; None where neither can be read."""
        joules = [_joules(path) for path in RAPL.glob("intel-rapl:[0-9]*/energy_uj") if path.parent.name.count(":") == 1]
        if self._nvml is not None:
            for index in range(self._nvml.nvmlDeviceGetCount()):
                with suppress(self._nvml.NVMLError):
                    handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                    joules.append(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)
        readable = [value for value in joules if value is not None]
        return sum(readable) if readable else None


def _joules(path: Path) -> float | None:
    try:
        return int(path.read_text(encoding="ascii")) / 1e6
    except (OSError, ValueError):
        return None
