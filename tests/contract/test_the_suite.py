"""The contract suite itself: it passes a sound provider, and names the test that each way of breaking the contract fails."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SOUND = '''
import uuid
from pydantic import BaseModel, ConfigDict
from mlinfra.kinds.data import Data
from mlinfra.model.resource import Observed
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Ref, Secret, UNKNOWN
from mlinfra.provider.contract import Lowered
from mlinfra.provider.failures import AlreadyExists
from mlinfra.provider.testing import Portable, ProviderContract, Sample


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")


def predict(attributes):
    return {"path": "/" + attributes["name"]} if isinstance(attributes.get("name"), str) else {}


class Thing:
    """An object in a dictionary that stands for the world."""

    schema = Schema(
        attributes={
            "name": Attribute(required=True, immutable=True, source="its name"),
            "size": Attribute(),
            "key": Attribute(sensitive=True),
            "path": Attribute(computed=True),
        },
        predict=predict,
    )

    def seen(self, id, thing):
        return Observed(id, Map({**thing["attributes"], "path": "/" + thing["attributes"]["name"]}))

    async def read(self, client, recorded):
        return self.seen(recorded.id, client[recorded.id]) if recorded.id in client else None

    async def read_many(self, client, recorded):
        return {r.id: self.seen(r.id, client[r.id]) for r in recorded if r.id in client}

    async def create(self, client, desired, token):
        id = desired.attributes["name"]
        if id in client:
            raise AlreadyExists("it exists")
        client[id] = {"attributes": {k: v for k, v in desired.attributes.items() if k != "key"}, "token": token}
        return self.seen(id, client[id])

    async def update(self, client, recorded, desired):
        client[recorded.id]["attributes"] = {k: v for k, v in desired.attributes.items() if k != "key"}
        return self.seen(recorded.id, client[recorded.id])

    async def delete(self, client, recorded):
        client.pop(recorded.id, None)

    async def find(self, client, desired, token):
        id = desired.attributes["name"]
        return self.seen(id, client[id]) if client.get(id, {}).get("token") == token else None

    async def adopt(self, client, id):
        return self.seen(id, client[id]) if id in client else None

    async def stake(self, client, recorded):
        return "1 thing"

    async def logs(self, client, recorded, *, follow):
        yield "made"


def lower(spec, context):
    thing = context.resource("good.thing", {"name": context.address, "size": 1})
    outputs = {"id": Ref(context.address, ("name",)), "input": spec.input, "output": Ref(context.address, ("path",))}
    return Lowered(resources=(thing,), outputs=Map(outputs))


class Good:
    name, config, everywhere, max_concurrency = "good", Config, frozenset(), 4

    def __init__(self):
        self.types, self.lowerings = {"good.thing": Thing()}, {"data": lower}

    async def connect(self, config, context):
        return {}
'''

SUITE = """

class TestGood(ProviderContract):
    provider = Good()
    samples = (
        Sample(
            type="good.thing",
            create={"name": "a", "size": 1, "key": Secret("planted")},
            update={"name": "a", "size": 2, "key": Secret("planted")},
            replace={"name": "b"},
        ),
    )
    portables = (Portable(kind="data"),)
