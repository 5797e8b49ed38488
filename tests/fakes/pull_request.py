"""A plan of the size of a pull request: traffic moves to the challenger, a collection gets another dimension, a GPU pool is added.

What only review must show is in it too: drift, a moved resource, secrets, values that are not known, prices, policies."""

from __future__ import annotations

from typing import Any

from mlinfra.model.change import Action, AttributeChange, Change, Drift, Risk, RiskLevel
from mlinfra.model.cost import Cost
from mlinfra.model.diagnostic import Diagnostic, Severity
from mlinfra.model.plan import Operation, OutputChange, Plan, Step
from mlinfra.model.policy import Effect, Verdict
from mlinfra.model.values import UNKNOWN, Secret, freeze

SECRET = "planted-in-the-pull-request"
PRICES = {"source": "AWS on-demand, eu-central-1", "as_of": "2026-10"}


def _change(action: Action, address: str, type: str, kind: str, **more: Any) -> Change:
    provider = type.partition(".")[0]
    return Change(
        action=action, address=address, type=type, provider=provider, kind=kind, component=address.partition(".")[0], **more
    )


def _same(address: str, type: str, kind: str, **more: Any) -> Change:
    values = freeze({"name": address, "arn": f"arn:aws:x:::{address}"})
    return _change(Action.NOOP, address, type, kind, before=values, after=values, **more)


def _standing(monthly: float) -> dict[str, Cost]:
    cost = Cost(monthly=monthly, **PRICES)
    return {"cost_before": cost, "cost_after": cost}


def _collection() -> Change:
    before = {"name": "tickets_384", "dim": 384, "fields": {"id": "int64", "embedding": "float_vector"}, "token": Secret(SECRET)}
    after = {**before, "name": "tickets_768", "dim": 768, "made": UNKNOWN}
    return _change(
        Action.REPLACE, "tickets", "milvus.collection", "collection", before=freeze(before), after=freeze(after), create_first=True,
        attributes=(
            AttributeChange(path=("fields", "embedding", "dim"), before=384, after=768, forces_replacement="dim of a vector field in Milvus"),
            AttributeChange(path=("token",), before=Secret("old"), after=Secret(SECRET), sensitive=True),
        ),
        risk=Risk(RiskLevel.DESTROYS_DATA, "replaces collection tickets: 1,204,331 vectors"),
    )  # fmt: skip


def _endpoint() -> Change:
    variants = [{"name": "champion", "weight": 90}, {"name": "challenger", "weight": 10}]
    moved = [{"name": "champion", "weight": 50}, {"name": "challenger", "weight": 50}]
    standing = Cost(monthly=335.80, sentence="2 × ml.m5.xlarge at 0.23 USD/h", **PRICES)
    return _change(
        Action.UPDATE, "api", "aws.sagemaker_endpoint", "endpoint",
        before=freeze({"EndpointName": "tickets-prod-api", "Variants": variants}),
        after=freeze({"EndpointName": "tickets-prod-api", "Variants": moved}),
        attributes=(
            AttributeChange(path=("Variants", 0, "weight"), before=90, after=50),
            AttributeChange(path=("Variants", 1, "weight"), before=10, after=50),
        ),
        risk=Risk(RiskLevel.INTERRUPTS_SERVING, "half of the requests to api go to the challenger from now on"),
        cost_before=standing, cost_after=standing,
    )  # fmt: skip


def _pool() -> list[Change]:
    template = {"LaunchTemplateName": "tickets-prod-gpus", "InstanceType": "p5.48xlarge", "SpotOptions": {"MaxPrice": None}}
    group = {"AutoScalingGroupName": "tickets-prod-gpus", "MinSize": 0, "MaxSize": 4, "Arn": UNKNOWN, "tags": {"team": "search"}}
    made = [
        _change(Action.CREATE, "gpus", "aws.autoscaling_group", "training_cluster", after=freeze(group),
                risk=Risk(RiskLevel.COSTS_MONEY, "training_cluster gpus costs 8,036.00 USD a month"),
                cost_after=Cost(monthly=8036.0, sentence="0 to 4 × p5.48xlarge at 55.04 USD/h, 36.5 h counted", **PRICES)),
        _change(Action.CREATE, "gpus.template", "aws.launch_template", "training_cluster", after=freeze({**template, "Id": UNKNOWN})),
    ]  # fmt: skip
    return made


