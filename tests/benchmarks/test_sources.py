import hashlib

import pytest

from a2v_core.benchmarks import sources
from a2v_core.errors import DataError, DigestError, MissingDataError, SettingsError
from a2v_core.paths import MIRROR_VARIABLE

NAME = "nb201-epoch12"


def test_every_source_says_where_it_comes_from_what_it_is_and_how_it_is_checked():
    for source in sources.REGISTRY.values():
        assert source.what
        assert source.licence
        assert source.path
        if source.page:
            assert source.optional
        else:
            assert len(source.sha256) == 64
            assert source.bytes > 0
        if source.url.startswith("https://raw.githubusercontent.com/"):
            owner, repository, commit, *path = source.url.removeprefix("https://raw.githubusercontent.com/").split("/")
            assert owner
            assert repository
            assert len(commit) == 40
            assert path
    locations = [(source.package, source.path) for source in sources.REGISTRY.values()]
    assert len(set(locations)) == len(locations)


@pytest.mark.parametrize(("entry", "complaint"), [
    ("what='x'\nlicence='x'\npath='x'", "needs one address"),
    ("what='x'\nlicence='x'\npath='x'\nurl='u'\npage='p'", "needs one address"),
    ("what='x'\nlicence='x'\npath='x'\nurl='u'\nsha256='abc'", "64 hexadecimal digits"),
    ("what='x'\nlicence='x'\npath='x'\nurl='u'\ncolour='red'", "colour"),
    ("what='x'\nurl='u'\npath='x'", "licence"),
])
def test_a_malformed_registry_is_refused(tmp_path, entry, complaint):
    path = tmp_path / "sources.toml"
    path.write_text(f"[thing]\n{entry}\n")
    with pytest.raises(DataError, match=complaint):
        sources.read_registry(path)


def test_an_unknown_source_is_refused_with_the_nearest_names():
    with pytest.raises(SettingsError, match=r"'nb201-epoch21'.*did you mean nb201-epoch12"):
        sources.get_source("nb201-epoch21")
    with pytest.raises(SettingsError, match=r"known are .*nb101-official"):
        sources.get_source("!")


def test_a_missing_file_is_described_with_address_size_digest_and_command(root):
    source = sources.get_source(NAME)
    with pytest.raises(MissingDataError) as error:
        sources.verified_path(NAME, root)
    for part in (source.path, source.url, f"{source.bytes:,} bytes", source.sha256,
                 f"python -m a2v_core data fetch {NAME}"):
        assert part in str(error.value)


def test_a_file_to_be_downloaded_by_hand_says_so(root):
    with pytest.raises(MissingDataError, match=r"by hand from https://github\.com/D-X-Y/NATS-Bench"):
        sources.verified_path("nats-tss", root)


def test_a_file_of_a_package_that_is_not_installed_names_the_command(root, register):
    register("nb201-validation-cifar10", b"x", write=False, package="no-such-distribution", version="1.0")
    with pytest.raises(MissingDataError, match=r"pip install no-such-distribution==1\.0"):
        sources.verified_bytes("nb201-validation-cifar10", root)


def test_the_files_of_the_installed_package_have_the_registered_digests(root):
    for name in ("cifar10", "cifar100", "imagenet16"):
        source = sources.get_source(f"nb201-validation-{name}")
        assert sources.status(source, root).state == "installed"
        assert len(sources.verified_bytes(source.name, root)) == source.bytes


def test_content_is_given_out_only_when_its_digest_matches(root, register):
    path = register(NAME, b"content")
    assert sources.verified_bytes(NAME, root) == b"content"
    assert sources.verified_path(NAME, root) == path
    path.write_bytes(b"other")
    for read in (sources.verified_bytes, sources.verified_path):
        with pytest.raises(DigestError, match="does not have the registered digest"):
            read(NAME, root)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="cannot read"):
        sources.verified_bytes(NAME, root)


def test_the_data_folder_goes_before_the_mirror(root, register, tmp_path, monkeypatch):
    path = register(NAME, b"content")
    mirrored = tmp_path / "mirror" / sources.get_source(NAME).path
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(b"content")
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "mirror"))
    assert sources.status(sources.get_source(NAME), root).location == path
    path.unlink()
    found = sources.status(sources.get_source(NAME), root)
    assert (found.state, found.location) == ("in mirror", mirrored)
    assert NAME in str(found)


def test_the_digest_in_the_name_of_the_nats_file_is_checked(root, register, monkeypatch):
    content = b"content"
    prefix = hashlib.md5(content).hexdigest()[:5]
    path = register("nats-tss", content, md5_prefix=prefix)
    source = sources.get_source("nats-tss")
    monkeypatch.setitem(sources.REGISTRY, "nats-tss", type(source)(**{**vars(source), "sha256": ""}))
    assert sources.verified_path("nats-tss", root) == path
    path.write_bytes(b"other")
    with pytest.raises(DigestError, match=prefix):
        sources.verified_path("nats-tss", root)


def test_the_states_of_all_sources_are_listed(root):
    states = {found.source.name: found.state for found in sources.list_sources(root)}
    assert set(states) == set(sources.REGISTRY)
    assert states[NAME] == "missing"
    assert states["nb201-validation-cifar10"] == "installed"
