"""What is sampled of a process, and what is said where nothing can be read."""
# ruff: noqa: N802 (as NVIDIA's library has it)

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from jobs import telemetry
from jobs.telemetry import Sampler, amd_cards

BUSY = "import time\nuntil = time.time() + 20\nwhile time.time() < until: pass"


def counter(folder, zone, *, joules, wraps_at=1000, name="package-0"):
    folder = folder / zone
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{round(joules * 1_000_000)}\n")
    (folder / "max_energy_range_uj").write_text(f"{wraps_at * 1_000_000}\n")


@pytest.fixture
def meters(tmp_path, monkeypatch):
    """A folder for the processors' meters, and one for AMD's cards; no other meter."""
    monkeypatch.setattr(telemetry, "RAPL", tmp_path / "powercap")
    monkeypatch.setattr(telemetry, "DRM", tmp_path / "drm")
    monkeypatch.setattr(telemetry, "nvml", no_driver)
    return tmp_path / "powercap"


@contextmanager
def no_driver():
    yield None


@pytest.fixture
def alone(monkeypatch):
    """As if nothing else ran on the machine: what it was busy with was this process."""
    monkeypatch.setattr(telemetry, "_machine_busy", lambda: sum(os.times()[:2]))


def work(seconds=0.05):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_energy_is_counted_on_when_a_processors_counter_starts_again(meters, alone):
    counter(meters, "intel-rapl:0", joules=990)
    counter(meters, "intel-rapl:1", joules=100)
    sampler = Sampler(os.getpid())
    counter(meters, "intel-rapl:0", joules=30)
    counter(meters, "intel-rapl:1", joules=110)
    work()
    row = sampler.sample()
    assert row["energy_joules"] == pytest.approx(50.0, rel=0.05) and row["watts"] > 0
    counter(meters, "intel-rapl:0", joules=40)
    work()
    assert sampler.sample()["energy_joules"] == pytest.approx(60.0, rel=0.05)
    sampler.close()


def test_parts_and_wholes_of_what_is_counted_are_not_counted_again_but_memory_beside_it_is(meters, alone):
    zones = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "psys"}
    for zone, name in zones.items():
        counter(meters, zone, joules=10, name=name)
    sampler = Sampler(os.getpid())
    for zone, name in zones.items():
        counter(meters, zone, joules=110, name=name)
    work()
    assert sampler.sample()["energy_joules"] == pytest.approx(200.0, rel=0.05)
    sampler.close()


def test_of_the_processors_energy_a_job_is_told_its_part(meters):
    counter(meters, "intel-rapl:0", joules=0)
    children = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]
    try:
        samplers = [Sampler(child.pid) for child in children]
        time.sleep(1.5)
        counter(meters, "intel-rapl:0", joules=100)
        rows = [sampler.sample() for sampler in samplers]
    finally:
        for child in children:
            child.kill()
            child.wait()
    told = [row["energy_joules"] for row in rows]
    assert min(told) > 0 and max(told) < 3 * min(told), told
    assert sum(told) <= 101, "two jobs are not charged for the same joule"
    for sampler in samplers:
        sampler.close()


def test_where_no_meter_can_be_read_energy_is_unknown_and_not_0(meters):
    sampler = Sampler(os.getpid())
    row = sampler.sample()
    assert row["energy_joules"] is None and row["watts"] is None and row["gpus"] is None
    assert row["rss_bytes"] > 0 and row["disk_free_bytes"] > 0
    sampler.close()


def test_the_use_of_processors_is_measured_from_the_first_sample_on(meters):
    child = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        sampler = Sampler(child.pid)
        time.sleep(0.6)
        assert sampler.sample()["cpu_percent"] > 5, "psutil's own figure is 0 at the first look"
        assert sampler.cpu_seconds > 0
    finally:
        child.kill()
        child.wait()
    sampler.close()


# NVIDIA's library, as pynvml has it, with two cards: one counts its energy, the other tells its power alone.


class Cards:
    class NVMLError(Exception):
        pass

    def __init__(self):
        self.millijoules = 5_000_000

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, handle):
        return f"GPU-{handle}abc"

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=90 + handle)

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(used=2**30)

    def nvmlDeviceGetPowerUsage(self, handle):
        return 300_000

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if handle == 1:
            raise self.NVMLError("not supported")
        return self.millijoules


@pytest.fixture
def cards(meters, monkeypatch):
    library = Cards()

    @contextmanager
    def driver():
        yield library

    monkeypatch.setattr(telemetry, "nvml", driver)
    # What ran before in this process may have hidden the cards from itself.
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return library


def test_a_card_without_a_counter_is_counted_by_its_power_over_time(cards, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: clock[0])
    sampler = Sampler(os.getpid())
    sampler.sample()
    clock[0] += 10
    cards.millijoules += 4_000_000
    row = sampler.sample()
    assert row["energy_joules"] == 4_000 + 300 * 10
    assert row["watts"] == 700
    assert row["gpus"] == [
        {"index": 0, "percent": 90, "memory_bytes": 2**30, "watts": 300},
        {"index": 1, "percent": 91, "memory_bytes": 2**30, "watts": 300},
    ]
    sampler.close()


@pytest.mark.parametrize(("variable", "seen"), [("1", [1]), ("GPU-0", [0]), ("", []), ("0,1", [0, 1])])
def test_a_worker_with_one_card_is_not_charged_for_the_others(cards, monkeypatch, variable, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    sampler = Sampler(os.getpid())
    assert [card["index"] for card in sampler.sample()["gpus"] or []] == seen
    sampler.close()


def test_amds_cards_are_read_from_their_driver(meters, tmp_path):
    for number, vendor in ((0, "0x1002"), (1, "0x8086")):
        device = tmp_path / "drm" / f"card{number}" / "device"
        (device / "hwmon" / "hwmon3").mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "gpu_busy_percent").write_text("37\n")
        (device / "mem_info_vram_used").write_text("1048576\n")
        (device / "hwmon" / "hwmon3" / "power1_average").write_text("45000000\n")
    (tmp_path / "drm" / "card0-DP-1" / "device").mkdir(parents=True)
    assert len(list(amd_cards())) == 1
    sampler = Sampler(os.getpid())
    assert sampler.sample()["gpus"] == [{"index": 0, "percent": 37, "memory_bytes": 2**20, "watts": 45.0}]
    sampler.close()


@pytest.mark.parametrize(("variable", "value"), [("HIP_VISIBLE_DEVICES", "1"), ("ROCR_VISIBLE_DEVICES", "1")])
def test_a_worker_with_one_of_amds_cards_is_not_charged_for_the_others(meters, tmp_path, monkeypatch, variable, value):
    for number in (17, 9, 1):
        device = tmp_path / "drm" / f"card{number}" / "device"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x1002\n")
    assert [path.parent.name for path in amd_cards()] == ["card1", "card9", "card17"]
    monkeypatch.setenv(variable, value)
    assert [path.parent.name for path in amd_cards()] == ["card9"]
