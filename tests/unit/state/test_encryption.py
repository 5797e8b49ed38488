"""An encrypted state: what goes in comes out, what was altered is refused, keys change without anything being lost."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.model.errors import StateError
from mlinfra.model.resource import ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Sealed, Secret, SecretDigest, SecretRef, freeze
from mlinfra.state.codec import decode, encode
from mlinfra.state.compare import equal
from mlinfra.state.encryption import local_keys
from mlinfra.state.encryption.keyring import ENVELOPE, fresh_keyring, open_keyring
from mlinfra.state.encryption.rotation import rotate
from mlinfra.state.encryption.settings import read_settings
from mlinfra.state.encryption.sources import Encryption, KeySource
from mlinfra.state.encryption.store import MAGIC, EncryptedStore
from mlinfra.state.entries import Outputs, Record
from mlinfra.state.sealing import Sealer
from mlinfra.state.session import Location, open_session
from mlinfra.state.stores.local import LocalStore

PREFIX = "p/default/"
PLANTED = "hunter2-planted-secret"
RING = fresh_keyring()
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_KEY", base64.b64encode(os.urandom(32)).decode())
    monkeypatch.setenv("NEW_KEY", "a passphrase that is long enough")


def located(folder: Path, *keys: str, whole: bool = False) -> Location:
    """The state in ``folder``, encrypted with the first of ``keys``; not at all without any."""
    encryption = Encryption(tuple(KeySource("env", key) for key in keys), whole) if keys else None
    return Location(EncryptedStore(LocalStore(folder), PREFIX, encryption), PREFIX, encryption=encryption)


def write(location: Location, *values: str) -> None:
    """One apply that records an object with a computed secret, and an output, for each of ``values``."""

    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        schema = Schema(attributes={"password": Attribute(computed=True, sensitive=True)})
        for value in values:
            attributes = session.sealer.seal_attributes(Map(password=value, url="plain"), schema, ())
            r = ResourceState(address=f"r{value[-1]}", type="t.x", provider="t", id=value[-1], attributes=attributes)
            await session.append(Record(resource=r))
        await session.append(Outputs(values=Map(pw=session.sealer.keep(Secret(values[-1]))), sensitive=("pw",)))
        await session.close()

    asyncio.run(run())


def passwords(location: Location) -> dict[str, object]:
    """The secrets that the state gives back; their digests where it keeps no more."""
    sealer = location.sealer()
    found = {a: sealer.open(r.attributes["password"]) for (a, _), r in location.read().resources.items()}
    return {a: v.reveal() if isinstance(v, Secret) else v for a, v in found.items()}


def everything_written(folder: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


@given(plain)
def test_every_value_that_is_kept_comes_back_as_it_was(value: object) -> None:
    sealer = Sealer(RING.digest_key, keyring=RING)
    kept = decode(json.loads(json.dumps(encode(sealer.keep(Map(x=Secret(freeze(value))))))))
    assert isinstance(kept["x"], Sealed)
    assert sealer.open(kept) == Map(x=Secret(freeze(value)))
    assert equal(kept["x"], Secret(freeze(value)), sealer)


@given(st.binary(max_size=200), st.text(max_size=20))
def test_every_blob_comes_back_as_it_was(data: bytes, name: str) -> None:
    assert RING.decrypt_blob(RING.encrypt_blob(data, name), name) == data


@given(st.binary(max_size=60), st.data())
def test_a_blob_of_which_one_bit_was_altered_is_refused(data: bytes, draw: st.DataObject) -> None:
    sealed = bytearray(RING.encrypt_blob(data, "state.json"))
    sealed[draw.draw(st.integers(0, len(sealed) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with pytest.raises(StateError):
        RING.decrypt_blob(bytes(sealed), "state.json")


@given(st.binary(max_size=60), st.integers(min_value=0))
def test_a_blob_that_was_cut_or_moved_is_refused(data: bytes, length: int) -> None:
    sealed = RING.encrypt_blob(data, "history/1")
    with pytest.raises(StateError, match=r"altered .* or comes from another place"):
        RING.decrypt_blob(sealed, "history/2")
    with pytest.raises(StateError):
        RING.decrypt_blob(sealed[: length % len(sealed)], "history/1")


def test_a_secret_whose_digest_was_exchanged_is_refused() -> None:
    sealer = Sealer(RING.digest_key, keyring=RING)
    one, other = sealer.keep(Secret("one")), sealer.keep(Secret("other"))
    with pytest.raises(StateError, match="altered"):
        sealer.open(Sealed(one.digest, other.ciphertext))


def test_the_same_secret_encrypted_twice_is_no_change_and_looks_different() -> None:
    sealer = Sealer(RING.digest_key, keyring=RING)
    one, two = sealer.keep(Secret(PLANTED)), sealer.keep(Secret(PLANTED))
    assert one == two and one.ciphertext != two.ciphertext and equal(one, two, sealer)
    assert not equal(one, sealer.keep(Secret("another")), sealer)


def test_computed_secrets_are_kept_and_inputs_are_not(tmp_path: Path) -> None:
    sealer = Sealer(RING.digest_key, keyring=RING)
    schema = Schema(attributes={"password": Attribute(computed=True, sensitive=True), "key": Attribute(sensitive=True)})
    sealed = sealer.seal_attributes(Map(password="made", key="given", echo=Secret("given")), schema, {"key": "given"})
    assert type(sealed["password"]) is Sealed and type(sealed["key"]) is SecretDigest and type(sealed["echo"]) is Sealed
    given = sealer.seal_attributes(Map(password="given"), schema, {"password": "given"})
    assert type(given["password"]) is SecretDigest


def test_a_secret_that_is_to_be_fetched_is_written_as_its_place() -> None:
    sealer = Sealer(b"k" * 32)
    tree = Map(x=Secret(SecretRef("env:NAME")))
    assert encode(sealer.seal(tree)) == {"x": {"$fetched": "env:NAME"}}
    assert decode(encode(sealer.seal(tree))) == tree


@pytest.mark.parametrize("whole", [False, True])
def test_an_encrypted_state_gives_computed_secrets_back_and_shows_none(tmp_path: Path, whole: bool) -> None:
    write(located(tmp_path, "OLD_KEY", whole=whole), PLANTED)
    assert passwords(located(tmp_path, "OLD_KEY", whole=whole)) == {"rt": PLANTED}
    written = everything_written(tmp_path)
    assert PLANTED.encode() not in written and (b'"url":"plain"' in written) is not whole
    assert {p.stat().st_mode & 0o077 for p in tmp_path.rglob("*") if p.is_file()} == {0}


def test_an_unencrypted_state_keeps_digests_only(tmp_path: Path) -> None:
    write(located(tmp_path), PLANTED)
    assert isinstance(passwords(located(tmp_path))["rt"], SecretDigest)


@pytest.mark.parametrize("whole", [False, True])
def test_a_state_becomes_encrypted_while_it_is_in_use_and_old_digests_still_compare(tmp_path: Path, whole: bool) -> None:
    write(located(tmp_path), PLANTED)
    now = located(tmp_path, "OLD_KEY", whole=whole)
    assert set(now.read().freeze().current()) == {"rt"}
    write(now, PLANTED + "2")
    assert set(now.read().freeze().current()) == {"rt", "r2"}
    old = now.read().freeze().current()["rt"].attributes["password"]
    assert equal(old, Secret(PLANTED), now.sealer()) and not equal(old, Secret("other"), now.sealer())
    assert not (tmp_path / PREFIX / "secret.key").exists()
    snapshot = (tmp_path / PREFIX / "state.json").read_bytes()
    assert snapshot.startswith(MAGIC) is whole


def test_whole_encryption_can_be_turned_off_again(tmp_path: Path) -> None:
    write(located(tmp_path, "OLD_KEY", whole=True), "one-1")
    write(located(tmp_path, "OLD_KEY"), "two-2")
    assert passwords(located(tmp_path, "OLD_KEY")) == {"r1": "one-1", "r2": "two-2"}
    assert not (tmp_path / PREFIX / "state.json").read_bytes().startswith(MAGIC)


@pytest.mark.parametrize("whole", [False, True])
def test_without_its_key_a_state_is_refused_in_one_sentence(tmp_path: Path, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write(located(tmp_path, "OLD_KEY", whole=whole), PLANTED)
    right = os.environ["OLD_KEY"]
    with pytest.raises(StateError, match="state is encrypted"):
        write(located(tmp_path), "other-1")
    with pytest.raises(StateError, match="the key env:NEW_KEY is not the one"):
        write(located(tmp_path, "NEW_KEY", whole=whole), "other-1")
    monkeypatch.delenv("OLD_KEY")
    with pytest.raises(StateError, match="env:OLD_KEY is not set"):
        passwords(located(tmp_path, "OLD_KEY", whole=whole))
    monkeypatch.setenv("OLD_KEY", "short")
    with pytest.raises(StateError, match="too short") as caught:
        passwords(located(tmp_path, "OLD_KEY", whole=whole))
    assert "'short'" not in str(caught.value)
    monkeypatch.setenv("OLD_KEY", right)
    assert passwords(located(tmp_path, "OLD_KEY", whole=whole)) == {"rt": PLANTED}  # nothing was lost by being refused


@pytest.mark.parametrize("whole", [False, True])
def test_a_rotated_key_replaces_the_old_one_everywhere(tmp_path: Path, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write(located(tmp_path, "OLD_KEY", whole=whole), "one-1", "two-2")
    old_id = json.loads((tmp_path / PREFIX / ENVELOPE).read_bytes())["current"]
    both = located(tmp_path, "NEW_KEY", "OLD_KEY", whole=whole)
    assert passwords(both) == {"r1": "one-1", "r2": "two-2"}  # before: previous keys still read
    done = rotate(both)
    assert done.key != old_id and done.secrets == 3 and not done.left
    monkeypatch.delenv("OLD_KEY")
    now = located(tmp_path, "NEW_KEY", whole=whole)
    assert passwords(now) == {"r1": "one-1", "r2": "two-2"}
    assert now.sealer().open(now.read().outputs["pw"]) == Secret("two-2")
    assert list(json.loads((tmp_path / PREFIX / ENVELOPE).read_bytes())["keys"]) == [done.key]
    if whole:
        blobs = [p.read_bytes() for p in (tmp_path / PREFIX).rglob("*") if p.is_file() and p.name not in ("lock.json", ENVELOPE)]
        assert blobs and all(b[len(MAGIC) :][:8].hex() == done.key for b in blobs)


def test_digests_made_before_a_rotation_still_compare_after_it(tmp_path: Path) -> None:
    location = located(tmp_path, "OLD_KEY")
    write(location, "one-1")
    digest = location.sealer().digest("an input")
    rotate(located(tmp_path, "NEW_KEY", "OLD_KEY"))
    rotate(located(tmp_path, "NEW_KEY"))
    sealer = located(tmp_path, "NEW_KEY").sealer()
    assert sealer.fits(digest, "an input") and not sealer.fits(digest, "another")


def test_a_rotation_that_was_cut_off_loses_nothing_and_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(located(tmp_path, "OLD_KEY", whole=True), "one-1")
    both = located(tmp_path, "NEW_KEY", "OLD_KEY", whole=True)
    monkeypatch.setattr(EncryptedStore, "list", _killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(both)
    monkeypatch.undo()
    monkeypatch.setenv("NEW_KEY", "a passphrase that is long enough")
    assert passwords(located(tmp_path, "NEW_KEY", whole=True)) == {"r1": "one-1"}
    done = rotate(located(tmp_path, "NEW_KEY", whole=True))
    assert list(json.loads((tmp_path / PREFIX / ENVELOPE).read_bytes())["keys"]) == [done.key]
    assert passwords(located(tmp_path, "NEW_KEY", whole=True)) == {"r1": "one-1"}


def _killed(store: EncryptedStore, prefix: str) -> list[str]:
    if prefix == PREFIX:  # the sweep over all blobs
        raise KeyboardInterrupt
    return store._inner.list(prefix)


def test_a_reader_goes_on_after_somebody_rotated_the_key(tmp_path: Path) -> None:
    write(located(tmp_path, "OLD_KEY", whole=True), "one-1")
    reader = located(tmp_path, "OLD_KEY", "NEW_KEY", whole=True)
    assert set(reader.read().freeze().current()) == {"r1"}
    rotate(located(tmp_path, "NEW_KEY", "OLD_KEY", whole=True))
    assert set(reader.read().freeze().current()) == {"r1"}


def test_two_who_begin_to_encrypt_at_once_use_one_key(tmp_path: Path) -> None:
    class Late(LocalStore):
        """Somebody else writes the keys between our look and our write."""

        def put_if(self, key: str, data: bytes, version: str | None) -> str:
            if key.endswith(ENVELOPE) and not (tmp_path / key).exists():
                open_keyring(LocalStore(tmp_path), PREFIX, encryption, create=True)
            return super().put_if(key, data, version)

    encryption = Encryption((KeySource("env", "OLD_KEY"),))
    mine = open_keyring(Late(tmp_path), PREFIX, encryption, create=True)
    theirs = open_keyring(LocalStore(tmp_path), PREFIX, encryption, create=False)
    assert mine is not None and theirs is not None and mine.keys == theirs.keys


@pytest.mark.parametrize("form", ["base64", "urlsafe", "hex", "raw"])
def test_a_key_of_32_bytes_is_read_in_every_form(tmp_path: Path, form: str) -> None:
    key = bytes(range(200, 232))
    forms = {
        "base64": base64.b64encode(key) + b"\n",
        "urlsafe": base64.urlsafe_b64encode(key).rstrip(b"="),
        "hex": key.hex().encode() + b"\n",
        "raw": key,
    }
    (tmp_path / "key").write_bytes(forms[form])
    assert local_keys.key_of(KeySource("file", str(tmp_path / "key")), b"") == key


def test_a_passphrase_is_stretched_with_its_salt() -> None:
    source = KeySource("env", "NEW_KEY")
    assert local_keys.key_of(source, b"a" * 16) == local_keys.key_of(source, b"a" * 16) != local_keys.key_of(source, b"b" * 16)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({}, "key is missing"),
        ({"key": "env:K", "hole": True}, "did you mean 'whole'"),
        ({"key": "awskm:alias/x"}, "did you mean 'awskms'"),
        ({"key": "gcpkms:my-key"}, "gcpkms: is followed by something else"),
        ({"key": "azurekv:http://v/keys/k"}, "azurekv: is followed by"),
        ({"key": "env:K", "previous": ["nonsense"]}, "not where a key comes from"),
        ({"key": 5}, "string"),
        ("env:K", "must be a map"),
    ],
)
def test_settings_that_cannot_be_are_refused(block: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(StateError, match=said):
        read_settings(freeze(block), tmp_path)


def test_a_key_written_into_the_spec_is_refused_and_not_quoted(tmp_path: Path) -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    with pytest.raises(StateError) as caught:
        read_settings(Map(key=key), tmp_path)
    assert key not in str(caught.value)
