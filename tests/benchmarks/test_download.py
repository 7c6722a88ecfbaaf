import errno
import http.server
import io
import os
import pathlib
import socket
import threading

import pytest

from a2v_core.benchmarks import download as module
from a2v_core.benchmarks import sources
from a2v_core.benchmarks.download import fetch, resolve, verify
from a2v_core.errors import DigestError, FetchError, MissingDataError, SettingsError
from a2v_core.paths import MIRROR_VARIABLE

NAME = "nb201-epoch12"
CONTENT = bytes(range(256)) * 400


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` with ranges. `cuts` are numbers of bytes after which successive answers break off; `status`
    refuses; `ranges` turned off answers every request from the start."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cuts, self.status, self.ranges, self.requests = CONTENT, [], 200, True, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        requested = self.headers.get("Range")
        server.requests.append(requested)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(requested[6:-1]) if requested and server.ranges else 0
        total = len(server.content)
        if start >= total:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else total
        self.wfile.write(server.content[start:end])
        self.wfile.flush()
        if end < total:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "CHUNK", 1000)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(register, server):
    """Final path of a source that the local server serves; nothing is there yet."""
    return register(NAME, CONTENT, write=False, url=server.url)


def part_of(target):
    return target.with_name(target.name + ".part")


def test_a_file_is_downloaded_once(root, server, target):
    (result,) = fetch([NAME], root)
    assert (result.state, result.path) == ("fetched", target)
    assert target.read_bytes() == CONTENT
    (result,) = fetch([NAME], root)
    assert result.state == "present"
    assert str(target) in str(result)
    assert server.requests == [None]
    assert os.listdir(target.parent) == [target.name]
    assert [found.state for found in verify([NAME], root)] == ["ok"]


def test_a_part_from_an_earlier_call_is_completed_not_fetched_again(root, server, target):
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT[:70_000])
    fetch([NAME], root)
    assert server.requests == ["bytes=70000-"]
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


def test_a_download_that_breaks_off_is_taken_up_within_the_call(root, server, target):
    server.cuts = [10_000, 20_000]
    fetch([NAME], root)
    assert len(server.requests) == 3
    assert all(server.requests[1:])
    assert target.read_bytes() == CONTENT


def test_a_download_that_gets_no_further_keeps_its_part_and_leaves_no_half_file(root, server, target):
    server.cuts = [50_000, *[0] * 10]
    with pytest.raises(FetchError, match="goes on where it stopped"):
        fetch([NAME], root)
    assert os.listdir(target.parent) == [part_of(target).name]
    assert part_of(target).read_bytes() == CONTENT[:50_000]
    server.cuts = []
    fetch([NAME], root)
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(root, server, target):
    server.ranges = False
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(b"x" * 100)
    fetch([NAME], root)
    assert target.read_bytes() == CONTENT


def test_a_complete_part_needs_no_server_and_an_overlong_one_is_dropped(root, server, target):
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT)
    fetch([NAME], root)
    assert server.requests == []
    target.unlink()
    part_of(target).write_bytes(CONTENT + b"more")
    fetch([NAME], root)
    assert server.requests == [None]
    assert target.read_bytes() == CONTENT


def test_a_part_of_a_file_of_unknown_size_is_recognised_as_complete(root, server, register):
    target = register("nb101-official", CONTENT, write=False, url=server.url)
    source = sources.get_source("nb101-official")
    sources.REGISTRY["nb101-official"] = type(source)(**{**vars(source), "about": True})
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT)
    fetch(["nb101-official"], root)
    assert target.read_bytes() == CONTENT
    target.unlink()
    part_of(target).write_bytes(CONTENT + b"more")
    fetch(["nb101-official"], root)
    assert server.requests[-2:] == [f"bytes={len(CONTENT) + 4}-", None]
    assert target.read_bytes() == CONTENT


def test_wrong_content_is_thrown_away_and_what_was_there_stays(root, server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"old")
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(DigestError, match="as registered"):
        fetch([NAME], root)
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == [target.name]
    assert [found.state for found in verify([NAME], root)] == ["damaged"]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusing_server_is_named_with_its_answer(root, server, target, status):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"old")
    server.status = status
    with pytest.raises(FetchError, match=rf"127\.0\.0\.1.* answered {status}.*by hand at .*sha256"):
        fetch([NAME], root)
    assert target.read_bytes() == b"old"


def test_a_closed_port_is_a_clear_error(root, register, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    register(NAME, CONTENT, write=False, url=f"http://127.0.0.1:{port}/file")
    with pytest.raises(FetchError, match="check the network"):
        fetch([NAME], root)


class FullDisk(io.FileIO):
    def write(self, data):
        if self.tell() + len(data) > 60_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_full_disk_is_a_clear_error_and_the_download_goes_on_later(root, server, target, monkeypatch):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"old")
    monkeypatch.setattr(module, "CHUNK", 25_000)
    with monkeypatch.context() as full:
        full.setattr(pathlib.Path, "open", lambda path, mode="r", **_: (
            FullDisk if path.suffix == ".part" else io.FileIO)(path, mode.replace("b", "")))
        with pytest.raises(FetchError, match="No space left"):
            fetch([NAME], root)
    assert target.read_bytes() == b"old"
    assert part_of(target).read_bytes() == CONTENT[:50_000]
    fetch([NAME], root)
    assert server.requests[-1] == "bytes=50000-"
    assert target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_a_clear_error(root, target, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as read_only:
        read_only.setattr(os, "makedirs", refuse)
        with pytest.raises(FetchError, match="Read-only file system"):
            fetch([NAME], root)
    root.write_text("a file where the folder should be")
    with pytest.raises(FetchError, match="choose another data folder"):
        fetch([NAME], root)


def test_the_mirror_is_copied_and_nothing_is_downloaded(root, server, target, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    mirrored = mirror / sources.get_source(NAME).path
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    with pytest.raises(FetchError, match=f"no readable .*{MIRROR_VARIABLE}"):
        fetch([NAME], root)
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT[:-1])
    with pytest.raises(DigestError, match="the mirror of"):
        fetch([NAME], root)
    assert not target.exists()
    mirrored.write_bytes(CONTENT)
    assert fetch([NAME], root)[0].state == "fetched"
    assert target.read_bytes() == CONTENT
    assert server.requests == []


def test_names_of_tables_stand_for_their_public_sources_and_nothing_means_all_that_are_not_optional():
    assert [source.name for source in resolve(["nb101_test", "nb101-parameters"])] == [
        "nb101-test-accuracies", "nb101-parameters"]
    everything = {source.name for source in resolve(None)}
    assert NAME in everything
    assert "nb101-official" not in everything
    with pytest.raises(SettingsError, match=r"unknown source or table 'nb101_tset'.*nb101_test"):
        resolve(["nb101_tset"])


def test_files_of_packages_and_files_by_hand_are_not_downloaded(root, register):
    assert fetch(["nb201-validation-cifar10"], root)[0].state == "installed"
    with pytest.raises(MissingDataError, match="by hand"):
        fetch(["nats-tss"], root)
    register("nats-tss", b"content")
    assert fetch(["nats-tss"], root)[0].state == "present"


def test_verify_tells_every_state(root, register):
    register("nats-tss-simple", b"x").unlink()
    sources.upstream_path(sources.get_source("nats-tss-simple"), root).mkdir()
    register("nb101-parameters", b"good").write_bytes(b"bad")
    states = {found.source.name: found.state for found in verify(None, root)}
    assert states["nats-tss-simple"] == "unchecked"
    assert states["nb101-parameters"] == "damaged"
    assert states["nb201-validation-cifar10"] == "ok"
    assert states[NAME] == "missing"
