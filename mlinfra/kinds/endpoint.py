"""``endpoint``: models behind one URL, with shares of the traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mlinfra.kinds.base import EXPRESSION_SCHEMA, Bool, Bytes, Deferrable, Kind, LocalPath, Model, Seconds, Str, is_deferred
from mlinfra.kinds.training_cluster import check_accelerators
from mlinfra.model.values import EMPTY

Share = Annotated[int, Field(ge=0), Deferrable()]
Positive = Annotated[int, Field(ge=1), Deferrable()]


class _ModelSource:
    """Annotation: ``${router.versions.v1}`` (a map with ``uri`` and ``digest``), a path, or a URI."""

    def __get_pydantic_core_schema__(self, source: Any, handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def _check(self, value: Any) -> Any:
        if is_deferred(value) or (isinstance(value, str) and value):
            return value
        if isinstance(value, Mapping) and "uri" in value:
            return value
        raise PydanticCustomError(
            "model_source", "write a model version, like ${router.versions.v1}, or the path of a model folder"
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, EXPRESSION_SCHEMA]}


class Variant(Model):
    """One model behind the endpoint.

    ``traffic`` is a weight: 90 and 10 split like 9 and 1; a lone variant needs none. With ``shadow: true`` the variant gets
    copies of that many percent of the requests (default: all), and its replies go nowhere."""

    model: Annotated[Any, _ModelSource()] = None
    image: Str | None = None
    traffic: Share | None = None
    shadow: Bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.model is None) == (self.image is None):
            raise PydanticCustomError("variant_source", "a variant takes either 'model' or 'image'")
        if self.shadow is True and isinstance(self.traffic, int) and self.traffic > 100:
            raise PydanticCustomError("shadow_traffic", "a shadow's traffic is a percentage: 0 to 100")
        return self


class ScalingTarget(Model):
    """What scaling keeps: requests in flight per replica."""

    concurrency: Positive


class Replicas(Model):
    """How many copies serve, from ``min`` (0: none while idle, where the target can) to ``max``."""

    min: Share = 1
    max: Positive = 1
    target: ScalingTarget | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not (is_deferred(self.min) or is_deferred(self.max)) and self.min > self.max:
            raise PydanticCustomError("replicas", "replicas.min is greater than replicas.max")
        return self


class Resources(Model):
    """What one replica needs. ``instance_type`` is a cloud's own name for the machine, instead of a choice by need; it ties the spec
    to that cloud."""

    cpus: Annotated[float, Field(gt=0, strict=False), Deferrable()] | None = None
    memory: Bytes | None = None
    accelerators: Annotated[str, AfterValidator(check_accelerators), Deferrable()] | None = None
    instance_type: Annotated[str, Field(min_length=1), Deferrable()] | None = None


class Health(Model):
    """``GET path`` answers 200 when all models are loaded, which must be so ``timeout`` after a start or a change."""

    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$"), Deferrable()] = "/ping"
    timeout: Annotated[Seconds, Field(gt=0), Deferrable()] = 60.0


class Sticky(Model):
    """Requests with the same value of this header go to the same variant."""

    header: Str


def _same_everywhere(value: Any) -> Any:
    return {"min": value, "max": value} if isinstance(value, int) or is_deferred(value) else value


def _header(value: Any) -> Any:
    return {"header": value} if isinstance(value, str) or is_deferred(value) else value


class Endpoint(Kind):
    """Models behind one URL: ``POST /invocations`` (MLflow's protocol) and ``GET /ping``; replies carry ``x-mlinfra-variant``.

    Weights, models and variants change in place. ``env`` is what the model's code finds in its environment."""

    summary: ClassVar[str] = "models behind one URL: variants, weights, shadow traffic"
    outputs: ClassVar[Mapping[str, str]] = {"id": "string", "name": "string", "url": "string"}

    name: Str | None = None
    variants: Annotated[Mapping[str, Variant], Field(min_length=1)]
    replicas: Annotated[Replicas, BeforeValidator(_same_everywhere, json_schema_input_type=Replicas | Positive)] = Replicas()
    resources: Resources = Resources()
    health: Health = Health()
    sticky: Annotated[Sticky, BeforeValidator(_header, json_schema_input_type=Sticky | str)] | None = None
    port: Annotated[int, Field(ge=1, le=65535), Deferrable()] | None = None
    env: Mapping[str, Str] = EMPTY

    @model_validator(mode="after")
    def _somebody_serves(self) -> Self:
        serving = [v for v in self.variants.values() if v.shadow is False]
        if all(v.shadow is True for v in self.variants.values()):
            raise PydanticCustomError("no_serving_variant", "every variant is a shadow; one at least must serve")
        shares = [1 if v.traffic is None else v.traffic for v in serving]
        if serving and all(isinstance(s, int) for s in shares) and sum(shares) == 0:
            raise PydanticCustomError("no_traffic", "no variant gets any traffic; give one a weight above 0")
        if len(serving) > 1 and any(v.traffic is None for v in serving):
            raise PydanticCustomError("missing_traffic", "with more than one variant, each needs its 'traffic'")
        return self

    def local_paths(self) -> Iterable[LocalPath]:
        for name, variant in self.variants.items():
            if isinstance(variant.model, str) and "://" not in variant.model:
                yield LocalPath(variant.model, "data", ("variants", name, "model"))
