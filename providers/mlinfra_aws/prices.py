"""What AWS's resources cost a month, from the hardware catalogue. What is paid by use alone (storage, requests, traffic) is not told."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlinfra.model.cost import Cost
from mlinfra.model.values import EMPTY, Map, Value, is_known
from mlinfra.provider.contract import Find
from mlinfra.provider.hardware.choice import find as offer_of
from mlinfra.provider.hardware.offers import of_type

Pricer = Callable[[Map, str, Find], Cost | None]


def price(type: str, attributes: Map, settings: Map, find: Find) -> Cost | None:
    """The price of a resource of ``type``; None where its type has none."""
    pricer = PRICES.get(type)
    region = settings.get("region")
    if pricer is None:
        return None
    return pricer(attributes, region if isinstance(region, str) else "", find)


def _machines(type: Value, count: Value, region: str, *, spot: bool = False, about: str = "") -> Cost:
    if not isinstance(type, str) or not is_known(type):
        return Cost(monthly=None, sentence="the type of machine is known after apply")
    number = int(count) if isinstance(count, (int, float, str)) and str(count).isdigit() else 1
    choice = offer_of(of_type("mlinfra_aws", type), type, region, spot=spot)
    if choice is None:
        return Cost(
            monthly=None, sentence=f"{number} × {type}" + (f" in {region}" if region else ", in a region that is not set")
        )
    return choice.cost(number, about=about)


def _instance(attributes: Map, region: str, find: Find) -> Cost | None:
    return _machines(attributes.get("InstanceType"), 1, region)


def _group(attributes: Map, region: str, find: Find) -> Cost | None:
    wanted = attributes.get("DesiredCapacity") or attributes.get("MinSize")
    template = attributes.get("LaunchTemplate")
    named = template.get("LaunchTemplateName") if isinstance(template, Mapping) else None
    found = find("aws.launch_template", "LaunchTemplateName", named) or EMPTY
    data = found.get("LaunchTemplateData")
    data = data if isinstance(data, Mapping) else EMPTY
    spot = data.get("InstanceMarketOptions", EMPTY).get("MarketType") == "spot" if is_known(data) or data else False
    type = data.get("InstanceType")
    if str(wanted) == "0" and isinstance(type, str):
        one = _machines(type, 1, region, spot=spot)
        return Cost(
            monthly=0.0, sentence=f"no machine while idle, at most {attributes.get('MaxSize')}; {one.sentence}",
            source=one.source, as_of=one.as_of,
        )  # fmt: skip
    return _machines(type, wanted, region, spot=spot, about=f"at most {attributes.get('MaxSize')}")


def _config(attributes: Map, region: str, find: Find) -> Cost | None:
    """What the endpoint that uses it costs: its hardware stands here, and is known before any name is. The endpoint's own wishes count for how
    many there are; a configuration that no endpoint of the stack uses costs nothing."""
    name = attributes.get("EndpointConfigName")
    endpoint = find("aws.sagemaker_endpoint", "EndpointConfigName", name)
    if endpoint is None and isinstance(name, str):
        return None
    wishes = (endpoint or EMPTY).get("DesiredWeightsAndCapacities")
    wanted = {w.get("VariantName"): w.get("DesiredInstanceCount") for w in wishes or () if isinstance(w, Mapping)}
    found: list[Cost] = []
    for side in ("ProductionVariants", "ShadowProductionVariants"):
        for variant in attributes.get(side) or ():
            if variant.get("ServerlessConfig") is None:
                count = wanted.get(variant.get("VariantName")) or variant.get("InitialInstanceCount")
                found.append(_machines(variant.get("InstanceType"), count, region))
    return _sum(found)


def _sum(costs: list[Cost]) -> Cost | None:
    if not costs:
        return None
    known = all(c.monthly is not None for c in costs)
    return Cost(
        monthly=sum(c.monthly or 0.0 for c in costs) if known else None,
        sentence=", ".join(dict.fromkeys(c.sentence for c in costs)) if len({c.sentence for c in costs}) > 1 or len(costs) == 1
        else f"{len(costs)} variants, each {costs[0].sentence}",
        source=costs[0].source,
        as_of=min(c.as_of for c in costs),
    )  # fmt: skip


def _notebook(attributes: Map, region: str, find: Find) -> Cost | None:
    return _machines(attributes.get("InstanceType"), 1, region)


def _cluster(attributes: Map, region: str, find: Find) -> Cost | None:
    groups = [g for g in attributes.get("InstanceGroups") or () if isinstance(g, Mapping)]
    return _sum([_machines(g.get("InstanceType"), g.get("InstanceCount"), region) for g in groups])


def _run(attributes: Map, region: str, find: Find) -> Cost | None:
    """A run is paid by the hour while it runs, and nothing of it stands afterwards."""
    count = attributes.get("processes") if isinstance(attributes.get("processes"), int) else 1
    one = _machines(attributes.get("instance_type"), count, region)
    return Cost(monthly=0.0, sentence=f"paid while it runs: {one.sentence}", source=one.source, as_of=one.as_of)


def _volume(attributes: Map, region: str, find: Find) -> Cost | None:
    size = attributes.get("Size")
    return Cost(monthly=None, sentence=f"{size if isinstance(size, int) else 'some'} GB of {attributes.get('VolumeType', 'EBS')}")


def _unknown(what: str) -> Pricer:
    def pricer(attributes: Map, region: str, find: Find) -> Cost | None:
        return Cost(monthly=None, sentence=what)

    return pricer


PRICES: Mapping[str, Pricer] = {
    "aws.instance": _instance,
    "aws.autoscaling_group": _group,
    "aws.ebs_volume": _volume,
    "aws.sagemaker_endpoint_config": _config,
    "aws.sagemaker_notebook_instance": _notebook,
    "aws.sagemaker_cluster": _cluster,
    "aws.sagemaker_mlflow_tracking_server": _unknown("a tracking server, by its size"),
    "aws.training_run": _run,
}
