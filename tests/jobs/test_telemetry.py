"""What is sampled of a process, and what is said where nothing can be read."""

import os

from jobs import telemetry
from jobs.telemetry import Sampler


def counter(folder, name, *, joules, wraps_at=1000):
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{joules * 1_000_000}\n")
    (folder / "max_energy_range_uj").write_text(f"{wraps_at * 1_000_000}\n")


def test_energy_is_counted_on_when_a_processors_counter_starts_again(tmp_path, monkeypatch):
    monkeypatch.setattr(telemetry, "RAPL", tmp_path)
    counter(tmp_path, "intel-rapl:0", joules=990)
    counter(tmp_path, "intel-rapl:1", joules=100)
    counter(tmp_path, "intel-rapl:0:0", joules=5)  # a part of the first package, not to be counted twice
    sampler = Sampler(os.getpid())
    sampler._nvml = None
    counter(tmp_path, "intel-rapl:0", joules=30)
    counter(tmp_path, "intel-rapl:1", joules=110)
    counter(tmp_path, "intel-rapl:0:0", joules=500)
    assert sampler.sample()["energy_joules"] == 50.0
    counter(tmp_path, "intel-rapl:0", joules=40)
    assert sampler.sample()["energy_joules"] == 60.0
    sampler.close()


def test_where_no_meter_can_be_read_energy_is_unknown_and_not_0(tmp_path, monkeypatch):
    monkeypatch.setattr(telemetry, "RAPL", tmp_path)
    sampler = Sampler(os.getpid())
    sampler._nvml = None
    row = sampler.sample()
    assert row["energy_joules"] is None and row["gpus"] is None and row["rss_bytes"] > 0
    sampler.close()
