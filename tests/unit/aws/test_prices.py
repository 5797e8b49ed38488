"""What AWS's resources cost: told from their own attributes and from those of the neighbours that they name."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.model.values import UNKNOWN, Map, Value, freeze
from mlinfra_aws.prices import price

EAST = Map(region="us-east-1")


def cost(type: str, attributes: dict[str, Any], *neighbours: tuple[str, dict[str, Any]], settings: Map = EAST) -> Any:
    def find(type: str, attribute: str, value: Value) -> Map | None:
        return next((freeze(a) for t, a in neighbours if t == type and a.get(attribute) == value), None)

    return price(type, freeze(attributes), settings, find)


def test_a_machine_costs_its_type() -> None:
    found = cost("aws.instance", {"InstanceType": "p5.4xlarge"})
    assert found.monthly == pytest.approx(6.88 * 730) and found.as_of == "2025-06"


def test_a_type_that_nobody_knows_costs_nobody_knows_what() -> None:
    assert cost("aws.instance", {"InstanceType": "x99.huge"}).monthly is None
    assert cost("aws.instance", {"InstanceType": UNKNOWN}).monthly is None
    assert cost("aws.instance", {"InstanceType": "p5.4xlarge"}, settings=Map()).monthly is None
    assert cost("aws.s3_bucket", {"BucketName": "b"}) is None


TEMPLATE = ("aws.launch_template", {"LaunchTemplateName": "t", "LaunchTemplateData": {"InstanceType": "g6.xlarge"}})
SPOT = (
    "aws.launch_template",
    {
        "LaunchTemplateName": "t",
        "LaunchTemplateData": {"InstanceType": "p5.48xlarge", "InstanceMarketOptions": {"MarketType": "spot"}},
    },
)


def test_a_group_costs_what_its_template_says_times_its_least_size() -> None:
    group = {"MinSize": "2", "MaxSize": "8", "LaunchTemplate": {"LaunchTemplateName": "t"}}
    found = cost("aws.autoscaling_group", group, TEMPLATE)
    assert found.monthly == pytest.approx(2 * 0.8048 * 730) and "at most 8" in found.sentence
    assert cost("aws.autoscaling_group", {**group, "DesiredCapacity": "3"}, TEMPLATE).monthly == pytest.approx(3 * 0.8048 * 730)
    assert cost("aws.autoscaling_group", group, SPOT).monthly == pytest.approx(2 * 14.246 * 730)
    idle = cost("aws.autoscaling_group", {**group, "MinSize": "0"}, TEMPLATE)
    assert idle.monthly == 0.0 and idle.sentence.startswith("no machine while idle, at most 8; 1 × g6.xlarge")
    assert cost("aws.autoscaling_group", group).monthly is None


def test_an_endpoint_s_hardware_is_priced_at_its_configuration_by_the_endpoint_s_wishes() -> None:
    variant = {"VariantName": "a", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    config = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
    west = Map(region="us-west-2")
    new = cost("aws.sagemaker_endpoint_config", {**config, "EndpointConfigName": UNKNOWN}, settings=west)
    assert new.monthly == pytest.approx(1.408 * 730)
    wishes = [{"VariantName": "a", "DesiredInstanceCount": 3}]
    endpoint = ("aws.sagemaker_endpoint", {"EndpointName": "e", "EndpointConfigName": "c", "DesiredWeightsAndCapacities": wishes})
    assert cost("aws.sagemaker_endpoint_config", config, endpoint, settings=west).monthly == pytest.approx(3 * 1.408 * 730)
    assert cost("aws.sagemaker_endpoint_config", config, settings=west) is None  # nobody uses it


def test_a_run_is_paid_while_it_runs() -> None:
    found = cost("aws.training_run", {"instance_type": "ml.g5.xlarge", "processes": 2}, settings=Map(region="us-west-2"))
    assert found.monthly == 0.0 and "paid while it runs: 2 × ml.g5.xlarge" in found.sentence
