"""Settings that are right at sight are those that the model takes, and come out as it makes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.model.values import Map, Secret, Value, freeze, thaw
from mlinfra.provider.settings import configured, known
from mlinfra_aws.plain import AT_SIGHT, DEFAULTS
from mlinfra_aws.provider import AwsProvider
from mlinfra_aws.settings import AwsConfig

AWS = AwsProvider()
_TEXTS = st.text(max_size=8) | st.sampled_from(
    ["eu-central-1", "us-gov-west-1", "aws:", "mlinfra:env", "http://127.0.0.1", "٣-a-1"]
)
_VALUES = st.one_of(
    _TEXTS, st.none(), st.booleans(), st.integers(), st.floats(), st.dictionaries(_TEXTS, _TEXTS | st.integers(), max_size=2),
    st.lists(_TEXTS, max_size=2), st.sampled_from(list(DEFAULTS.values())), st.just(32.0),
)  # fmt: skip
_SETTINGS = st.dictionaries(st.sampled_from([*DEFAULTS, "no_such_setting"]) | st.sampled_from([*AT_SIGHT]), _VALUES, max_size=3)


@given(_SETTINGS)
def test_what_is_right_at_sight_is_what_the_model_makes_of_it(written: dict[str, Value]) -> None:
    found = known(AWS, freeze(written))
    if found is None:
        return
    model = AwsConfig.model_validate(thaw(freeze(written)))
    assert found == freeze(model.model_dump())
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in freeze(model.model_dump()).items()
    }
    assert list(found) == list(AwsConfig.model_fields)


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"region": "eu-central-1"},
        {"profile": "work", "endpoint_url": "http://127.0.0.1:5000", "default_tags": {"team": "ml"}},
        DEFAULTS,
    ],
)
def test_common_settings_need_no_model(written: dict[str, Value]) -> None:
    found = known(AWS, freeze(written))
    assert found is not None
    config = configured(AWS, freeze(written))
    assert not isinstance(config, AwsConfig)
    assert known(AWS, found) == found  # as when the provider connects
    assert {name: getattr(config, name) for name in AwsConfig.model_fields} == found


@pytest.mark.parametrize(
    "written",
    [
        {"region": "Frankfurt"},
        {"region": Secret("eu-central-1")},
        {"profile": 1},
        {"default_tags": {"aws:x": "1"}},
        {"assume_role": {"role_arn": "arn:aws:iam::123456789012:role/r"}},
        {"allowed_account_ids": (123456789012,)},
        {"no_such_setting": None},
    ],
)
def test_the_model_is_asked_for_everything_else(written: dict[str, Value]) -> None:
    assert known(AWS, freeze(written)) is None


def test_what_connects_with_other_settings_gets_the_model() -> None:
    assert configured(AWS, freeze({"retry_mode": "standard"})) == AwsConfig(retry_mode="standard")
    with pytest.raises(ValueError, match="no region"):
        configured(AWS, Map(region="Frankfurt"))
