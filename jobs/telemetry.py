"""What a job's processes use: one line of `telemetry.jsonl` per sample. What cannot be read is null, never 0."""

import time
from collections.abc import Iterator
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
        self._joules = 0.0
        self._counted: dict[str, float] = {}
        self._energy()

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
        return {
            "time": time.time(),
            "cpu_percent": round(cpu, 1),
            "rss_bytes": memory if processes else None,
            "gpus": self._gpus(),
            "energy_joules": round(energy, 1) if energy is not None else None,
        }

    def _processes(self) -> list[psutil.Process]:
        """The process tree; the same objects each time, for CPU use is counted between two looks at one object."""
        with suppress(psutil.Error):
            for process in [self._root, *self._root.children(recursive=True)]:
                self._seen.setdefault(process.pid, process)
        self._seen = {pid: process for pid, process in self._seen.items() if process.is_running()}
        return list(self._seen.values())

    def _gpus(self) -> list[dict[str, Any]] | None:
        """What each card is doing; not every card tells everything."""
        if self._nvml is None:
            return None
        return [self._gpu(index, handle) for index, handle in self._handles()]

    def _gpu(self, index: int, handle: Any) -> dict[str, Any]:
        rates, memory = self._ask("nvmlDeviceGetUtilizationRates", handle), self._ask("nvmlDeviceGetMemoryInfo", handle)
        milliwatts = self._ask("nvmlDeviceGetPowerUsage", handle)
        return {
            "index": index,
            "percent": rates.gpu if rates is not None else None,
            "memory_bytes": memory.used if memory is not None else None,
            "watts": milliwatts / 1000 if milliwatts is not None else None,
        }

    def _handles(self) -> list[tuple[int, Any]]:
        found = [(index, self._ask("nvmlDeviceGetHandleByIndex", index)) for index in range(self._ask("nvmlDeviceGetCount") or 0)]
        return [(index, handle) for index, handle in found if handle is not None]

    def _ask(self, question: str, *about: Any) -> Any:
        """NVIDIA's answer; None where there is no driver, or the card does not tell or is gone."""
        if self._nvml is None:
            return None
        try:
            return getattr(self._nvml, question)(*about)
        except self._nvml.NVMLError:
            return None

    def _energy(self) -> float | None:
        """Joules since the first look: the processors' packages and the NVIDIA cards; None where neither can be read.

        They are the machine's: whatever else runs on it is counted too.
        """
        for name, joules, wraps_at in self._counters():
            before = self._counted.get(name)
            if before is not None:
                self._joules += joules - before if joules >= before else max(0.0, joules - before + wraps_at)
            self._counted[name] = joules
        return self._joules if self._counted else None

    def _counters(self) -> Iterator[tuple[str, float, float]]:
        """Each counter's name, its joules, and at how many it starts again from 0."""
        for path in RAPL.glob("intel-rapl:[0-9]*/energy_uj"):
            joules, wraps_at = _joules(path), _joules(path.with_name("max_energy_range_uj"))
            if path.parent.name.count(":") == 1 and joules is not None and wraps_at is not None:
                yield str(path), joules, wraps_at
        for index, handle in self._handles():
            millijoules = self._ask("nvmlDeviceGetTotalEnergyConsumption", handle)
            if millijoules is not None:
                yield f"gpu {index}", millijoules / 1000, 0.0


def _joules(path: Path) -> float | None:
    try:
        return int(path.read_text(encoding="ascii")) / 1e6
    except (OSError, ValueError):
        return None
