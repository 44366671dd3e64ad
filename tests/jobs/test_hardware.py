"""What a machine has: cards by their names, limits of control groups, and this very machine."""

import os
from pathlib import Path

import psutil
import pytest

from jobs import hardware
from jobs.hardware import GPU_TAGS, TAGS, Gpu, Hardware, detect, gpu_tag


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("NVIDIA H100 80GB HBM3", "cuda-h100"),
        ("NVIDIA H200", "cuda-h100"),
        ("NVIDIA H800 PCIe", "cuda-h100"),
        ("NVIDIA GH200 480GB", "cuda-h100"),
        ("NVIDIA B200", "cuda-h100"),
        ("NVIDIA A100-SXM4-80GB", "cuda-a100"),
        ("A100-PCIE-40GB", "cuda-a100"),
        ("NVIDIA A800 80GB PCIe", "cuda-a100"),
        ("NVIDIA A10", "cuda-a10"),
        ("NVIDIA A10G", "cuda-a10"),
        ("Tesla V100-SXM2-16GB", "cuda-v100"),
        ("Tesla T4", "cuda-t4"),
        ("NVIDIA GeForce RTX 4090", "cuda-rtx"),
        ("NVIDIA RTX A4000", "cuda-rtx"),
        ("NVIDIA T400 4GB", "cuda-rtx"),
        ("Quadro T1000", "cuda-rtx"),
        ("something new", "cuda-rtx"),
    ],
)
def test_a_card_has_its_tag_by_its_name(name, tag):
    assert gpu_tag(name) == tag


def test_every_tag_of_a_card_is_a_tag():
    assert {tag for _, tag in GPU_TAGS} <= set(TAGS)


def machine(**more) -> Hardware:
    values = {"system": "Linux", "machine": "x86_64", "processor": "", "cores": 2, "usable_cores": 2.0}
    return Hardware(**values | {"memory_bytes": 1, "disk_free_bytes": 1} | more)


def test_a_machine_serves_the_tags_of_what_it_has():
    card = Gpu("NVIDIA A100-SXM4-80GB", 80 * 2**30)
    assert machine().tags == ["cpu"]
    assert machine(has_mps=True).tags == ["cpu", "mps"]
    assert machine(gpus=[card]).tags == ["cpu", "cuda-a100"]
    assert machine(gpus=[card, card]).tags == ["cpu", "cuda-a100", "cuda-multi"]
    assert machine(npu_count=8).tags == ["cpu", "npu"]
    assert set(machine(gpus=[card, card], has_mps=True, npu_count=1).tags) <= set(TAGS)


def files(monkeypatch, contents: dict[str, str]) -> None:
    """Let these paths hold this text; every other file is as it is, except control groups', which are not there."""
    real = Path.read_text

    def read_text(self, *args, **kwargs):
        path = str(self)
        if path in contents:
            return contents[path]
        if path.startswith("/sys/fs/cgroup"):
            raise FileNotFoundError(path)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)


def allowed() -> float:
    return float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


@pytest.mark.parametrize(("text", "cores"), [("50000 100000", 0.5), ("max 100000", None), ("", None), ("99900000 100000", None)])
def test_a_control_groups_quota_limits_the_cores(monkeypatch, text, cores):
    files(monkeypatch, {"/sys/fs/cgroup/cpu.max": text})
    assert hardware.usable_cores() == (cores or allowed())


def test_the_older_control_groups_quota_counts_too(monkeypatch):
    base = "/sys/fs/cgroup/cpu/cpu.cfs_"
    files(monkeypatch, {f"{base}quota_us": "25000", f"{base}period_us": "100000"})
    assert hardware.usable_cores() == 0.25
    files(monkeypatch, {f"{base}quota_us": "-1", f"{base}period_us": "100000"})
    assert hardware.usable_cores() == allowed()


def test_a_group_below_the_root_counts_and_so_do_those_above_it(monkeypatch):
    below = "/sys/fs/cgroup/system.slice"
    files(
        monkeypatch,
        {
            "/proc/self/cgroup": "0::/system.slice/job_7\n",
            f"{below}/job_7/cpu.max": "max 100000",
            f"{below}/cpu.max": "50000 100000",
        },
    )
    assert hardware.usable_cores() == 0.5
    files(monkeypatch, {"/proc/self/cgroup": "0::/system.slice/job_7\n", f"{below}/job_7/memory.max": "268435456"})
    assert hardware.memory_limit() == 2**28


def test_a_control_groups_memory_limits_the_memory(monkeypatch):
    total = psutil.virtual_memory().total
    files(monkeypatch, {"/sys/fs/cgroup/memory.max": "268435456\n"})
    assert hardware.memory_limit() == 2**28
    files(monkeypatch, {"/sys/fs/cgroup/memory.max": "max\n"})
    assert hardware.memory_limit() == total
    files(monkeypatch, {"/sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728"})
    assert hardware.memory_limit() == 2**27
    files(monkeypatch, {"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"})
    assert hardware.memory_limit() == total


def test_this_machine_is_seen_as_it_is(tmp_path):
    found = detect(tmp_path)
    assert found.tags[0] == "cpu" and set(found.tags) <= set(TAGS)
    assert 0 < found.usable_cores <= allowed()
    assert 0 < found.memory_bytes <= psutil.virtual_memory().total
    assert found.disk_free_bytes > 0 and found.processor
    assert found.as_dict()["gpus"] == [{"name": gpu.name, "memory_bytes": gpu.memory_bytes} for gpu in found.gpus]


def test_a_folder_that_is_not_there_yet_still_has_a_disk(tmp_path):
    assert detect(tmp_path / "later").disk_free_bytes > 0
