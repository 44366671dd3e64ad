"""What a dataset build is asked for. Pure: the form, the API, the command and the recipe all validate against it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from annotations.dataset_files import SplitSettings
from annotations.fusion import TeacherRule
from annotations.gate import GateSettings


class BuildSettings(BaseModel):
    """How a project's scores become a dataset version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Fusion (see annotations/fusion.py).
    gold: Literal["wins", "weighted", "ignored"] = "wins"
    gold_weight: float = Field(default=0.5, ge=0, le=1)
    # How people's scores become one: their median, or Dawid & Skene's model with the median where it has too little to go by.
    consensus: Literal["median", "dawid-skene"] = "median"
    # The same of teachers' scores, where no person scored; weights are those of the teachers, and of a tie the median counts.
    teachers: TeacherRule = "median"
    # How far teachers' rewards go to agree with people's rankings and imported preferences: 0 not at all, 1 all the way.
    teacher_deltas: float = Field(default=0.0, ge=0, le=1)
    # An item needs this many people's scores to count, and a pair this many people's rankings; 0: any rater's will do.
    min_people: int = Field(default=0, ge=0)
    source_models: tuple[str, ...] = ()
    # SFT: the least reward that is worth imitating.
    min_reward: float = Field(default=1.0, ge=-2, le=2)
    # Preference: how far apart two answers must lie, how many pairs a prompt may give, whether to fill up (rows.py).
    min_gap: float = Field(default=1.0, ge=0, le=4)
    max_pairs: int = Field(default=4, ge=1, le=100)
    fill: bool = True
    # Where pairs come from: people's rankings where the project compares answers and scores elsewhere ("auto"), or one of them.
    pairs: Literal["auto", "scores", "rankings"] = "auto"
    # Pairs from rankings: the share of the votes that a pair needs; more than half in any case (ranking_rows.py).
    min_agreement: float = Field(default=0.5, ge=0.5, le=1)
    # Unpaired rows: from which reward on an answer is a good example, and up to which one a bad one.
    good_from: float = Field(default=1.0, ge=-2, le=2)
    bad_to: float = Field(default=-1.0, ge=-2, le=2)
    # Weighted groups: the temperature of the softmax over a prompt's rewards; the lower, the more the best answer counts.
    temperature: float = Field(default=1.0, gt=0, le=100)
    gate: GateSettings = GateSettings()
    split: SplitSettings = SplitSettings()