def pull_request(*, verdicts: tuple[Verdict, ...] | None = None) -> Plan:
    """The plan. ``verdicts`` replaces its policies."""
    changes = (
        _same("raw", "aws.s3_bucket", "bucket"),
        _same("corpus", "aws.s3_object_set", "dataset"),
        _change(
            Action.UPDATE, "features", "aws.sagemaker_pipeline", "data_pipeline", runs=True, reason="runs again: steps.embed changed",
            before=freeze({"code": "sha256:" + "a" * 64, "env": {"DIMENSIONS": "384"}}),
            after=freeze({"code": UNKNOWN, "env": {"DIMENSIONS": "768"}}),
            attributes=(
                AttributeChange(path=("env", "DIMENSIONS"), before="384", after="768"),
                AttributeChange(path=("steps", "embed", "run"), before="python embed.py\n", after="python embed.py --model e5-base\n"),
            ),
        ),
        *_pool(),
        _same("registry", "aws.sagemaker_model_package_group", "model_registry"),
        _same("router", "aws.sagemaker_model_package", "model"),
        _endpoint(),
        _same("vectors", "aws.ec2_instance", "vector_database", **_standing(140.16)),
        _collection(),
        _change(Action.UPDATE, "tickets.alias", "milvus.alias", "collection", before=freeze({"collection": "tickets_384"}),
                after=freeze({"collection": "tickets_768"}),
                attributes=(AttributeChange(path=("collection",), before="tickets_384", after="tickets_768"),)),
        _change(Action.DELETE, 'scratch["old|notes"]', "aws.s3_bucket", "bucket", before=freeze({"BucketName": "tickets-prod-scratch"}),
                reason="it is not in the spec any more", risk=Risk(RiskLevel.DESTROYS_DATA, "deletes bucket scratch: 12 objects, 4.1 MB")),
        _change(Action.NOOP, "notes", "aws.s3_bucket", "bucket", before=freeze({"BucketName": "notes"}), after=freeze({"BucketName": "notes"}),
                moved_from="old_notes"),
    )  # fmt: skip
    found = (
        Verdict(policy="gpu_pools_scale_to_zero", effect=Effect.WARN, address="gpus", message="a pool of H100s should have nodes.max <= 2"),
        Verdict(policy="no_data_loss", effect=Effect.DENY, address="tickets", message="data is not destroyed by a pull request",
                reason="CHG-4711: re-embedded from raw, agreed with search"),
    )  # fmt: skip
    order = [i for i, c in enumerate(changes) if c.action is not Action.NOOP]
    operations = {
        Action.CREATE: Operation.CREATE,
        Action.UPDATE: Operation.UPDATE,
        Action.DELETE: Operation.DELETE,
        Action.REPLACE: Operation.CREATE,
    }
    return Plan(
        changes=changes,
        steps=tuple(Step(operation=operations[changes[i].action], change=i) for i in order),
        needs={
            "corpus": ("raw",), "features": ("corpus", "tickets"), "gpus": ("gpus.template",), "router": ("registry", "features"),
            "api": ("router",), "tickets": ("vectors",), "tickets.alias": ("tickets",), 'scratch["old|notes"]': ("raw",),
        },
        drift=(Drift(address="raw", type="aws.s3_bucket", kind="bucket", component="raw",
                     attributes=(AttributeChange(path=("VersioningConfiguration", "Status"), before="Enabled", after="Suspended"),)),),
        output_changes=(
            OutputChange(name="collection", before="tickets_384", after="tickets_768"),
            OutputChange(name="password", before=None, after=Secret(SECRET), sensitive=True),
            OutputChange(name="predict_url", before=None, after=UNKNOWN),
        ),
        warnings=(Diagnostic(code="plan.note", severity=Severity.WARNING, message="the price of <spot> capacity moves; @ops should know"),),
        verdicts=found if verdicts is None else verdicts,
        moves=(("old_notes", "notes"),), lineage="6f1d0a4e52c94a7c", serial=41, spec_digest="9a0b" * 16, project="tickets", environment="prod",
    )  # fmt: skip
