"""Images out of a real registry and out of files: pinned when they are made, looked at when they are planned, gone when they are not ours."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.docker.stack import Stack, stack  # noqa: F401  a fixture
from live.servers.registry import Registry

from mlinfra.provider.files import SelectedFile
from mlinfra.provider.images.engine import local_engine
from mlinfra.provider.images.login import Login

pytestmark = pytest.mark.live

RUNNING = """\
  app: {kind: image, SOURCE}
  web: {kind: docker.container, Image: "${app.uri}", Cmd: [sleep, "1000"], StopSignal: SIGKILL}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry")
    try:
        yield made
    finally:
        made.stop()


def built(stack: Stack, tag: str, word: str) -> str:  # noqa: F811
    """An image of one layer more, on the engine by this tag; its id. No other test has it: one beside this would give it a name too."""
    text = f"FROM {stack.image}\nCOPY word /word\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in (("Dockerfile", text), ("word", f"{word} of {stack.project}".encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    list(stack.api.build(fileobj=io.BytesIO(context.getvalue()), custom_context=True, tag=tag, rm=True, forcerm=True))
    return str(stack.api.inspect_image(tag)["Id"])


def published(stack: Stack, tag: str, word: str) -> str:  # noqa: F811
    """The digest under which the registry has it; the engine has it no more."""
    built(stack, tag, word)
    told = [m["aux"]["Digest"] for m in stack.api.push(tag, stream=True, decode=True) if "Digest" in m.get("aux", {})]
    stack.api.remove_image(tag)
    return str(told[0])


def test_a_tag_is_pinned_when_it_is_pulled_and_a_plan_sees_that_it_moved(stack: Stack, registry: Registry) -> None:  # noqa: F811
    app = f"{registry.host}/app"
    first = published(stack, f"{app}:1", "one")
    stack.settings["pull"] = True
    stack.write(RUNNING.replace("SOURCE", f'source: "{app}:1"') + "outputs: {digest: '${app.digest}'}\n")
    stack.run("apply", "--yes")
    assert stack.container("web")["Config"]["Image"] == f"{app}@{first}"
    assert stack.run("output", "--raw", "digest").out.strip() == first
    assert "No changes" in stack.run("plan", "--detailed-exitcode").out

    second = published(stack, f"{app}:1", "two")
    registry.stop()
    assert "No changes" in stack.run("plan", "--detailed-exitcode").out, "a registry that does not answer moves nothing"
    registry.start()
    said = stack.run("plan").out
    assert "the registry gives another image under its tag now" in said
    assert "Plan: 2 to add, 0 to change, 2 to destroy." in said, said
    stack.run("apply", "--yes")
    assert stack.container("web")["Config"]["Image"] == f"{app}@{second}"
    assert "No changes" in stack.run("plan", "--detailed-exitcode").out
    held = {digest for image in stack.api.images() for digest in image["RepoDigests"] or ()}
    assert f"{app}@{second}" in held and f"{app}@{first}" not in held

    stack.write(RUNNING.replace("SOURCE", f'source: "{app}@{first}"'))
    stack.run("apply", "--yes")
    assert stack.container("web")["Config"]["Image"] == f"{app}@{first}"
    stack.api.remove_container(stack.container("web")["Id"], force=True)
    stack.api.remove_image(f"{app}@{first}", force=True)
    stack.run("apply", "--yes")
    assert stack.container("web")["Config"]["Image"] == f"{app}@{first}"
    stack.run("destroy", "--yes")
    assert not [
        image for image in stack.api.images() if any(app in name for name in image["RepoTags"] or image["RepoDigests"] or ())
    ]


def test_what_no_registry_has_is_told_at_its_place(stack: Stack, registry: Registry) -> None:  # noqa: F811
    published(stack, f"{registry.host}/app:1", "one")
    stack.settings["pull"] = True
    stack.write(
        f'  no_tag: {{kind: image, source: "{registry.host}/app:2"}}\n'
        f'  no_image: {{kind: image, source: "{registry.host}/there-is-none:1"}}\n'
        f'  no_content: {{kind: image, source: "{registry.host}/app@sha256:{"0" * 64}"}}\n'
        '  no_registry: {kind: image, source: "127.0.0.1:1/app:1"}\n'
    )
    said = stack.run("apply", "--yes", code=1).err
    for name in ("app:2", "there-is-none:1", "app@sha256:0000"):
        assert f"the engine has no image {registry.host}/{name}" in said, said
    assert "the engine has no image 127.0.0.1:1/app:1, and it cannot be pulled" in said
    assert said.count("and it cannot be pulled: ") == 4 and "connection refused" in said
    assert "Traceback" not in said and stack.left() == {}


def test_an_archive_is_loaded_under_a_name_of_its_content_and_gone_with_it(stack: Stack) -> None:  # noqa: F811
    made = {word: built(stack, f"mlinfra-test/{stack.project}:{word}", word) for word in ("one", "two")}
    stack.write(RUNNING.replace("SOURCE", "archive: app.tar"))
    archive = stack.folder / "app.tar"

    def save(word: str) -> None:
        archive.write_bytes(b"".join(stack.api.get_image(f"mlinfra-test/{stack.project}:{word}")))
        stack.api.remove_image(f"mlinfra-test/{stack.project}:{word}")

    def names(id: str) -> list[str]:
        return [tag for image in stack.api.images() if image["Id"] == id for tag in image["RepoTags"] or ()]

    save("one")
    stack.run("apply", "--yes")
    assert stack.container("web")["Image"] == made["one"]
    assert all(name.startswith("mlinfra/") for name in names(made["one"])), "the name that it came with stays nobody's"
    save("two")
    stack.run("apply", "--yes")
    assert stack.container("web")["Image"] == made["two"] and names(made["one"]) == []
    assert "No changes" in stack.run("plan").out
    archive.write_bytes(b"no tar at all")
    said = stack.run("apply", "--yes", code=1).err
    assert "app.tar cannot be loaded: " in said and "write it with docker save" in said, said
    assert stack.container("web")["Image"] == made["two"], "what served before serves on"
    stack.run("destroy", "--yes")
    assert names(made["two"]) == []


def test_who_builds_the_same_beside_us_takes_nothing_away(stack: Stack, registry: Registry, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "Dockerfile").write_text(f"FROM {stack.image}\nCOPY Dockerfile /of-{stack.project}\n")
    files = [SelectedFile("Dockerfile", tmp_path / "Dockerfile")]
    login = Login(repository=f"{registry.host}/app", plain=True)
    names = [f"mlinfra-build:{stack.project}-{who}" for who in ("we", "he")]
    with local_engine() as engine:
        ids = [engine.build(files, name, dockerfile="Dockerfile", args={}, target=None, platform=None) for name in names]
        assert ids[0] == ids[1]
        for name, tag in ((names[1], "his"), (names[0], "ours")):
            assert engine.push(ids[0], login, (tag,)).startswith("sha256:")
            engine.drop(name)
    assert ids[0] not in {image["Id"] for image in stack.api.images()}
