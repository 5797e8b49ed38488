"""Bodies held against the discovery documents at plan time, and answers brought into the form in which they were asked for."""

from __future__ import annotations

import pytest

from mlinfra.model.values import UNKNOWN, Map, freeze
from mlinfra.provider.ownership import Owner, token_in, with_line, without_line
from mlinfra_gcp.marks import label_value
from mlinfra_gcp.provider import GcpProvider
from mlinfra_gcp.resources.vertex_endpoint import whole
from mlinfra_gcp.shape import alike, like

TYPES = GcpProvider().types


@pytest.mark.parametrize(
    ("type", "attributes", "place", "said"),
    [
        ("gcp.vertex_custom_job", {"displayName": "x", "jobSpec": {"workerPoolSpecs": [{"machineSpec": {"machinType": "n1"}}]}},
         ("jobSpec", "workerPoolSpecs", 0, "machineSpec", "machinType"), "did you mean 'machineType'?"),
        ("gcp.vertex_custom_job", {"displayName": "x", "jobSpec": {"workerPoolSpecs": [{"machineSpec": {"acceleratorType": "NVIDIA_T4"}}]}},
         ("jobSpec", "workerPoolSpecs", 0, "machineSpec", "acceleratorType"), "NVIDIA_TESLA_T4"),
        ("gcp.run_service", {"name": "x", "template": {"containers": [{"image": "i", "buildInfo": {}}]}},
         ("template", "containers", 0, "buildInfo"), "output only"),
        ("gcp.compute_firewall", {"name": "Web"}, ("name",), "must match"),
        ("gcp.vertex_endpoint", {"name": "api", "displayName": 3}, ("displayName",), "no text"),
        ("gcp.vertex_endpoint", {"name": "api", "displayName": "a", "labels": {"team": "ML Team"}}, ("labels", "team"), "lower-case"),
        ("gcp.vertex_endpoint", {"name": "api", "displayName": "a", "labels": {"mlinfra-op": "x"}}, ("labels", "mlinfra-op"), "mlinfra's own"),
        ("gcp.project_iam_member", {"role": "viewer", "member": "user:a@b.c"}, ("role",), "roles/"),
        ("gcp.vertex_persistent_resource", {"name": "g", "resourcePools": [{"replicaCount": "two"}]},
         ("resourcePools", 0, "replicaCount"), "no whole number"),
    ],
)  # fmt: skip
def test_what_google_would_refuse_is_told_at_plan_time(
    type: str, attributes: dict[str, object], place: tuple[object, ...], said: str
) -> None:
    found = TYPES[type].validate(Map(freeze(attributes)))  # type: ignore[attr-defined]
    assert any(path == place and said in sentence for path, sentence in found), found


def test_what_is_not_known_yet_is_passed_over() -> None:
    spec = freeze({"workerPoolSpecs": [{"machineSpec": UNKNOWN, "replicaCount": UNKNOWN}]})
    assert TYPES["gcp.vertex_custom_job"].validate(Map(displayName=UNKNOWN, jobSpec=spec)) == []  # type: ignore[attr-defined]


def test_a_plan_cites_the_document_for_what_never_changes() -> None:
    attributes = TYPES["gcp.vertex_model"].schema.attributes
    assert attributes["artifactUri"].immutable and "revision" in attributes["artifactUri"].source
    assert "Immutable" in attributes["artifactUri"].source
    template = TYPES["gcp.compute_instance_template"].schema.attributes["properties"]
    assert template.immutable and "has no patch" in template.source


def test_links_numbers_and_defaults_mean_the_same() -> None:
    full = "https://www.googleapis.com/compute/v1/projects/p/zones/z/diskTypes/pd-ssd"
    assert alike(full, "projects/p/zones/z/diskTypes/pd-ssd") and alike(full, "zones/z/diskTypes/pd-ssd") and alike("10", 10)
    assert alike("projects/123/locations/l/models/m@1", "projects/p/locations/l/models/m@1")
    assert not alike("projects/p/locations/l/models/m@1", "projects/q/locations/l/models/m@1")
    assert not alike(True, 1) and not alike("pd-ssd", "d-ssd")
    seen = freeze({"sizeGb": "10", "type": full, "status": "READY", "labels": {"a": "b"}})
    assert like(seen, freeze({"sizeGb": 10, "type": "zones/z/diskTypes/pd-ssd", "empty": False})) == Map(
        sizeGb=10, type="zones/z/diskTypes/pd-ssd", empty=False
    )


def test_a_mark_in_a_description_comes_off_again() -> None:
    line = Owner("tickets", "prod", 'api.variant["a"]', "0123456789abcdef" * 2).line(label_value)
    for text in ("", "runs jobs"):
        marked = with_line(text, line, 256)
        assert without_line(marked) == text and token_in(marked) == "0123456789abcdef" * 2
    assert len(with_line("x" * 300, line, 256)) == 256
    assert label_value('api.variant["a"]') != label_value("api-variant--a--") and len(label_value("x" * 90)) <= 63


@pytest.mark.parametrize(
    ("weights", "percent"),
    [
        ({"a": 9, "b": 1}, {"a": 90, "b": 10}),
        ({"a": 1, "b": 1, "c": 1}, {"a": 33, "b": 33, "c": 34}),
        ({"a": 5, "b": 0}, {"a": 100}),
        ({}, {}),
    ],
)
def test_weights_become_percentages_that_add_up(weights: dict[str, int], percent: dict[str, int]) -> None:
    assert whole(weights) == percent
