from __future__ import annotations

import pytest

from mlinfra.spec.suggest import closest, did_you_mean

KINDS = ["data", "bucket", "dataset", "data_pipeline", "training_job"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("bukcet", "bucket"), ("Bucket", "bucket"), ("data-pipeline", "data_pipeline"), ("dataPipeline", "data_pipeline"),
     ("traning_job", "training_job"), ("dataset", "dataset")],
)  # fmt: skip
def test_a_near_word_is_suggested(word: str, meant: str) -> None:
    assert closest(word, KINDS) == meant
    assert did_you_mean(word, KINDS) == f"did you mean {meant!r}?"


def test_a_far_word_lists_what_is_allowed() -> None:
    assert did_you_mean("zzz", KINDS, allowed="kinds") == "kinds: data, bucket, dataset, data_pipeline, training_job"


def test_long_lists_are_cut() -> None:
    assert did_you_mean("zzz", [f"n{i}" for i in range(10)], limit=3) == "allowed: n0, n1, n2, … (7 more)"


def test_without_options_there_is_no_hint() -> None:
    assert did_you_mean("anything", []) == ""
