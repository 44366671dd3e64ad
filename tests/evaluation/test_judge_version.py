"""Two scorecards of one hash were judged alike: by the same questions, the same grammar, the same judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation import judge_version as versions
from evaluation.benchmarks.folder import benchmark_read


def folder(path: Path, **manifest: object) -> Path:
    path.mkdir()
    (path / "benchmark.jsonl").write_text(json.dumps({"id": "1", "prompt": "Who?", "gold_answer": "Ann"}))
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def test_the_same_questions_with_another_grammar_are_another_benchmark(tmp_path: Path) -> None:
    plain = benchmark_read(folder(tmp_path / "plain", name="a"))
    named = benchmark_read(folder(tmp_path / "named", name="b", version="2"))
    narrow = benchmark_read(folder(tmp_path / "narrow", name="a", values={"who": ["Ann"]}))
    wide = benchmark_read(folder(tmp_path / "wide", name="a", values={"who": ["Ann", "Bo"]}))
    assert plain.hash == named.hash, "a name judges nothing"
    assert len({plain.hash, narrow.hash, wide.hash}) == 3


def test_another_phrase_is_another_version_of_the_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(path.is_file() for path in versions.JUDGES_BY)
    assert any(path.suffix == ".toml" for path in versions.JUDGES_BY)
    before = versions.judge_version()
    phrases = tmp_path / "verdict_phrases.toml"
    phrases.write_text('abstains = ["no clue"]')
    monkeypatch.setattr(versions, "JUDGES_BY", (*versions.JUDGES_BY[:-1], phrases))
    assert before == versions.judge_version() != versions.judge_version.__wrapped__(), "kept, and made of what judges"