"""

BREAKAGES = {
    "forgets an attribute": (
        "what_create_gives_is_whole_as_predicted_and_as_read",
        'return Observed(id, Map({**thing["attributes"], "path": "/" + thing["attributes"]["name"]}))',
        'return Observed(id, Map(thing["attributes"]))',
    ),
    "returns an unknown attribute": (
        "what_create_gives_is_whole_as_predicted_and_as_read",
        'Map({**thing["attributes"],',
        'Map({"x": 1, **thing["attributes"],',
    ),
    "returns a mutable tree": (
        "what_create_gives_is_whole_as_predicted_and_as_read",
        'Map({**thing["attributes"], "path": "/" + thing["attributes"]["name"]})',
        '{**thing["attributes"], "path": ["/"]}',
    ),
    "shows a secret": (
        "what_create_gives_is_whole_as_predicted_and_as_read",
        '{k: v for k, v in desired.attributes.items() if k != "key"}, "token"',
        '{**desired.attributes, "key": desired.attributes["key"].reveal() if "key" in desired.attributes else ""}, "token"',
    ),
    "changes an input": (
        "what_create_gives_is_whole_as_predicted_and_as_read",
        '"token": token}',
        '"token": token}\n        client[id]["attributes"]["size"] = 9',
    ),
    "predicts wrongly": (
        "what_create_gives_is_whole_as_predicted_and_as_read",
        'return {"path": "/" + attributes["name"]}',
        'return {"path": "?"}',
    ),
    "predicts an input": ("schemas_are_sound", "else {}\n", 'else {"size": 1}\n'),
    "cannot predict unknowns": ("schemas_are_sound", 'if isinstance(attributes.get("name"), str) else {}', ""),
    "cites no source": ("schemas_are_sound", ', source="its name"', ""),
    "reads nothing": (
        "what_create_gives_is_whole_as_predicted_and_as_read",
        "if recorded.id in client else None",
        "if False else None",
    ),
    "raises what it must not": (
        "deleted_is_gone_and_deleting_again_succeeds",
        "client.pop(recorded.id, None)",
        "client.pop(recorded.id)",
    ),
    "does not delete": ("deleted_is_gone_and_deleting_again_succeeds", "client.pop(recorded.id, None)", "pass"),
    "takes over what exists": ("two_creates_never_share_an_object", 'raise AlreadyExists("it exists")', "pass"),
    "finds by name alone": (
        "create_is_found_by_its_token_and_only_by_it",
        'client.get(id, {}).get("token") == token',
        "id in client",
    ),
    "never finds": ("create_is_found_by_its_token_and_only_by_it", '.get("token") == token else', '.get("token") == 1 else'),
    "cannot find what it made": ("whatever_is_made_can_be_found_after_a_crash", "async def find(", "async def search("),
    "answers for strangers": (
        "whatever_else_looks_agrees_with_read",
        "for r in recorded if r.id in client}",
        "for r in recorded} if 0 else {'z': 1}",
    ),
    "adopts nothing": ("whatever_else_looks_agrees_with_read", "if id in client else None", "if False else None"),
    "stakes a number": ("whatever_else_looks_agrees_with_read", 'return "1 thing"', "return 1"),
    "logs bytes": ("whatever_else_looks_agrees_with_read", 'yield "made"', 'yield b"made"'),
    "changes the id": (
        "update_happens_in_place_and_back",
        "return self.seen(recorded.id, client[recorded.id])\n\n    async def delete",
        'return self.seen("other", client[recorded.id])\n\n    async def delete',
    ),
    "ignores an update": ("update_happens_in_place_and_back", 'client[recorded.id]["attributes"] = {', "ignored = {"),
    "lowers at random": ("lowering_is_pure", '"size": 1})', '"size": uuid.uuid4().hex})'),
    "lacks an output": ("lowering_gives_the_outputs_of_the_kind", '"input": spec.input, ', ""),
    "refers to nothing": ("lowering_gives_the_outputs_of_the_kind", '("path",)', '("paht",)'),
    "misspells an attribute": ("lowering_gives_resources_that_their_schemas_take", '"size": 1})', '"sise": 1})'),
    "takes any setting": ("unknown_settings_are_refused", '"forbid"', '"ignore"'),
    "misnames a type": ("names_are_in_order", '"good", Config', '"better", Config'),
}


def failed_tests(pytester: pytest.Pytester, text: str) -> set[str]:
    pytester.makepyfile(test_good=text)
    result = pytester.inline_run("-q", "-p", "no:cacheprovider")
    return {report.nodeid.partition("::test_")[2].partition("[")[0] for report in result.getfailures()}


def test_a_sound_provider_passes_every_check(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_good=SOUND + SUITE)
    result = pytester.inline_run("-q", "-p", "no:cacheprovider")
    result.assertoutcome(passed=15, skipped=2)  # it has no check on a server and names no defaults


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_provider_that(pytester: pytest.Pytester, name: str) -> None:
    expected, old, new = BREAKAGES[name]
    assert old in SOUND
    assert expected in failed_tests(pytester, SOUND.replace(old, new) + SUITE)


def test_a_type_without_a_sample_is_told(pytester: pytest.Pytester) -> None:
    text = SOUND.replace('{"good.thing": Thing()}', '{"good.thing": Thing(), "good.other": Thing()}') + SUITE
    assert failed_tests(pytester, text) == {"nothing_goes_untested"}
